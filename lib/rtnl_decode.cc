// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/rtnl_decode.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/neighbour.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <cstring>
#include <span>

namespace vmt {
namespace {

// Times for user space are in ticks of 1/USER_HZ, which is 100 everywhere.
constexpr std::int64_t kMillisecondsPerTick = 10;

std::span<const std::uint8_t> bytes_of(const nlattr* attribute) {
  return {static_cast<const std::uint8_t*>(nla_data(attribute)), static_cast<std::size_t>(nla_len(attribute))};
}

// The attributes of a message or of a nest, by type. An attribute that is too short for its reader reads as absent.
template <int kMax>
class Attributes {
 public:
  Attributes(nlmsghdr* message, int header_size) : ok_(nlmsg_parse(message, header_size, table_, kMax, nullptr) >= 0) {}
  explicit Attributes(nlattr* nest) : ok_(nest != nullptr && nla_parse_nested(table_, kMax, nest, nullptr) >= 0) {}

  bool ok() const { return ok_; }
  nlattr* at(int type) const { return table_[type]; }

  std::span<const std::uint8_t> bytes(int type) const {
    const nlattr* attribute = table_[type];
    return attribute != nullptr ? bytes_of(attribute) : std::span<const std::uint8_t>{};
  }
  template <typename T>
  std::optional<T> number(int type) const {
    const auto data = bytes(type);
    if (data.size() < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, data.data(), sizeof value);
    return value;
  }
  std::uint32_t u32(int type) const { return number<std::uint32_t>(type).value_or(0); }
  std::string text(int type) const {
    const auto data = bytes(type);
    const char* first = reinterpret_cast<const char*>(data.data());
    return data.empty() ? std::string{} : std::string(first, strnlen(first, data.size()));
  }
  std::optional<IpAddress> address(int type) const {
    const auto parsed = IpAddress::from_bytes(bytes(type));
    return parsed ? std::optional(*parsed) : std::nullopt;
  }
  std::optional<MacAddress> mac(int type) const {
    const auto parsed = MacAddress::from_bytes(bytes(type));
    return parsed ? std::optional(*parsed) : std::nullopt;
  }

