// SPDX-License-Identifier: LGPL-2.1-or-later
// The nouns of the program: what the host has, what we own of it, and what we want to own.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "lib/device.h"
#include "lib/if_name.h"
#include "lib/ip_address.h"
#include "lib/mac_address.h"
#include "lib/macvlan_mode.h"
#include "lib/tag.h"

namespace vmt {

// ---- what the host has: read, never changed -------------------------------------------------------------------

struct HostAddress {
  IpPrefix prefix;
  // Global scope, not tentative, deprecated, temporary or failed in duplicate detection: a fit source for replies.
  bool preferred = true;

  bool operator==(const HostAddress&) const = default;
};

struct Parent {
  unsigned index = 0;
  IfName name;
  MacAddress mac;
  bool up = false;
  bool carrier = false;
  bool wireless = false;
  std::vector<HostAddress> addresses;  // global scope only, in the kernel's order: the first is the usual one
  std::vector<IpAddress> gateways;     // next hops of routes through it, as far as they were asked for (Suspects)
};

// A macvlan or macvtap on a parent, whoever made it.
struct Child {
  unsigned index = 0;
  IfName name;
  unsigned parent = 0;
  MacAddress mac;
  MacvlanMode mode;
  bool macvtap = false;
  bool up = false;
  bool carrier = false;   // with the parent's; LOWERLAYERDOWN otherwise
  std::uint32_t mtu = 0;  // bytes
  bool allmulticast = false;
  bool promiscuous = true;            // false: in mode passthru its parent does not take every frame
  std::uint32_t bc_queue_length = 0;  // frames that it asked for
  std::vector<MacAddress> allowed;    // whose frames it gets, for mode source
  bool ours = false;                  // carries our device tag; a shim is not one of these
  std::optional<DeviceUse> use = {};  // of a device of ours: nullopt while it is unfinished
  std::optional<int> nsid = {};       // the network namespace it is in, when that is another than the caller's
};

// What the host's routing says about one address. `local` means that the host itself has it.
struct RouteView {
  IpPrefix destination;
  unsigned device = 0;
  std::uint8_t protocol = 0;
  std::optional<IpAddress> source;
  bool local = false;
};

// ---- what we own: only objects that carry our tag --------------------------------------------------------------

struct Shim {
  unsigned index = 0;
  IfName name;
  unsigned parent = 0;  // ifindex; 0: it has moved to another namespace
  MacAddress mac;
  ShimRole role = ShimRole::kUnfinished;
  // Up, in bridge mode, with every sysctl of the recipe as it should be. A half-made or meddled-with shim is not.
  bool configured = false;
  std::vector<IpPrefix> addresses;  // numbered strategy; empty for a borrowed address
  std::vector<IpAddress> proxied;   // IPv6 proxy neighbours: the host's addresses that it answers for
};

struct GuestRoute {
  IpAddress guest;
  unsigned shim = 0;  // ifindex
  std::optional<IpAddress> source;
  bool manual = false;
};

// Pins a guest's MAC, and joins MAC to address to route.
struct GuestNeighbour {
  IpAddress guest;
  unsigned shim = 0;  // ifindex
  MacAddress mac;
  Origin origin = Origin::kGiven;
  // Since it was pinned, by the kernel's clock that never jumps.
  std::chrono::milliseconds age{};
};

// Left by a guest's start on the shim: whose NIC this is, and which addresses it was given (mark_of()). At the guest's
// end it tells, by one question, that these are all there is to take away, however many other guests there are. It is
// an entry of the neighbour table at an address that nobody has (mark_address()), so nothing is sent because of it. It
// is there before what it names, and is never needed: without it everything is read.
struct GuestMark {
  IpAddress at;
  unsigned shim = 0;  // ifindex
  MacAddress mark;
};

struct Owned {
  std::vector<Shim> shims;
  std::vector<GuestRoute> routes;
  std::vector<GuestNeighbour> neighbours;
  std::vector<GuestMark> marks = {};
};

// ---- what we want to own -----------------------------------------------------------------------------------------

struct DesiredShim {
  Parent parent;
  ShimRole role = ShimRole::kGuests;
  std::vector<IpPrefix> addresses;
  std::vector<IpAddress> proxied;
};

struct DesiredAddress {
  unsigned parent = 0;  // ifindex
  IpAddress guest;
  IpAddress source;               // the host's address that the guest is to talk to
  std::optional<MacAddress> mac;  // nullopt: asked for by hand, and not known; the kernel resolves it
  Origin origin = Origin::kGiven;
};

struct DesiredMark {
  unsigned parent = 0;  // ifindex
  MacAddress mac;       // the NIC's
  // nullopt: whoever plans does not know whose NIC it is. What is there stays, unless the NIC is given more.
  std::optional<MacAddress> mark;
};

struct Desired {
  std::vector<DesiredShim> shims;
  std::vector<DesiredAddress> addresses;
  std::vector<DesiredMark> marks = {};
};

}  // namespace vmt
