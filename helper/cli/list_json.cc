// SPDX-License-Identifier: LGPL-2.1-or-later
// How does the list of devices look to a program? Keys are only ever added. What `ip -j -d link` has, too, is
// called and written as there.
//
//   {"devices": [
//     {"name": "tap-web", "ifindex": 7, "kind": "macvtap" or "macvlan", "nsid": 3 or null for this namespace,
//      "parent": "eth0" or null for one in another namespace, "mode": "bridge", "mac": "...", "mtu": 1500,
//      "state": "up" or "down" or "no carrier", "allmulticast": true, "nopromisc": false,
//      "bcqueuelen": 1000, "macaddr_data": ["52:54:00:12:34:56"] (mode source: whose frames it gets), "queues": 1,
//      "holders": [{"pid": 4711, "command": "qemu-system-x86", "fds": 1}],
//      "ours": true, "use": "standing" or "guest" or "user" or "host access" or "unfinished" or null for not ours,
//      "guest": "UUID" or null, "user": "alice" or null,
//      "domain": {"name": "web", "uuid": "..." or null} or null}]}
#include <nlohmann/json.hpp>

#include "helper/cli/list.h"

namespace vmt::cli {
namespace {

using Json = nlohmann::ordered_json;

template <typename T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

template <typename T>
Json text_or_null(const std::optional<T>& value) {
  return value ? Json(value->str()) : Json(nullptr);
}

Json use_json(const DeviceStatus& device) {
  if (device.shim) return "host access";
  if (!device.link.ours) return nullptr;
  if (!device.link.use) return "unfinished";
  if (std::holds_alternative<Standing>(*device.link.use)) return "standing";
  return std::holds_alternative<ForGuest>(*device.link.use) ? "guest" : "user";
}

Json guest_json(const Child& link) {
  const auto* use = link.use ? std::get_if<ForGuest>(&*link.use) : nullptr;
  return use != nullptr ? Json(use->guest.str()) : Json(nullptr);
}

Json domain_json(const std::optional<Domain>& domain) {
  if (!domain) return nullptr;
  return {{"name", domain->name}, {"uuid", text_or_null(domain->uuid)}};
}

Json holders_json(const std::vector<TapHolder>& holders) {
  Json result = Json::array();
  for (const auto& holder : holders)
    result.push_back({{"pid", holder.pid}, {"command", holder.command}, {"fds", holder.fds}});
  return result;
}

Json macs_json(const std::vector<MacAddress>& macs) {
  Json result = Json::array();
  for (const auto& mac : macs) result.push_back(mac.str());
  return result;
}

Json device_json(const DeviceStatus& device) {
  const Child& link = device.link;
  return {{"name", link.name.str()},
          {"ifindex", link.index},
          {"kind", link.macvtap ? "macvtap" : "macvlan"},
          {"nsid", or_null(link.nsid)},
          {"parent", text_or_null(device.parent)},
          {"mode", to_string(link.mode)},
          {"mac", link.mac.str()},
          {"mtu", link.mtu},
          {"state", state_of(device)},
          {"allmulticast", link.allmulticast},
          {"nopromisc", !link.promiscuous},
          {"bcqueuelen", link.bc_queue_length},
          {"macaddr_data", macs_json(link.allowed)},
          {"queues", queues_of(device)},
          {"holders", holders_json(device.holders)},
          {"ours", link.ours || device.shim},
          {"use", use_json(device)},
          {"guest", guest_json(link)},
          {"user", or_null(device.user)},
          {"domain", domain_json(device.domain)}};
}

}  // namespace

std::string list_json(const std::vector<DeviceStatus>& devices) {
  Json list = Json::array();
  for (const auto& device : devices) list.push_back(device_json(device));
  const Json document = {{"devices", std::move(list)}};
  // The names of guests and processes may hold bytes that are no UTF-8.
  return document.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace vmt::cli