 private:
  nlattr* table_[kMax + 1] = {};
  bool ok_;  // behind the table, which its initialiser fills
};

bool is_news(const nlmsghdr* message, int born, int gone) {
  return message->nlmsg_type == born || message->nlmsg_type == gone;
}

// Entry `index` of an array of 32-bit values.
std::optional<int> entry(std::span<const std::uint8_t> array, std::size_t index) {
  if (array.size() < (index + 1) * sizeof(int)) return std::nullopt;
  int value = 0;
  std::memcpy(&value, array.data() + index * sizeof value, sizeof value);
  return value;
}

void decode_sysctls(nlattr* af_spec, LinkAnswer& link) {
  const Attributes<AF_INET6> families(af_spec);
  if (!families.ok()) return;
  const Attributes<IFLA_INET_MAX> v4(families.at(AF_INET));
  // The kernel counts these from 1.
  link.arp_filter = entry(v4.bytes(IFLA_INET_CONF), IPV4_DEVCONF_ARPFILTER - 1);
  const Attributes<IFLA_INET6_MAX> v6(families.at(AF_INET6));
  const auto conf = v6.bytes(IFLA_INET6_CONF);
  link.forwarding6 = entry(conf, DEVCONF_FORWARDING);
  link.proxy_ndp = entry(conf, DEVCONF_PROXY_NDP);
  link.accept_ra = entry(conf, DEVCONF_ACCEPT_RA);
}

std::vector<MacAddress> macs_of(nlattr* list) {
  std::vector<MacAddress> macs;
  nlattr* one;
  int left;
  nla_for_each_nested(one, list, left) {
    const auto mac = MacAddress::from_bytes(bytes_of(one));
    if (mac) macs.push_back(*mac);
  }
  return macs;
}

void decode_kind(nlattr* link_info, LinkAnswer& link) {
  const Attributes<IFLA_INFO_MAX> info(link_info);
  link.kind = info.text(IFLA_INFO_KIND);
  if (link.kind != "macvlan" && link.kind != "macvtap") return;
  const Attributes<IFLA_MACVLAN_MAX> data(info.at(IFLA_INFO_DATA));
  const auto mode = mode_from_kernel(data.u32(IFLA_MACVLAN_MODE));
  if (mode) link.mode = *mode;
  link.promiscuous = (data.number<std::uint16_t>(IFLA_MACVLAN_FLAGS).value_or(0) & MACVLAN_FLAG_NOPROMISC) == 0;
  link.bc_queue_length = data.u32(IFLA_MACVLAN_BC_QUEUE_LEN);
  if (nlattr* list = data.at(IFLA_MACVLAN_MACADDR_DATA)) link.allowed = macs_of(list);
}

}  // namespace

std::optional<LinkAnswer> decode_link(nlmsghdr* message) {
  if (!is_news(message, RTM_NEWLINK, RTM_DELLINK)) return std::nullopt;
  const Attributes<IFLA_MAX> attributes(message, sizeof(ifinfomsg));
  if (!attributes.ok()) return std::nullopt;
  const auto name = IfName::parse(attributes.text(IFLA_IFNAME));
  if (!name) return std::nullopt;
  const auto* header = static_cast<const ifinfomsg*>(nlmsg_data(message));
  LinkAnswer link{.index = static_cast<unsigned>(header->ifi_index),
                  .name = *name,
                  .mac = attributes.mac(IFLA_ADDRESS),
                  .flags = header->ifi_flags,
                  .lower_nsid = {},
                  .alias = {},
                  .kind = {},
                  .mode = {},
                  .allowed = {},
                  .arp_filter = {},
                  .forwarding6 = {},
                  .proxy_ndp = {},
                  .accept_ra = {}};
  link.carrier = attributes.number<std::uint8_t>(IFLA_CARRIER).value_or(0) != 0;
  link.lower = attributes.u32(IFLA_LINK);
  link.lower_nsid = attributes.number<int>(IFLA_LINK_NETNSID);
  link.mtu = attributes.u32(IFLA_MTU);
  link.master = attributes.u32(IFLA_MASTER);
  link.group = attributes.u32(IFLA_GROUP);
  link.alias = attributes.text(IFLA_IFALIAS);
  decode_kind(attributes.at(IFLA_LINKINFO), link);
  decode_sysctls(attributes.at(IFLA_AF_SPEC), link);
  return link;
}

std::optional<int> decode_nsid(nlmsghdr* message) {
  if (!is_news(message, RTM_NEWNSID, RTM_DELNSID)) return std::nullopt;
  const Attributes<NETNSA_MAX> attributes(message, sizeof(rtgenmsg));
  return attributes.ok() ? attributes.number<int>(NETNSA_NSID) : std::nullopt;
}

std::optional<AddressAnswer> decode_address(nlmsghdr* message) {
  if (!is_news(message, RTM_NEWADDR, RTM_DELADDR)) return std::nullopt;
  const Attributes<IFA_MAX> attributes(message, sizeof(ifaddrmsg));
  if (!attributes.ok()) return std::nullopt;
  const auto* header = static_cast<const ifaddrmsg*>(nlmsg_data(message));
  // IFA_LOCAL is the address itself; IFA_ADDRESS is the peer's on a point-to-point link, and the only one in IPv6.
  auto address = attributes.address(IFA_LOCAL);
  if (!address) address = attributes.address(IFA_ADDRESS);
  if (!address || header->ifa_prefixlen > address->bits()) return std::nullopt;
  return AddressAnswer{.prefix = {*address, header->ifa_prefixlen},
                       .flags = attributes.number<std::uint32_t>(IFA_FLAGS).value_or(header->ifa_flags),
                       .scope = header->ifa_scope,
                       .device = header->ifa_index};
}

std::optional<RouteAnswer> decode_route(nlmsghdr* message) {
  if (!is_news(message, RTM_NEWROUTE, RTM_DELROUTE)) return std::nullopt;
  const Attributes<RTA_MAX> attributes(message, sizeof(rtmsg));
  if (!attributes.ok()) return std::nullopt;
  const auto* header = static_cast<const rtmsg*>(nlmsg_data(message));
  auto destination = attributes.address(RTA_DST);
  if (!destination) destination = *IpAddress::parse(header->rtm_family == AF_INET ? "0.0.0.0" : "::");
  if (header->rtm_dst_len > destination->bits()) return std::nullopt;
  RouteAnswer answer{.route = {.destination = {*destination, header->rtm_dst_len},
                               .device = attributes.u32(RTA_OIF),
                               .protocol = header->rtm_protocol,
                               .source = attributes.address(RTA_PREFSRC),
                               .local = header->rtm_type == RTN_LOCAL},
                     .gateways = {}};
  if (const auto gateway = attributes.address(RTA_GATEWAY)) answer.gateways.push_back(*gateway);
  const auto hops = attributes.bytes(RTA_MULTIPATH);
  for (std::size_t offset = 0; offset + sizeof(rtnexthop) <= hops.size();) {
    rtnexthop hop;
    std::memcpy(&hop, hops.data() + offset, sizeof hop);
    if (hop.rtnh_len < sizeof hop || offset + hop.rtnh_len > hops.size()) break;
    auto* first = reinterpret_cast<nlattr*>(const_cast<std::uint8_t*>(hops.data()) + offset + sizeof hop);
    const auto* gateway = nla_find(first, static_cast<int>(hop.rtnh_len - sizeof hop), RTA_GATEWAY);
    if (gateway != nullptr) {
      const auto parsed = IpAddress::from_bytes(
          {static_cast<const std::uint8_t*>(nla_data(gateway)), static_cast<std::size_t>(nla_len(gateway))});
      if (parsed) answer.gateways.push_back(*parsed);
    }
    offset += RTNH_ALIGN(hop.rtnh_len);
  }
  return answer;
}

std::optional<NeighbourAnswer> decode_neighbour(nlmsghdr* message) {
  if (!is_news(message, RTM_NEWNEIGH, RTM_DELNEIGH)) return std::nullopt;
  const Attributes<NDA_MAX> attributes(message, sizeof(ndmsg));
  if (!attributes.ok()) return std::nullopt;
  const auto address = attributes.address(NDA_DST);
  if (!address) return std::nullopt;
  const auto* header = static_cast<const ndmsg*>(nlmsg_data(message));
  const auto times = attributes.number<nda_cacheinfo>(NDA_CACHEINFO).value_or(nda_cacheinfo{});
  return NeighbourAnswer{.address = *address,
                         .device = static_cast<unsigned>(header->ndm_ifindex),
                         .mac = attributes.mac(NDA_LLADDR),
                         .protocol = attributes.number<std::uint8_t>(NDA_PROTOCOL).value_or(0),
                         .state = header->ndm_state,
                         .proxy = (header->ndm_flags & NTF_PROXY) != 0,
                         .age = std::chrono::milliseconds(times.ndm_updated * kMillisecondsPerTick)};
}

}  // namespace vmt
