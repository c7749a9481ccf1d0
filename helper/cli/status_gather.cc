// SPDX-License-Identifier: LGPL-2.1-or-later
// What is there? Parents, shims, guests and their addresses, as the kernel has them.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "helper/cli/links.h"
#include "helper/cli/status.h"
#include "lib/algorithm.h"
#include "lib/attach_plan.h"
#include "lib/desire.h"
#include "lib/premade.h"
#include "lib/text.h"

namespace vmt::cli {
namespace {

// libvirt's own devices, and those that it is told to open, are in our namespace; elsewhere anybody may have taken a
// guest's MAC.
const Guest* libvirts_guest(const Child& link, const Question& question) {
  if (link.nsid) return nullptr;
  for (const auto& guest : question.guests)
    // A pre-made device in passthru mode has its parent's MAC.
    if (contains(guest.nics, link.mac, &Nic::mac) || is_premade_of(link, guest)) return &guest;
  return nullptr;
}

GuestStatus describe_guest(const Child& link, const IfName& parent, const Question& question) {
  GuestStatus status{.link = link, .identity = {}, .given = {}, .addresses = {}};
  status.wants_access = question.config.host_access_on(parent);
  const auto it = question.nics.find(link.mac);
  const NicConfig* written = it == question.nics.end() ? nullptr : &it->second;
  const Guest* guest = libvirts_guest(link, question);
  status.may_learn = question.config.learning(parent, written, guest) != LearnMode::kNo;
  if (guest != nullptr) {
    status.identity = GuestIdentity{.name = guest->name, .uuid = guest->uuid};
    status.wants_access = status.wants_access && guest->host_access;
    for (const auto& nic : attachments_of(*guest, question.config).nics)
      if (nic.mac == link.mac && nic.parent == parent) status.given = nic.addresses;
  } else if (link.macvtap && link.mode == MacvlanMode::kBridge && status.wants_access) {
    if (written != nullptr) status.given = written->given;
  }
  return status;
}

GuestAddress address_of(const IpAddress& address, const Owned& owned, unsigned shim, bool manual) {
  for (const auto& route : owned.routes)
    if (route.guest == address && route.shim == shim && route.manual == manual)
      return {.address = address, .age = {}, .route = true, .source = route.source};
  return {.address = address, .age = {}, .route = false, .source = {}};
}

void add_addresses(const Owned& owned, unsigned shim, ParentStatus& status) {
  for (const auto& neighbour : owned.neighbours) {
    if (neighbour.shim != shim || neighbour.origin == Origin::kManual) continue;
    bool taken = false;
    for (auto& guest : status.guests) {
      if (guest.link.mac != neighbour.mac) continue;
      guest.addresses.push_back(address_of(neighbour.guest, owned, shim, false));
      guest.addresses.back().origin = neighbour.origin;
      guest.addresses.back().age = neighbour.age;
      taken = true;
    }
    if (!taken) status.orphans.push_back(neighbour);
  }
  for (const auto& route : owned.routes) {
    if (route.shim != shim || !route.manual) continue;
    status.manual.push_back(address_of(route.guest, owned, shim, true));
    status.manual.back().mac = manual_mac(owned, shim, route.guest);
  }
}

std::vector<std::vector<Child>> conflicts_of(const std::vector<GuestStatus>& guests) {
  std::map<MacAddress, std::vector<Child>> by_mac;
  for (const auto& guest : guests) by_mac[guest.link.mac].push_back(guest.link);
  std::vector<std::vector<Child>> conflicts;
  for (auto& [mac, links] : by_mac)
    if (links.size() > 1) conflicts.push_back(std::move(links));
  return conflicts;
}

ParentStatus describe_parent(Parent parent, const std::vector<Child>& children, const Owned& owned,
                             const Question& question) {
  ParentStatus status{.parent = std::move(parent),
                      .shim = {},
                      .guests = {},
                      .orphans = {},
                      .manual = {},
                      .conflicts = {},
                      .health = {}};
  const auto shim = std::ranges::find(owned.shims, status.parent.index, &Shim::parent);
  if (shim != owned.shims.end()) status.shim = *shim;
  for (const auto& child : children)
    if (child.parent == status.parent.index && (child.nsid || !contains(owned.shims, child.index, &Shim::index)))
      status.guests.push_back(describe_guest(child, status.parent.name, question));
  if (status.shim) add_addresses(owned, status.shim->index, status);
  status.conflicts = conflicts_of(status.guests);
  return status;
}

// The parents to show: the one that was asked for, or each that has a child.
std::expected<std::vector<Parent>, Error> parents_of(Kernel& kernel, const std::vector<Child>& children,
                                                     const Question& question) {
  std::vector<Parent> parents;
  if (question.parent) {
    auto parent = kernel.parent(*question.parent);
    if (!parent) return fail(parent.error());
    parents.push_back(std::move(*parent));
    return parents;
  }
  std::set<unsigned> indices;  // 0: the parent is in another namespace
  for (const auto& child : children)
    if (child.parent != 0) indices.insert(child.parent);
  for (const unsigned index : indices) {
    auto parent = kernel.parent(index);
    if (parent)
      parents.push_back(std::move(*parent));
    else if (parent.error().kind != ErrorKind::kNotFound)  // gone since, together with its children
      return fail(parent.error());
  }
  return parents;
}

// Neither libvirt nor QEMU notices when such a device goes, or is not what the guest takes it for.
std::optional<std::string> trouble_with(const Nic& nic, const PremadeSource& source, const std::optional<Child>& link) {
  const auto& name = source.device.str();
  if (!link)
    return fmt::format("its device {} is gone; {}stop the guest and start it", name,
                       source.wanted ? "" : "make it again, ");
  if (link->mac != nic.mac && link->mode != MacvlanMode::kPassthru)
    return fmt::format(
        "its device {0} has the MAC {1} and takes no frames for the guest's; run `ip link set {0} "
        "address {2}`",
        name, link->mac.str(), nic.mac.str());
  if (!link->up) return fmt::format("its device {0} is down; run `ip link set {0} up`", name);
  return std::nullopt;
}

// What the kernel knows of the devices that <target managed='no'> names.
Status examine_premade(Kernel& kernel, std::vector<Guest>& guests, std::vector<std::string>& findings) {
  for (auto& guest : guests) {
    for (const auto& nic : guest.nics) {
      const auto* source = std::get_if<PremadeSource>(&nic.source);
      if (source == nullptr) continue;
      const auto link = kernel.child(source->device);
      if (!link) return fail(link.error());
      if (!*link) {
        const auto index = kernel.index_of(source->device);
        if (!index) return fail(index.error());
        if (*index) continue;  // a plain tap
      }
      if (const auto trouble = trouble_with(nic, *source, *link))
        findings.push_back(fmt::format("guest {} ({}): {}", quoted(guest.name), nic.mac.str(), *trouble));
    }
    auto placed = with_placements(kernel, std::move(guest));
    if (!placed) return fail(placed.error());
    guest = std::move(*placed);
  }
  return {};
}

}  // namespace

Status gather(RtnlKernel& kernel, Question question, HostStatus& host) {
  if (auto status = examine_premade(kernel, question.guests, host.health); !status) return status;
  question.nics = question.config.nics();
  const auto links = all_links(kernel);
  if (!links) return fail(links.error());
  host.complete = links->complete;
  auto parents = parents_of(kernel, links->all, question);
  if (!parents) return fail(parents.error());
  Scope scope{.parents = std::vector<unsigned>{}, .addresses = std::nullopt};
  for (const auto& parent : *parents) scope.parents->push_back(parent.index);
  const auto owned = kernel.owned(scope);
  if (!owned) return fail(owned.error());
  for (auto& parent : *parents) {
    ParentStatus status = describe_parent(std::move(parent), links->all, *owned, question);
    status.health = health_of(status, host);
    host.parents.push_back(std::move(status));
  }
  return {};
}

}  // namespace vmt::cli
