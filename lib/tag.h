// SPDX-License-Identifier: LGPL-2.1-or-later
// How objects of ours are told from everybody else's. The kernel is the only database; these tags are its keys.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lib/if_name.h"
#include "lib/ip_address.h"
#include "lib/mac_address.h"
#include "lib/uuid.h"

namespace vmt {

// IFLA_GROUP of a shim. Set in the create request, so that no shim ever exists without it.
// `ip link show group 1986884609` lists them. 0x766d0000 is "vm" in ASCII; the range up to 0x766dffff is ours.
inline constexpr std::uint32_t kShimGroup = 0x766d7401;
// IFLA_GROUP of a standing macvtap or macvlan of ours (lib/device.h), and of one in a namespace of its own.
inline constexpr std::uint32_t kDeviceGroup = 0x766d7402;
inline constexpr std::uint32_t kSelfRemovingGroup = 0x766d7403;
// Devices that are about to be deleted together carry one of these, drawn at random: the kernel deletes a whole group
// in one wait, whoever made its members, so the number must be nobody else's.
inline constexpr std::uint32_t kDoomedGroups = 0x766d8000;  // to 0x766dffff
constexpr bool is_device_group(std::uint32_t group) {
  return group == kDeviceGroup || group == kSelfRemovingGroup ||
         (group >= kDoomedGroups && group <= (kDoomedGroups | 0x7fff));
}

// rtm_protocol and NDA_PROTOCOL. 118 to 121 are in nobody's list (linux/rtnetlink.h, iproute2's rt_protos, FRR, BIRD).
inline constexpr std::uint8_t kGuestProtocol = 118;   // belongs to a guest: a neighbour of ours names the MAC
inline constexpr std::uint8_t kManualProtocol = 119;  // asked for with `virt-macvtap host up`, neighbours likewise
// NDA_PROTOCOL only: a neighbour that the watcher has learned. Its route is a guest's like any other.
inline constexpr std::uint8_t kLearnedProtocol = 120;
// NDA_PROTOCOL only: a mark (lib/objects.h: GuestMark).
inline constexpr std::uint8_t kMarkProtocol = 121;

// Who says that a guest has an address: somebody who wrote it down, the guest itself, or whoever called `host up`.
enum class Origin { kGiven, kLearned, kManual };

// NDA_PROTOCOL of a neighbour of ours.
constexpr std::uint8_t protocol_of(Origin origin) {
  switch (origin) {
    case Origin::kLearned:
      return kLearnedProtocol;
    case Origin::kManual:
      return kManualProtocol;
    case Origin::kGiven:
      break;
  }
  return kGuestProtocol;
}
// nullopt: of no neighbour of ours.
constexpr std::optional<Origin> origin_of(std::uint8_t protocol) {
  for (const Origin origin : {Origin::kGiven, Origin::kLearned, Origin::kManual})
    if (protocol_of(origin) == protocol) return origin;
  return std::nullopt;
}

// Where the mark of a NIC with this MAC is, in 240/4: nobody has such an address, and IPv4 is there wherever there is a
// network. By a hash of 28 bits: two NICs may share one, and then the first one's mark stays.
IpAddress mark_address(const MacAddress& mac);
// What a mark says, in place of a MAC: this domain's NIC, and all the addresses that it was given, in any order.
MacAddress mark_of(const Uuid& domain, const MacAddress& mac, std::span<const IpAddress> given);

// Who asked for a shim. Kept in IFLA_IFALIAS, which the kernel ignores in a create request (proven by
// netns/rtnl_kernel_test): it is set last, by which a shim without one is known to be unfinished.
enum class ShimRole { kUnfinished, kGuests, kManual };

std::string_view alias_of(ShimRole role);
ShimRole role_of_alias(std::string_view alias);

// "vmt-7" on the parent with ifindex 7.
inline constexpr std::string_view kShimPrefix = "vmt-";
IfName shim_name(unsigned parent_index);
// A shim's ifindex is derived as well and asked for in the create request: one query finds it, whatever parent and shim
// are called by then, and nobody has to ask which one it got. Far above what the kernel hands out by itself.
constexpr unsigned shim_index(unsigned parent_index) {
  return 0x40000000U + parent_index;
}

// Locally administered, derived from the parent's MAC by a fixed hash: the same after every reboot, different on
// each host of a LAN, and given in the create request so that udev's MACAddressPolicy leaves it alone.
//
// Of those that are first in the kernel's table of a parent's macvlans: a broadcast is handed to all of them at once,
// in that order, and of more than a thousand (net.core.netdev_max_backlog) the last ones miss it. The shim must not: it
// has to hear its guests.
MacAddress shim_mac(const MacAddress& parent);

}  // namespace vmt
