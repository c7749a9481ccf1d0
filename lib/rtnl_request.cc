// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/rtnl_request.h"

#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "lib/rtnl_writer.h"

namespace vmt::request {
namespace {

rtmsg route_header(const IpAddress& address) {
  rtmsg header{};
  header.rtm_family = static_cast<unsigned char>(address.family());
  header.rtm_dst_len = static_cast<unsigned char>(address.bits());
  return header;
}

ndmsg neighbour_header(unsigned index, int family) {
  ndmsg header{};
  header.ndm_family = static_cast<unsigned char>(family);
  header.ndm_ifindex = static_cast<int>(index);
  return header;
}

NlMsg permanent_neighbour(unsigned index, const IpAddress& address, const MacAddress& mac, std::uint8_t protocol) {
  ndmsg header = neighbour_header(index, address.family());
  header.ndm_state = NUD_PERMANENT;
  return Writer(RTM_NEWNEIGH, kCreate, header)
      .address(NDA_DST, address)
      .mac(NDA_LLADDR, mac)
      .u8(NDA_PROTOCOL, protocol)
      .take();
}

void write_kind(Writer& info) {
  info.text(IFLA_INFO_KIND, "macvlan");
  info.nest(IFLA_INFO_DATA, [](Writer& data) { data.u32(IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE); });
}

Writer address_message(int type, int flags, unsigned index, const IpPrefix& address) {
  ifaddrmsg header{};
  header.ifa_family = static_cast<unsigned char>(address.address.family());
  header.ifa_prefixlen = static_cast<unsigned char>(address.length);
  // Duplicate detection would keep an IPv6 address from being a route's source for a second or two.
  header.ifa_flags = IFA_F_NODAD;
  header.ifa_index = index;
  Writer writer(type, flags, header);
  writer.address(IFA_LOCAL, address.address).address(IFA_ADDRESS, address.address);
  // Without this, "192.168.1.60/24" on the shim would draw the whole LAN's traffic away from the parent.
  writer.u32(IFA_FLAGS, IFA_F_NODAD | IFA_F_NOPREFIXROUTE);
  return writer;
}

}  // namespace

NlMsg link_by_name(const IfName& name) {
  return Writer(RTM_GETLINK, 0, link_header(0))
      .text(IFLA_IFNAME, name.str())
      .u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
      .take();
}

NlMsg link_by_index(unsigned index) {
  return Writer(RTM_GETLINK, 0, link_header(index)).u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS).take();
}

NlMsg links_of_kind(const char* kind) {
  return Writer(RTM_GETLINK, NLM_F_DUMP, link_header(0))
      .u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
      .nest(IFLA_LINKINFO, [&](Writer& info) { info.text(IFLA_INFO_KIND, kind); })
      .take();
}

NlMsg new_shim(const CreateShim& shim) {
  return Writer(RTM_NEWLINK, kCreate, link_header(shim_index(shim.parent)))
      .text(IFLA_IFNAME, shim_name(shim.parent).str())
      .u32(IFLA_LINK, shim.parent)
      .mac(IFLA_ADDRESS, shim.mac)
      .u32(IFLA_GROUP, kShimGroup)
      .nest(IFLA_LINKINFO, write_kind)
      .take();
}

NlMsg quiet_shim(unsigned index, bool ipv6) {
  return Writer(RTM_SETLINK, 0, link_header(index))
      .nest(IFLA_AF_SPEC,
            [&](Writer& families) {
              families.nest(AF_INET, [](Writer& v4) {
                v4.nest(IFLA_INET_CONF, [](Writer& conf) {
                  conf.u32(IPV4_DEVCONF_ARPFILTER, 1);
                  conf.u32(IPV4_DEVCONF_ARP_IGNORE, 0);
                  conf.u32(IPV4_DEVCONF_PROXY_ARP, 0);
                  conf.u32(IPV4_DEVCONF_MEDIUM_ID, static_cast<std::uint32_t>(-1));
                });
              });
              if (ipv6)
                families.nest(AF_INET6, [](Writer& v6) { v6.u8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE); });
            })
      .take();
}

NlMsg finish_shim(unsigned index, ShimRole role) {
  ifinfomsg header = link_header(index);
  header.ifi_flags = IFF_UP;
  header.ifi_change = IFF_UP;
  // The mode, which only RTM_NEWLINK changes: somebody may have given an old shim another.
  return Writer(RTM_NEWLINK, 0, header).text(IFLA_IFALIAS, alias_of(role)).nest(IFLA_LINKINFO, write_kind).take();
}

NlMsg delete_link(unsigned index) {
  return Writer(RTM_DELLINK, 0, link_header(index)).take();
}

