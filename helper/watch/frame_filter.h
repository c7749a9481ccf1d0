// SPDX-License-Identifier: LGPL-2.1-or-later
// Which frames the kernel lets through to us: classic BPF programs for packet sockets. Pure.
#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <expected>
#include <optional>
#include <vector>

#include "lib/error.h"
#include "lib/mac_address.h"

namespace vmt {

// Each list kMaxFilteredMacs at most. A MAC in both is not heard.
struct FilterRules {
  std::vector<MacAddress> muted;                // not heard
  std::optional<std::vector<MacAddress>> only;  // nobody else is heard; nullopt: all are

  bool operator==(const FilterRules&) const = default;
};

// A program for them has some 2,150 instructions of BPF_MAXINSNS (4,096), and fits into the memory for options that
// kernels before 6.8 give a socket (net.core.optmem_max = 20480; frame_socket_test).
inline constexpr std::size_t kMaxFilteredMacs = 2000;

// Frames are cut to this size: Ethernet's own largest, so that no DHCP client's request is cut (most are of 300 to 600
// bytes, but nothing keeps options from filling a frame); hear() calls a jumbo frame malformed, then. What is shorter
// costs no more by it.
inline constexpr std::size_t kFrameBytes = 1514;

// Passes what hear() can make something of: ARP, neighbour solicitations and advertisements, first fragments to the
// DHCP server's port; without a VLAN tag (of ID 0 is without). A tag is not in the frame's bytes by then: the kernel
// keeps it apart, and a tagged frame of another network would look like one of ours.
//
// MACs are compared by 31 bits of a hash: an entry is one instruction then. Strangers that share it with one of 2,000
// are one in a million; whoever forges a MAC for that could forge the whole. kInvalid: too many MACs.
std::expected<std::vector<sock_filter>, Error> filter_program(const FilterRules& rules);

// For the parent's side: passes ARP replies and neighbour advertisements that are for the parent, or for all.
std::vector<sock_filter> answer_filter_program();

}  // namespace vmt
