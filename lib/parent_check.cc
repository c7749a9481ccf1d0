// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/parent_check.h"

#include <fmt/core.h>
#include <net/if.h>
#include <unistd.h>

#include "lib/device_hint.h"
#include "lib/rtnl_device.h"

namespace vmt {

bool is_wireless(const IfName& name) {
  // netlink does not tell. Most hypervisors have no wireless device at all, which is cheaper to ask.
  return ::access("/sys/class/ieee80211", F_OK) == 0 &&
         ::access(fmt::format("/sys/class/net/{}/phy80211", name.str()).c_str(), F_OK) == 0;
}

std::expected<ParentLink, Error> check_parent(RtnlSocket& socket, const IfName& name) {
  const auto link = read_link(socket, request::link_by_name(name), fmt::format("look up parent {}", name.str()));
  if (!link && link.error().kind == ErrorKind::kNotFound)
    return fail(Error{link.error().kind, link.error().message + " (see `ip link`)"});
  if (!link) return fail(link.error());
  const auto refuse = [&](std::string_view why) {
    return fail(invalid(fmt::format("parent {}: {}", name.str(), why)));
  };
  if (link->mode) {
    const auto real = read_link(socket, request::link_by_index(link->lower), "look up link");
    return refuse(fmt::format("is a {} itself; use {} as the parent", link->kind,
                              real && !link->lower_nsid ? real->name.str() : "the link it is on"));
  }
  if (const auto why = why_no_parent(socket, *link); !why.empty()) return refuse(why);
  ParentLink parent{.index = link->index, .name = link->name, .notes = {}};
  if (!(link->flags & IFF_UP))
    parent.notes.push_back(fmt::format("{} is down: no traffic until `ip link set {} up`", name.str(), name.str()));
  else if (!link->carrier)
    parent.notes.push_back(fmt::format("{} has no carrier: no traffic until it has one", name.str()));
  if (is_wireless(link->name))
    parent.notes.push_back(
        fmt::format("{} is wireless: most access points drop frames of any MAC but its own", name.str()));
  return parent;
}

}  // namespace vmt