NlMsg addresses_on(unsigned index) {
  ifaddrmsg header{};
  header.ifa_index = index;
  return Writer(RTM_GETADDR, NLM_F_DUMP, header).take();
}

NlMsg new_address(unsigned index, const IpPrefix& address) {
  return address_message(RTM_NEWADDR, kCreate, index, address).take();
}

NlMsg delete_address(unsigned index, const IpPrefix& address) {
  return address_message(RTM_DELADDR, 0, index, address).take();
}

NlMsg routes_on(unsigned index) {
  rtmsg header{};
  header.rtm_table = RT_TABLE_MAIN;
  return Writer(RTM_GETROUTE, NLM_F_DUMP, header).u32(RTA_TABLE, RT_TABLE_MAIN).u32(RTA_OIF, index).take();
}

NlMsg route_to(const IpAddress& address) {
  rtmsg header = route_header(address);
  header.rtm_flags = RTM_F_FIB_MATCH;
  return Writer(RTM_GETROUTE, 0, header).address(RTA_DST, address).take();
}

// By an address that nobody has a route of its own for, nor forbids as none of the internet's: the kernel does not look
// up 0.0.0.0 as what it is. In IPv6 some write the default route as 2000::/3.
NlMsg default_route(int family, unsigned index) {
  const IpAddress nobodys = *IpAddress::parse(family == AF_INET ? "128.0.0.1" : "2000::1");
  rtmsg header = route_header(nobodys);
  header.rtm_flags = RTM_F_FIB_MATCH;
  return Writer(RTM_GETROUTE, 0, header).address(RTA_DST, nobodys).u32(RTA_OIF, index).take();
}

NlMsg new_route(unsigned shim, const AddRoute& route) {
  rtmsg header = route_header(route.guest);
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = route.manual ? kManualProtocol : kGuestProtocol;
  header.rtm_scope = RT_SCOPE_LINK;
  header.rtm_type = RTN_UNICAST;
  return Writer(RTM_NEWROUTE, kCreate, header)
      .address(RTA_DST, route.guest)
      .u32(RTA_OIF, shim)
      .address(RTA_PREFSRC, route.source)
      .take();
}

NlMsg delete_route(const DeleteRoute& route) {
  rtmsg header = route_header(route.guest);
  header.rtm_table = RT_TABLE_MAIN;
  // With these two the kernel deletes this very route or none: a foreign one to the same address stays.
  header.rtm_protocol = route.manual ? kManualProtocol : kGuestProtocol;
  header.rtm_scope = RT_SCOPE_NOWHERE;
  return Writer(RTM_DELROUTE, 0, header).address(RTA_DST, route.guest).u32(RTA_OIF, route.shim).take();
}

NlMsg neighbours_on(unsigned index) {
  return Writer(RTM_GETNEIGH, NLM_F_DUMP, neighbour_header(0, AF_UNSPEC)).u32(NDA_IFINDEX, index).take();
}

NlMsg proxies_on(unsigned index) {
  ndmsg header = neighbour_header(0, AF_INET6);
  header.ndm_flags = NTF_PROXY;
  return Writer(RTM_GETNEIGH, NLM_F_DUMP, header).u32(NDA_IFINDEX, index).take();
}

NlMsg neighbour_at(unsigned index, const IpAddress& address) {
  return Writer(RTM_GETNEIGH, 0, neighbour_header(index, address.family())).address(NDA_DST, address).take();
}

NlMsg new_neighbour(unsigned shim, const AddNeighbour& neighbour) {
  return permanent_neighbour(shim, neighbour.guest, neighbour.mac, protocol_of(neighbour.origin));
}

NlMsg new_mark(unsigned shim, const AddMark& mark) {
  return permanent_neighbour(shim, mark.at, mark.mark, kMarkProtocol);
}

NlMsg delete_neighbour(unsigned shim, const IpAddress& address) {
  return Writer(RTM_DELNEIGH, 0, neighbour_header(shim, address.family())).address(NDA_DST, address).take();
}

NlMsg new_proxy(unsigned shim, const IpAddress& address) {
  ndmsg header = neighbour_header(shim, address.family());
  header.ndm_flags = NTF_PROXY;
  // Any other is dropped when the parent loses its carrier.
  header.ndm_state = NUD_PERMANENT;
  return Writer(RTM_NEWNEIGH, kCreate, header).address(NDA_DST, address).u8(NDA_PROTOCOL, kGuestProtocol).take();
}

NlMsg delete_proxy(unsigned shim, const IpAddress& address) {
  ndmsg header = neighbour_header(shim, address.family());
  header.ndm_flags = NTF_PROXY;
  return Writer(RTM_DELNEIGH, 0, header).address(NDA_DST, address).take();
}

}  // namespace vmt::request
