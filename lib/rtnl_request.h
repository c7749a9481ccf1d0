// SPDX-License-Identifier: LGPL-2.1-or-later
// Building rtnetlink requests: a pure function per request. A unit test reads every attribute back.
//
// libnl-3's core does the encoding. libnl-route is not used: 3.7 has no NDA_PROTOCOL, no strict dumps and no
// IFLA_TARGET_NETNSID, so half of the messages would be put together by hand anyway.
#pragma once

#include <netlink/msg.h>

#include <memory>

#include "lib/kernel.h"

namespace vmt {

struct NlMsgFree {
  void operator()(nl_msg* message) const { nlmsg_free(message); }
};
using NlMsg = std::unique_ptr<nl_msg, NlMsgFree>;

namespace request {

// Links. A name or an index says which.
NlMsg link_by_name(const IfName& name);
NlMsg link_by_index(unsigned index);
NlMsg links_of_kind(const char* kind);  // a dump that the kernel filters
NlMsg new_shim(const CreateShim& shim);
// Up, with the alias of the role, in one request.
NlMsg finish_shim(unsigned index, ShimRole role);
NlMsg delete_link(unsigned index);

// Addresses of one link (dump, filtered by the kernel), of one family.
NlMsg addresses_on(unsigned index, int family);
NlMsg new_address(unsigned index, const IpPrefix& address);
NlMsg delete_address(unsigned index, const IpPrefix& address);

// Routes.
NlMsg routes_on(unsigned index, int family);   // main table, filtered by the kernel
NlMsg route_to(const IpAddress& address);      // RTM_F_FIB_MATCH: the entry itself, not a copy without its protocol
NlMsg new_route(unsigned shim, const AddRoute& route);
NlMsg delete_route(const DeleteRoute& route);

// Neighbours.
NlMsg neighbours_on(unsigned index, int family);
NlMsg proxies_on(unsigned index);
NlMsg neighbour_at(unsigned index, const IpAddress& address);
NlMsg new_neighbour(unsigned shim, const AddNeighbour& neighbour);
NlMsg delete_neighbour(unsigned shim, const IpAddress& address);
NlMsg new_proxy(unsigned shim, const IpAddress& address);
NlMsg delete_proxy(unsigned shim, const IpAddress& address);

}  // namespace request
}  // namespace vmt
