// SPDX-License-Identifier: LGPL-2.1-or-later
// How does the host's state look to a program? Keys are only ever added. Addresses are strings; "mode",
// "ifindex" and MACs are as `ip -j` has them.
//
//   {"libvirt": {"uri": "qemu:///system", "error": null},
//    "parents": [
//      {"name": "eth0", "ifindex": 2, "mac": "...", "up": true, "carrier": true, "wireless": false,
//       "addresses": ["192.0.2.10/24"],
//       "shim": null or {"name": "vmt-2", "ifindex": 7, "mac": "...", "role": "guests" or "manual" or
//       "unfinished",
//                        "configured": true, "addresses": [], "proxied": ["2001:db8:1::10"]},
//       "guests": [
//         {"name": "web" or null, "uuid": "..." or null, "mac": "...", "device": "macvtap0", "ifindex": 8,
//          "nsid": 3 or null for this namespace, "kind": "macvtap" or "macvlan", "mode": "bridge", "up": true,
//          "addresses": [{"address": "192.0.2.61", "origin": "given" or "learned", "since": 42 (seconds ago),
//                         "route": true, "source": "192.0.2.10" or null}]}],
//       "manual": [{"address": "192.0.2.77", "mac": "..." or null, "source": "192.0.2.10" or null}],
//       "conflicts": [{"mac": "...", "devices": ["macvtap0", "macvtap1"]}],
//       "health": ["a sentence"]}],
//    "health": ["a sentence"]}
#include <nlohmann/json.hpp>

#include "helper/cli/status.h"

namespace vmt::cli {
namespace {

using Json = nlohmann::ordered_json;

template <typename T>
Json text_or_null(const std::optional<T>& value) {
  return value ? Json(value->str()) : Json(nullptr);
}

template <typename Range, typename Convert>
Json list(const Range& range, Convert convert) {
  Json result = Json::array();
  for (const auto& element : range) result.push_back(convert(element));
  return result;
}

Json texts(const auto& range) {
  return list(range, [](const auto& element) { return element.str(); });
}

Json shim_json(const std::optional<Shim>& shim) {
  if (!shim) return nullptr;
  return {{"name", shim->name.str()},       {"ifindex", shim->index},         {"mac", shim->mac.str()},
          {"role", role_name(shim->role)},  {"configured", shim->configured}, {"addresses", texts(shim->addresses)},
          {"proxied", texts(shim->proxied)}};
}

Json address_json(const GuestAddress& address) {
  return {
      {"address", address.address.str()},
      {"origin", origin_name(address.origin)},
      {"since", std::chrono::floor<std::chrono::seconds>(address.age.value_or(std::chrono::milliseconds(0))).count()},
      {"route", address.route},
      {"source", text_or_null(address.source)}};
}

Json guest_json(const GuestStatus& guest) {
  return {{"name", guest.identity ? Json(guest.identity->name) : Json(nullptr)},
          {"uuid", guest.identity ? text_or_null(guest.identity->uuid) : Json(nullptr)},
          {"mac", guest.link.mac.str()},
          {"device", guest.link.name.str()},
          {"ifindex", guest.link.index},
          {"nsid", guest.link.nsid ? Json(*guest.link.nsid) : Json(nullptr)},
          {"kind", guest.link.macvtap ? "macvtap" : "macvlan"},
          {"mode", to_string(guest.link.mode)},
          {"up", guest.link.up},
          {"addresses", list(guest.addresses, address_json)}};
}

Json manual_json(const GuestAddress& address) {
  return {
      {"address", address.address.str()}, {"mac", text_or_null(address.mac)}, {"source", text_or_null(address.source)}};
}

Json conflict_json(const std::vector<Child>& links) {
  return {{"mac", links.front().mac.str()},
          {"devices", list(links, [](const Child& link) { return link.name.str(); })}};
}

Json parent_json(const ParentStatus& status) {
  const Parent& parent = status.parent;
  return {{"name", parent.name.str()},
          {"ifindex", parent.index},
          {"mac", parent.mac.str()},
          {"up", parent.up},
          {"carrier", parent.carrier},
          {"wireless", parent.wireless},
          {"addresses", list(parent.addresses, [](const HostAddress& a) { return a.prefix.str(); })},
          {"shim", shim_json(status.shim)},
          {"guests", list(status.guests, guest_json)},
          {"manual", list(status.manual, manual_json)},
          {"conflicts", list(status.conflicts, conflict_json)},
          {"health", status.health}};
}

}  // namespace

std::string status_json(const HostStatus& host) {
  const Json error = host.libvirt_error ? Json(*host.libvirt_error) : Json(nullptr);
  const Json document = {{"libvirt", {{"uri", host.libvirt_uri}, {"error", error}}},
                         {"parents", list(host.parents, parent_json)},
                         {"health", host.health}};
  // A guest's name may hold bytes that are no UTF-8.
  return document.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace vmt::cli
