// SPDX-License-Identifier: LGPL-2.1-or-later
// What an ARP, neighbour discovery or DHCP frame says about addresses, and the questions that we ask. Pure.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <vector>

#include "lib/ip_address.h"
#include "lib/mac_address.h"

namespace vmt {

struct Heard {
  enum class Kind {
    kClaim,     // the sender has the address, or is about to have it (a probe, duplicate address detection)
    kLease,     // a DHCP client asks for the address: it may have it soon, so it is worth asking then
    kQuestion,  // who has the address? From a link-local address, which claims nothing that we would learn
  };

  Kind kind = Kind::kClaim;
  MacAddress mac;                       // the Ethernet source; what the frame says about it inside is the same
  IpAddress address;                    // one that can be a guest's, or its host's (IpAddress::why_not_a_guests)
  std::optional<IpAddress> asker = {};  // of a kQuestion: where to send the answer

  auto operator<=>(const Heard&) const = default;
};

enum class Unheard {
  kNothing,    // some other frame, or about an address that no guest can have: as every network is full of
  kMalformed,  // cut off, contradicting itself, or against its protocol: worth a count
};

// `frame` starts with the Ethernet header; padding behind the packet is allowed. Frames with a VLAN tag are nothing.
//
// ARP: the sender's address; of a probe (RFC 5227), which has none yet, the target's. Neighbour solicitation: the
// sender's address; of duplicate detection, which has none yet, the target; from a link-local address a question for
// the target. Neighbour advertisement: the target. With extension headers it is nothing (RFC 6980 forbids fragments,
// and nobody sends others). DHCP: a client's DHCPREQUEST.
//
// Checksums are not looked at: between a guest and its host they may have been left to hardware that never comes. A
// frame that arrived damaged is the network card's to drop.
std::expected<Heard, Unheard> hear(std::span<const std::uint8_t> frame);

// Who asks: Ethernet source and sender's address.
struct Asker {
  MacAddress mac;
  IpAddress address;
};

// An ARP request or a neighbour solicitation for `target`, which is of the same family as the asker's address: to `to`
// alone, or (nullopt) as a broadcast, to the solicited-node group. 42 bytes or 86, without padding. Whoever else hears
// it hears the asker's claim.
std::vector<std::uint8_t> question(const Asker& asker, const IpAddress& target, const std::optional<MacAddress>& to);

// The neighbour advertisement, by `own`, for a question: solicited, and without the override flag, as a proxy's is. 86
// bytes.
std::vector<std::uint8_t> answer(const Asker& own, const MacAddress& to, const IpAddress& asker);

}  // namespace vmt
