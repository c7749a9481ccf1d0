// SPDX-License-Identifier: LGPL-2.1-or-later
// The honest fake: a host in memory that behaves as the kernel does where plans can tell, cascades and refusals
// included. netns/contract.h is what runs one suite on it and on the real kernel, so that it cannot drift.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "lib/kernel.h"

namespace vmt {

class FakeKernel : public Kernel {
 public:
  // ---- the host, set up by tests ----
  unsigned add_parent(const char* name, const char* mac, std::vector<const char*> addresses,
                      const char* gateway = nullptr);
  unsigned add_child(unsigned parent, const char* name, const char* mac, MacvlanMode mode, bool macvtap = true);
  // A device of ours whose creation was interrupted: the tag, and nothing else yet.
  unsigned add_unfinished(unsigned parent, const char* name, const char* mac);
  void set_parent_state(unsigned index, bool up, bool carrier, bool wireless);
  void remove_link(unsigned index);
  void add_foreign_route(const char* destination, unsigned device);
  void add_foreign_link(const char* name);
  // Another host instead of this one, all of it: as the real kernel has it, say.
  struct Host {
    std::vector<Parent> parents;
    std::vector<Child> children;  // without shims
    Owned owned;
    std::map<IpAddress, unsigned> foreign_routes;  // to one address, through a device
    std::set<std::string> foreign_links;
    std::set<IpAddress> foreign_neighbours;  // permanent ones, on shims
  };
  void set_host(Host host);

  // ---- Kernel ----
  using Kernel::parent;
  std::expected<Parent, Error> parent(const IfName& name, const Suspects& suspects) override;
  std::expected<Parent, Error> parent(unsigned index, const Suspects& suspects) override;
  std::expected<std::optional<unsigned>, Error> index_of(const IfName& name) override;
  std::expected<std::optional<Child>, Error> child(const IfName& name) override;
  std::expected<std::vector<Child>, Error> children() override;
  std::expected<std::vector<Child>, Error> children_beside(const Shim& shim) override;
  std::expected<std::optional<RouteView>, Error> route_to(const IpAddress& address) override;
  std::expected<Owned, Error> owned(const Scope& scope) override;
  std::expected<bool, Error> serves_others(const Shim& shim, std::span<const MacAddress> macs) override;
  Status apply(const Change& change) override;

 private:
  struct Applier;

  Shim* shim_on(unsigned parent);
  Status add(const CreateShim& change);
  Status add(const AddNeighbour& change);
  Status add(const AddMark& change);
  Status add(const AddRoute& change);
  Status add(const CreateDevice& change);
  Status alter(const ChangeDevice& change);
  void lose_address(const Shim& shim, const IpAddress& address);
  bool is_hosts(const IpAddress& address) const;
  // The parent itself, or another device on it that is up.
  bool mac_in_use(unsigned parent, const MacAddress& mac, unsigned but_for) const;

  unsigned next_index_ = 2;
  std::vector<Parent> parents_;
  std::vector<Child> children_;
  Owned owned_;
  std::map<IpAddress, unsigned> foreign_routes_;
  std::set<std::string> foreign_links_;
  std::set<IpAddress> foreign_neighbours_;
};

}  // namespace vmt
