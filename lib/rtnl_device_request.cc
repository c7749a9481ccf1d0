// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/rtnl_device_request.h"

#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <net/if.h>

#include "lib/rtnl_writer.h"

namespace vmt::request {
namespace {

const char* kind_of(bool macvtap) {
  return macvtap ? "macvtap" : "macvlan";
}

void write_allowed(Writer& data, const std::vector<MacAddress>& allowed) {
  if (allowed.empty()) return;
  data.u32(IFLA_MACVLAN_MACADDR_MODE, MACVLAN_MACADDR_SET);
  data.nest(IFLA_MACVLAN_MACADDR_DATA, [&](Writer& list) {
    for (const auto& mac : allowed) list.mac(IFLA_MACVLAN_MACADDR, mac);
  });
}

Writer set_flags(unsigned index, unsigned change, unsigned flags, int type = RTM_SETLINK) {
  ifinfomsg header = link_header(index);
  header.ifi_change = change;
  header.ifi_flags = flags;
  return Writer(type, 0, header);
}

}  // namespace

NlMsg new_device(const DeviceSpec& spec, unsigned index, pid_t inside, bool up) {
  ifinfomsg header = link_header(index);
  // What comes in at a tap is the guest's; a macvlan is the host's own link, like any other.
  const int tap_flags = spec.macvtap ? IFF_ALLMULTI | IFF_NOARP : 0;
  header.ifi_flags = header.ifi_change = static_cast<unsigned>(tap_flags) | (up ? static_cast<unsigned>(IFF_UP) : 0U);
  Writer writer(RTM_NEWLINK, kCreate, header);
  writer.text(IFLA_IFNAME, spec.name.str())
      .u32(IFLA_LINK, spec.parent)
      .u32(IFLA_GROUP, inside != 0 ? kSelfRemovingGroup : kDeviceGroup);
  if (inside != 0) writer.u32(IFLA_NET_NS_PID, static_cast<std::uint32_t>(inside));
  if (spec.mac) writer.mac(IFLA_ADDRESS, *spec.mac);
  if (spec.mtu) writer.u32(IFLA_MTU, *spec.mtu);
  writer.nest(IFLA_LINKINFO, [&](Writer& info) {
    info.text(IFLA_INFO_KIND, kind_of(spec.macvtap));
    info.nest(IFLA_INFO_DATA, [&](Writer& data) {
      data.u32(IFLA_MACVLAN_MODE, static_cast<std::uint32_t>(spec.mode));
      if (!spec.promiscuous) data.u16(IFLA_MACVLAN_FLAGS, MACVLAN_FLAG_NOPROMISC);
      if (spec.bc_queue_length) data.u32(IFLA_MACVLAN_BC_QUEUE_LEN, *spec.bc_queue_length);
      write_allowed(data, spec.allowed);
    });
  });
  return writer.take();
}

NlMsg finish_device(unsigned index, std::string_view alias, bool up) {
  const unsigned flags = up ? static_cast<unsigned>(IFF_UP) : 0U;
  return set_flags(index, flags, flags).text(IFLA_IFALIAS, alias).take();
}

NlMsg change_device(const ChangeDevice& change) {
  unsigned mask = 0;
  unsigned flags = 0;
  const auto flag = [&](unsigned bit, std::optional<bool> value) {
    if (!value) return;
    mask |= bit;
    if (*value) flags |= bit;
  };
  flag(IFF_UP, change.up);
  flag(IFF_ALLMULTI, change.allmulticast);
  // The mode is a link's own data, which only RTM_NEWLINK changes.
  Writer writer = set_flags(change.index, mask, flags, RTM_NEWLINK);
  if (change.mac) writer.mac(IFLA_ADDRESS, *change.mac);
  if (change.mtu) writer.u32(IFLA_MTU, *change.mtu);
  if (change.mode)
    writer.nest(IFLA_LINKINFO, [&](Writer& info) {
      info.text(IFLA_INFO_KIND, kind_of(change.macvtap));
      info.nest(IFLA_INFO_DATA,
                [&](Writer& data) { data.u32(IFLA_MACVLAN_MODE, static_cast<std::uint32_t>(*change.mode)); });
    });
  return writer.take();
}

NlMsg regroup(unsigned index, std::uint32_t group) {
  return Writer(RTM_SETLINK, 0, link_header(index)).u32(IFLA_GROUP, group).take();
}

NlMsg delete_group(std::uint32_t group) {
  return Writer(RTM_DELLINK, 0, link_header(0)).u32(IFLA_GROUP, group).take();
}

NlMsg new_nsid(pid_t inside) {
  return Writer(RTM_NEWNSID, 0, rtgenmsg{})
      .u32(NETNSA_PID, static_cast<std::uint32_t>(inside))
      .u32(NETNSA_NSID, static_cast<std::uint32_t>(NETNSA_NSID_NOT_ASSIGNED))  // any that is free
      .take();
}

NlMsg nsid(int nsid) {
  return Writer(RTM_GETNSID, 0, rtgenmsg{}).u32(NETNSA_NSID, static_cast<std::uint32_t>(nsid)).take();
}

NlMsg nsids() {
  return Writer(RTM_GETNSID, NLM_F_DUMP, rtgenmsg{}).take();
}

NlMsg nsid_of(int netns) {
  return Writer(RTM_GETNSID, 0, rtgenmsg{}).u32(NETNSA_FD, static_cast<std::uint32_t>(netns)).take();
}

NlMsg links_of_kind_in(int nsid, const char* kind) {
  return Writer(RTM_GETLINK, NLM_F_DUMP, link_header(0))
      .u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
      .u32(IFLA_TARGET_NETNSID, static_cast<std::uint32_t>(nsid))
      .nest(IFLA_LINKINFO, [&](Writer& info) { info.text(IFLA_INFO_KIND, kind); })
      .take();
}

}  // namespace vmt::request
