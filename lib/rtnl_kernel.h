// SPDX-License-Identifier: LGPL-2.1-or-later
// The real kernel, over one rtnetlink socket and /proc/sys/net, in the caller's network namespace.
#pragma once

#include <map>

#include "lib/kernel.h"
#include "lib/rtnl_decode.h"
#include "lib/rtnl_device.h"
#include "lib/rtnl_socket.h"

namespace vmt {

class RtnlKernel : public Kernel {
 public:
  static std::expected<RtnlKernel, Error> open();

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

  // Macvtaps and macvlans in other namespaces that this one has a number for, self-removing ones among them.
  std::expected<std::vector<Child>, Error> children_elsewhere() { return vmt::children_elsewhere(socket_); }

  // For what goes without a plan.
  RtnlSocket& socket() { return socket_; }
  // RtnlSocket::port() of the socket that apply() asks on.
  std::uint32_t port() const { return socket_.port(); }

 private:
  // By sysfs; nullopt: it does not tell, or there are too many to ask for one by one.
  std::expected<std::optional<std::vector<Child>>, Error> few_beside(const Shim& shim);
  explicit RtnlKernel(RtnlSocket socket) : socket_(std::move(socket)) {}

  std::expected<std::vector<AddressAnswer>, Error> addresses(unsigned index);
  std::expected<std::vector<NeighbourAnswer>, Error> neighbours(const NlMsg& query);
  std::expected<Parent, Error> describe_parent(const LinkAnswer& link, const Suspects& suspects);
  Status read_gateways(const Suspects& suspects, Parent& parent);
  std::expected<bool, Error> read_default_gateways(const std::vector<IpAddress>& suspects, Parent& parent);
  std::expected<bool, Error> has_neighbour_among(const std::vector<IpAddress>& suspects, const Parent& parent);

  std::expected<std::vector<LinkAnswer>, Error> shim_links(const Scope& scope);
  std::expected<Shim, Error> describe_shim(const LinkAnswer& link);
  Status read_routes(const Shim& shim, const Scope& scope, Owned& owned);
  Status read_neighbours(const Shim& shim, const Scope& scope, Owned& owned);

  Status create(const CreateShim& change);
  Status finish(const FinishShim& change);
  Status pin(const AddNeighbour& change);
  std::string why_create_failed(const CreateShim& change, ErrorKind kind);

  // What the shim on a parent is called, which may not be what we have called it.
  IfName name_on(unsigned parent) const;

  RtnlSocket socket_;
  std::map<unsigned, IfName> names_;  // of shims, by the parent's ifindex, as owned() saw them
};

}  // namespace vmt
