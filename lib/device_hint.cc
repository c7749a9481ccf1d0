// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/device_hint.h"

#include <fmt/core.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lib/rtnl_device.h"
#include "lib/rtnl_request.h"
#include "lib/tag.h"

namespace vmt {
namespace {

std::optional<LinkAnswer> find_link(RtnlSocket& socket, unsigned index) {
  auto link = read_link(socket, request::link_by_index(index), "look up link");
  return link ? std::optional(std::move(*link)) : std::nullopt;
}

// All devices on a parent, self-removing ones in their namespaces included.
std::vector<Child> devices_on(RtnlSocket& socket, unsigned parent) {
  std::vector<Child> devices;
  for (const char* kind : {"macvtap", "macvlan"})
    if (const auto links = read_links(socket, kind))
      for (const auto& link : *links)
        if (auto child = child_of(link)) devices.push_back(std::move(*child));
  if (auto elsewhere = children_elsewhere(socket)) devices.insert(devices.end(), elsewhere->begin(), elsewhere->end());
  std::erase_if(devices, [&](const Child& device) { return device.parent != parent; });
  return devices;
}

std::string where(const Child& device) {
  return device.nsid ? fmt::format("{} in namespace {}", device.name.str(), *device.nsid) : device.name.str();
}

bool exclude_each_other(const Child& device, const DeviceSpec& spec) {
  return device.mode == MacvlanMode::kPassthru || spec.mode == MacvlanMode::kPassthru;
}

std::string who_excludes(RtnlSocket& socket, const DeviceSpec& spec) {
  const auto devices = devices_on(socket, spec.parent);
  for (const auto& device : devices)
    if (device.mode == MacvlanMode::kPassthru)
      return fmt::format("{} is in passthru mode and has {} for itself", where(device), spec.parent_name.str());
  if (spec.mode != MacvlanMode::kPassthru || devices.empty()) return {};
  if (devices.size() == 1 && devices.front().name == shim_name(spec.parent))
    return fmt::format(
        "passthru needs {0} for itself, and it has the host's own link to guests (`virt-macvtap host down "
        "{0}` takes it away)",
        spec.parent_name.str());
  return fmt::format("passthru needs {} for itself, and it has {} device{}, {} first", spec.parent_name.str(),
                     devices.size(), devices.size() == 1 ? "" : "s", where(devices.front()));
}

std::string who_has_mac(RtnlSocket& socket, unsigned parent, const MacAddress& mac) {
  if (const auto link = find_link(socket, parent); link && link->mac == mac)
    return fmt::format("{} is the MAC of {} itself", mac.str(), link->name.str());
  for (const auto& device : devices_on(socket, parent))
    if (device.mac == mac && device.up) return fmt::format("{} has the MAC {}", where(device), mac.str());
  return "another device on the parent is up with this MAC, in a namespace that this one does not know";
}

}  // namespace

std::string why_no_parent(RtnlSocket& socket, const LinkAnswer& link) {
  const std::string& name = link.name.str();
  if (link.flags & IFF_LOOPBACK) return fmt::format("{} is the loopback; a parent is an Ethernet link", name);
  if (!link.mac) return fmt::format("{} is no Ethernet link", name);
  const auto master = link.master == 0 ? std::nullopt : find_link(socket, link.master);
  if (!master) return {};
  if (master->kind == "openvswitch")
    return fmt::format("{} is a port of an Open vSwitch bridge; use the bridge's internal port as the parent", name);
  return fmt::format("{} is a port of {} {}; use {} as the parent", name, master->kind, master->name.str(),
                     master->name.str());
}

bool may_be_going(RtnlSocket& socket, const DeviceSpec& spec, const Error& error) {
  // Without a word in brackets, which it has for most that is wrong with the request itself.
  if (!error.message.ends_with(std::strerror(EINVAL))) return false;
  const auto devices = devices_on(socket, spec.parent);
  const auto is_staying = [&](const Child& device) {
    return exclude_each_other(device, spec) && !(device.ours && device.nsid);
  };
  const auto is_going = [&](const Child& device) { return exclude_each_other(device, spec); };
  if (std::ranges::any_of(devices, is_staying)) return false;
  return std::ranges::any_of(devices, is_going) || why_not_created(socket, spec).empty();
}

std::string why_not_created(RtnlSocket& socket, const DeviceSpec& spec) {
  if (read_link(socket, request::link_by_name(spec.name), "look up link"))
    return fmt::format("a link named {} exists; choose another name or delete it", spec.name.str());
  const auto parent = find_link(socket, spec.parent);
  if (parent)
    if (auto why = why_no_parent(socket, *parent); !why.empty()) return why;
  if (auto why = who_excludes(socket, spec); !why.empty()) return why;
  if (parent && spec.mtu && *spec.mtu > parent->mtu)
    return fmt::format("{} has an MTU of {}; a device on it cannot have more", spec.parent_name.str(), parent->mtu);
  return {};
}

std::string why_not_up(RtnlSocket& socket, const DeviceSpec& spec, ErrorKind kind) {
  return spec.mac && kind == ErrorKind::kInUse ? who_has_mac(socket, spec.parent, *spec.mac) : std::string{};
}

std::string why_not_changed(RtnlSocket& socket, const ChangeDevice& change, ErrorKind kind) {
  const auto link = find_link(socket, change.index);
  if (!link) return {};
  const auto& mac = change.mac ? change.mac : link->mac;
  if (kind == ErrorKind::kInUse)
    return mac && link->lower != 0 ? who_has_mac(socket, link->lower, *mac) : std::string{};
  const bool passthru = link->mode == MacvlanMode::kPassthru;
  if (change.mode && passthru != (*change.mode == MacvlanMode::kPassthru))
    return "the kernel switches no device to or from passthru; delete it and create it anew";
  const auto parent = find_link(socket, link->lower);
  if (change.mtu && parent && *change.mtu > parent->mtu)
    return fmt::format("{} has an MTU of {}; a device on it cannot have more", parent->name.str(), parent->mtu);
  return {};
}

}  // namespace vmt
