// SPDX-License-Identifier: LGPL-2.1-or-later
// Reading rtnetlink answers and news: from a message to a value, the same for RTM_NEW* and RTM_DEL*. Pure; a message
// that is not what it should be is nullopt.
#pragma once

#include <linux/netlink.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/objects.h"

namespace vmt {

struct LinkAnswer {
  unsigned index = 0;
  IfName name;
  std::optional<MacAddress> mac;  // nullopt: no Ethernet address (loopback, a tunnel)
  unsigned flags = 0;             // IFF_*
  bool carrier = false;
  unsigned lower = 0;  // IFLA_LINK, 0 when there is none
  // The namespace in which `lower` counts, as the asking one numbers it; nullopt: the link's own.
  std::optional<int> lower_nsid;
  std::uint32_t mtu = 0;
  unsigned master = 0;
  std::uint32_t group = 0;
  std::string alias;
  std::string kind;                 // "macvlan", "macvtap", "bridge", ...; empty for hardware
  std::optional<MacvlanMode> mode;  // this and the next three: of a macvlan or macvtap
  bool promiscuous = true;
  std::uint32_t bc_queue_length = 0;  // frames
  std::vector<MacAddress> allowed;
  // Per-device sysctls, which the kernel sends along; nullopt where the protocol is off.
  std::optional<int> arp_filter, forwarding6, proxy_ndp, accept_ra;
};

struct AddressAnswer {
  IpPrefix prefix;
  std::uint32_t flags = 0;  // IFA_F_*
  unsigned scope = 0;       // RT_SCOPE_*
  unsigned device = 0;      // ifindex
};

struct RouteAnswer {
  RouteView route;
  std::vector<IpAddress> gateways;
};

struct NeighbourAnswer {
  IpAddress address;
  unsigned device = 0;
  std::optional<MacAddress> mac;
  std::uint8_t protocol = 0;
  unsigned state = 0;  // NUD_*
  bool proxy = false;
  std::chrono::milliseconds age{};  // since it last changed
};

std::optional<LinkAnswer> decode_link(nlmsghdr* message);
std::optional<int> decode_nsid(nlmsghdr* message);
std::optional<AddressAnswer> decode_address(nlmsghdr* message);
std::optional<RouteAnswer> decode_route(nlmsghdr* message);
std::optional<NeighbourAnswer> decode_neighbour(nlmsghdr* message);

}  // namespace vmt
