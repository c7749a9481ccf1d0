// SPDX-License-Identifier: LGPL-2.1-or-later
// The one seam between deciding and doing. RtnlKernel is the real one, tests/fake_kernel.h the honest fake; one
// contract suite (tests/netns/contract.h) runs on both.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "lib/device.h"
#include "lib/error.h"
#include "lib/objects.h"

namespace vmt {

// ---- what a plan is made of. Shims are named by their parent: a shim that is yet to be created has no ifindex. -----

struct CreateShim {
  unsigned parent = 0;
  IfName parent_name;  // for the error line
  MacAddress mac;
};
// Brings a shim to the state of the recipe: the sysctls, then up and the alias in one request, so that a shim with an
// alias has been complete once. Idempotent, as it also repairs.
struct FinishShim {
  unsigned parent = 0;
  ShimRole role = ShimRole::kGuests;
};
// By the ifindex that was read together with its tag. Routes, neighbours, addresses and sysctls go with it.
struct DeleteShim {
  unsigned index = 0;
  IfName name;
};
struct AddAddress {
  unsigned parent = 0;
  IpPrefix address;
};
struct DeleteAddress {
  unsigned parent = 0;
  IpPrefix address;
};
struct AddProxy {
  unsigned parent = 0;
  IpAddress address;
};
struct DeleteProxy {
  unsigned parent = 0;
  IpAddress address;
};
struct AddNeighbour {
  unsigned parent = 0;
  IpAddress guest;
  MacAddress mac;
  Origin origin = Origin::kGiven;
};
struct DeleteNeighbour {
  unsigned shim = 0;  // ifindex
  IpAddress guest;
};
struct AddMark {
  unsigned parent = 0;
  IpAddress at;
  MacAddress mark;
};
struct DeleteMark {
  unsigned shim = 0;  // ifindex
  IpAddress at;
};
struct AddRoute {
  unsigned parent = 0;
  IpAddress guest;
  IpAddress source;
  bool manual = false;
};
struct DeleteRoute {
  unsigned shim = 0;  // ifindex
  IpAddress guest;
  bool manual = false;
};

// Macvtaps and macvlans that stand in the caller's namespace (lib/device.h). Complete, or not there at all: created,
// silent towards the LAN (no IPv6, no ARP answers), allmulticast, tagged, up if asked for, its tap node in /dev owned
// as asked for. A MAC whose last holder is just dying is waited for, kPatienceWithTheGoing at most.
struct CreateDevice {
  DeviceSpec spec;
  DeviceUse use;
};
// What is nullopt stays.
struct ChangeDevice {
  unsigned index = 0;
  IfName name;
  bool macvtap = true;
  std::optional<MacAddress> mac;
  std::optional<MacvlanMode> mode;
  std::optional<std::uint32_t> mtu;
  std::optional<bool> up;
  std::optional<bool> allmulticast;
};
// All at once, in one wait of the kernel's. Indices that were read together with their tags.
struct DeleteDevices {
  struct Device {
    unsigned index = 0;
    IfName name;
  };
  std::vector<Device> devices;
};

using Change = std::variant<CreateShim, FinishShim, DeleteShim, AddAddress, DeleteAddress, AddProxy, DeleteProxy,
                            AddNeighbour, DeleteNeighbour, AddMark, DeleteMark, AddRoute, DeleteRoute, CreateDevice,
                            ChangeDevice, DeleteDevices>;

// As a person would type it: "add route 192.0.2.61 via shim vmt-2 src 192.0.2.10".
std::string describe(const Change& change);

// How much of what we own a caller needs to see. A guest's start asks for points and costs the same on a host with one
// guest as on one with thousands.
struct Scope {
  // Shims on these parents only; nullopt: every shim of ours.
  std::optional<std::vector<unsigned>> parents;
  // Neighbours and routes at these addresses only; nullopt: all on the shims above.
  std::optional<std::vector<IpAddress>> addresses;
  // With `addresses`: the marks of NICs with these MACs only. Without: all.
  std::vector<MacAddress> marks = {};
};

// Which addresses a caller wants to know of whether they are gateways'; nullopt: all there are. The kernel has no
// question for gateways but a walk through all routes of the host, 0.1 µs for each of IPv4 and 0.3 µs of IPv6. Of a few
// addresses points tell: the gateways of the default route that the kernel prefers on this link, and, as a reason to
// walk, whether the host has a neighbour entry at one of them, as it has while it sends something through it. What
// points do not tell: a gateway of a second default route or of another route while nobody uses it (an entry goes with
// the carrier, and when it is old and there are many). So this is for what an administrator has written down, where it
// costs each start of a guest, and what reads all (sync, the watcher) corrects it; not for what a guest says.
using Suspects = std::optional<std::vector<IpAddress>>;
inline Suspects no_suspects() {
  return std::vector<IpAddress>{};
}

class Kernel {
 public:
  virtual ~Kernel() = default;

  // The parent with its addresses and, of the suspects, its gateways; there may be others with them. kNotFound when
  // there is no such link.
  virtual std::expected<Parent, Error> parent(const IfName& name, const Suspects& suspects) = 0;
  virtual std::expected<Parent, Error> parent(unsigned index, const Suspects& suspects) = 0;
  std::expected<Parent, Error> parent(const IfName& name) { return parent(name, std::nullopt); }
  std::expected<Parent, Error> parent(unsigned index) { return parent(index, std::nullopt); }
  // nullopt when there is no such link; an error when the kernel could not be asked.
  virtual std::expected<std::optional<unsigned>, Error> index_of(const IfName& name) = 0;
  // The macvlan or macvtap of this name; nullopt when there is none, whatever else is called so.
  virtual std::expected<std::optional<Child>, Error> child(const IfName& name) = 0;
  // Every macvlan and macvtap in this namespace, ours included.
  virtual std::expected<std::vector<Child>, Error> children() = 0;
  // Those on a shim's parent, without the shim. Where these are few, whatever else is on the host, it asks for no more.
  virtual std::expected<std::vector<Child>, Error> children_beside(const Shim& shim) = 0;
  // The most specific route to an address, own routes included; nullopt when there is none.
  virtual std::expected<std::optional<RouteView>, Error> route_to(const IpAddress& address) = 0;
  // Only objects that carry our tag: a plan made from it cannot express deleting a stranger's.
  virtual std::expected<Owned, Error> owned(const Scope& scope) = 0;

  // Whether a guest with another MAC than these has a neighbour or a mark on the shim. Reads no further than to the
  // first.
  virtual std::expected<bool, Error> serves_others(const Shim& shim, std::span<const MacAddress> macs) = 0;

  // kExists when something, ours or foreign, has the place already; nothing is ever replaced.
  // kNotFound when the object to delete is gone.
  virtual Status apply(const Change& change) = 0;
};

}  // namespace vmt
