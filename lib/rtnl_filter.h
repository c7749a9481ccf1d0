// SPDX-License-Identifier: LGPL-2.1-or-later
// Which rtnetlink news wake us: a filter that the kernel runs before a message is copied to the socket.
//
// Dropped there: what is neither link, address, route, neighbour nor namespace; ports and forwarding entries of
// bridges, which come with the same types; routes outside the main table. And, where the caller says which links matter
// to it, addresses, routes and neighbours of all others, so that a router's thousands of changes a second cost it
// nothing. Links and namespaces always pass.
#pragma once

#include <linux/filter.h>

#include <span>
#include <vector>

#include "lib/error.h"

namespace vmt {

// Links beyond this many are told apart by nobody: everything passes then, as without a list. A jump of the filter's
// language reaches over 255 instructions.
inline constexpr std::size_t kMaxFilteredLinks = 240;

// Pure. `links`: ifindices; nullptr: all. A route through several links passes.
std::vector<sock_filter> news_filter(const std::span<const unsigned>* links);
// From here on; what has been queued stays.
Status attach_filter(int socket, std::span<const sock_filter> filter);

}  // namespace vmt
