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
// While it is down:
// - arp_filter on, so that it answers ARP for the host's addresses to guests only (their routes leave through the shim,
// the
//   LAN's do not; without it every LAN peer gets two answers with two MACs), and arp_ignore off, which would silence
//   it;
// - proxy_arp off and medium_id -1, which holds against all/proxy_arp too: else a forwarding host's shim would answer
// the
//   LAN for all the world;
// - where there is IPv6, no link-local address: nobody speaks to the shim's own, and without one it is silent when it
//   comes up, no duplicate detection; the groups it is in the kernel reports all the same, from no address.
// netns/kernel_facts_test and netns/host_access_test prove each.
NlMsg quiet_shim(unsigned index, bool ipv6);
// Up, with the alias of the role, in one request.
NlMsg finish_shim(unsigned index, ShimRole role);
NlMsg delete_link(unsigned index);

// Lists below are dumps of both families, which the kernel filters by the link.
NlMsg addresses_on(unsigned index);
NlMsg new_address(unsigned index, const IpPrefix& address);
NlMsg delete_address(unsigned index, const IpPrefix& address);

// Routes.
NlMsg routes_on(unsigned index);                  // main table
NlMsg route_to(const IpAddress& address);         // RTM_F_FIB_MATCH: the entry itself, not a copy without its protocol
NlMsg default_route(int family, unsigned index);  // the one through this link that the kernel prefers
NlMsg new_route(unsigned shim, const AddRoute& route);
NlMsg delete_route(const DeleteRoute& route);

// Neighbours.
NlMsg neighbours_on(unsigned index);
NlMsg proxies_on(unsigned index);  // IPv6
NlMsg neighbour_at(unsigned index, const IpAddress& address);
NlMsg new_neighbour(unsigned shim, const AddNeighbour& neighbour);
NlMsg new_mark(unsigned shim, const AddMark& mark);
NlMsg delete_neighbour(unsigned shim, const IpAddress& address);
NlMsg new_proxy(unsigned shim, const IpAddress& address);
NlMsg delete_proxy(unsigned shim, const IpAddress& address);

}  // namespace request
}  // namespace vmt
