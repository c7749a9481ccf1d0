// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/devices.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "lib/algorithm.h"
#include "lib/premade.h"
#include "lib/text.h"

namespace vmt {
namespace {

// The parent as the kernel finds it, so that a missing one is named here and not by an ifindex.
Status fill_in_parent(Kernel& kernel, DeviceSpec& spec) {
  const auto index = kernel.index_of(spec.parent_name);
  if (!index) return fail(index.error());
  if (!*index)
    return fail(Error{ErrorKind::kNotFound, fmt::format("create {}: no link is named {} (see `ip link`)",
                                                        spec.name.str(), spec.parent_name.str())});
  // The kernel would put the device beside that one, on the real parent.
  const auto child = kernel.child(spec.parent_name);
  if (!child) return fail(child.error());
  if (*child) {
    const auto real = (*child)->parent != 0 ? kernel.parent((*child)->parent, no_suspects())
                                            : std::expected<Parent, Error>(fail(invalid("in another namespace")));
    return fail(invalid(fmt::format("create {}: {} is a {} itself; use {} as the parent", spec.name.str(),
                                    spec.parent_name.str(), (*child)->macvtap ? "macvtap" : "macvlan",
                                    real ? real->name.str() : "the link it is on")));
  }
  spec.parent = **index;
  return {};
}

// Found out before anything is made. What an interrupted creation has left has no name worth keeping.
Status check_free(Kernel& kernel, const IfName& name) {
  const auto index = kernel.index_of(name);
  if (!index) return fail(index.error());
  if (!*index) return {};
  const auto child = kernel.child(name);
  if (!child) return fail(child.error());
  if (*child && (*child)->ours && !(*child)->use) return {};
  return fail(
      Error{ErrorKind::kExists,
            fmt::format("create {}: a link of this name exists; choose another name or delete it", name.str())});
}

void note_parent(Kernel& kernel, const DeviceSpec& spec, std::vector<std::string>& notes) {
  const auto parent = kernel.parent(spec.parent, no_suspects());
  if (!parent) return;  // what is wrong with it, the kernel will tell
  const auto& name = parent->name.str();
  if (!parent->up)
    notes.push_back(fmt::format("{} is down: what is on it has no network until `ip link set {} up`", name, name));
  else if (!parent->carrier)
    notes.push_back(fmt::format("{} has no carrier: what is on it has no network until it has", name));
  if (parent->wireless && spec.mode != MacvlanMode::kPassthru)
    notes.push_back(fmt::format("{} is wireless: most access points drop frames with another MAC than its own", name));
}

std::string deaf(const IfName& name) {
  return fmt::format(
      "{} is in mode source and allows nobody yet: it gets no frames (`create --allow-mac` says whose it gets)",
      name.str());
}

Error not_ours(Kernel& kernel, const IfName& name, std::string_view what, const std::optional<Child>& child) {
  if (child && child->parent != 0 && name == shim_name(child->parent))
    if (const auto parent = kernel.parent(child->parent, no_suspects()))
      return invalid(
          fmt::format("{} {}: it is the host's own link to the guests on {} (`virt-macvtap host down {}` takes "
                      "it away)",
                      what, name.str(), parent->name.str(), parent->name.str()));
  return invalid(
      fmt::format("{} {}: it was not made by virt-macvtap, which leaves it alone (use `ip link`)", what, name.str()));
}

std::expected<Child, Error> find_ours(Kernel& kernel, const IfName& name, std::string_view what) {
  auto child = kernel.child(name);
  if (!child) return fail(child.error());
  if (!*child) {
    const auto index = kernel.index_of(name);
    if (!index) return fail(index.error());
    if (*index) return fail(not_ours(kernel, name, what, std::nullopt));
    return fail(
        Error{ErrorKind::kNotFound,
              fmt::format("{} {}: there is no such device in this network namespace (see `virt-macvtap list`; those of "
                          "`exec` and the helper go with the process that holds them)",
                          what, name.str())});
  }
  if (!(*child)->ours) return fail(not_ours(kernel, name, what, *child));
  return **child;
}

void plan_deletion(std::vector<DeleteDevices::Device> devices, Planned& planned) {
  if (!devices.empty()) planned.changes.push_back(DeleteDevices{std::move(devices)});
}

DeviceSpec spec_of(const Nic& nic, const PremadeSource& source) {
  const bool passthru = source.wanted->mode == MacvlanMode::kPassthru;
  return {.name = source.device,
          .parent_name = source.wanted->parent,
          .mode = source.wanted->mode,
          .mac = passthru ? std::nullopt : std::optional(nic.mac),
          .mtu = {},
          .bc_queue_length = {},
          .allowed = {},
          .owner = {}};
}

// Devices that somebody else has made: the user, with `virt-macvtap create`, `ip`, or whatever makes a plain tap.
std::expected<bool, Error> is_anothers(Kernel& kernel, const IfName& name, const std::optional<Child>& present) {
  if (!present) {
    const auto index = kernel.index_of(name);
    if (!index) return fail(index.error());
    return index->has_value();
  }
  return !present->ours || present->use == DeviceUse(Standing{});
}

Status plan_device(Kernel& kernel, const Guest& guest, const DeviceSpec& wanted, Planned& planned) {
  DeviceSpec spec = wanted;
  auto present = kernel.child(spec.name);
  if (!present) return fail(present.error());
  const auto anothers = is_anothers(kernel, spec.name, *present);
  if (!anothers) return fail(anothers.error());
  if (*anothers) {
    planned.notes.push_back(fmt::format("guest {}: {} is there already and was not made for a guest; taken as it is",
                                        quoted(guest.name), spec.name.str()));
    return {};
  }
  if (auto status = check_standing_name(spec.name); !status) return status;
  if (auto status = fill_in_parent(kernel, spec); !status) return status;
  const ForGuest mine{*guest.uuid};
  if (*present && (*present)->use && (*present)->use != DeviceUse(mine))
    return fail(
        invalid(fmt::format("{} belongs to another guest ({}); choose another <target dev>, or run `virt-macvtap sync` "
                            "when that guest no longer runs",
                            spec.name.str(), alias_of(*(*present)->use))));
  // What a lost release or a killed call has left is never used again: a `sync` that saw it before this start may be
  // about to delete it, by its ifindex.
  if (*present) plan_deletion({{(*present)->index, (*present)->name}}, planned);
  planned.changes.push_back(CreateDevice{std::move(spec), mine});
  return {};
}

// Of our devices in this namespace those that `is_due` names, but for finished ones that somebody holds.
PlanResult plan_idle_deletion(Kernel& kernel, const FindHolder& find_holder,
                              const std::function<bool(const Child&)>& is_due) {
  const auto children = kernel.children();
  if (!children) return fail(children.error());
  Planned planned;
  std::vector<DeleteDevices::Device> devices;
  for (const auto& child : *children) {
    if (!child.ours || !is_due(child)) continue;
    const auto holder = child.use ? find_holder(child) : std::nullopt;
    if (!holder)
      devices.push_back({child.index, child.name});
    else
      planned.notes.push_back(fmt::format("{} stays: {} holds it (to delete it all the same: `virt-macvtap delete {}`)",
                                          child.name.str(), *holder, child.name.str()));
  }
  plan_deletion(std::move(devices), planned);
  return planned;
}

}  // namespace

PlanResult plan_create(Kernel& kernel, std::span<const DeviceSpec> specs) {
  Planned planned;
  std::set<IfName> names;
  std::map<IfName, unsigned> parents;  // as far as they have been looked up
  for (DeviceSpec spec : specs) {
    if (auto status = check_standing_name(spec.name); !status) return fail(status.error());
    if (auto status = check(spec); !status) return fail(status.error());
    if (!names.insert(spec.name).second) return fail(invalid(fmt::format("{}: named twice", spec.name.str())));
    if (const auto known = parents.find(spec.parent_name); known != parents.end()) {
      spec.parent = known->second;
    } else if (spec.parent == 0) {
      if (auto status = fill_in_parent(kernel, spec); !status) return fail(status.error());
      note_parent(kernel, spec, planned.notes);
      parents.emplace(spec.parent_name, spec.parent);
    }
    if (auto status = check_free(kernel, spec.name); !status) return fail(status.error());
    if (spec.mode == MacvlanMode::kSource && spec.allowed.empty()) planned.notes.push_back(deaf(spec.name));
    planned.changes.push_back(CreateDevice{std::move(spec), Standing{}});
  }
  return planned;
}

PlanResult plan_delete(Kernel& kernel, std::span<const IfName> names) {
  Planned planned;
  std::vector<DeleteDevices::Device> devices;
  for (const auto& name : names) {
    const auto child = find_ours(kernel, name, "delete");
    if (!child) return fail(child.error());
    if (!contains(devices, child->index, &DeleteDevices::Device::index)) devices.push_back({child->index, name});
  }
  plan_deletion(std::move(devices), planned);
  return planned;
}

PlanResult plan_change(Kernel& kernel, const ChangeDevice& change) {
  const auto child = find_ours(kernel, change.name, "set");
  if (!child) return fail(child.error());
  if (change.allmulticast && child->mode == MacvlanMode::kPassthru)
    // See create_self_removing(): the parent would be left in the wrong state for good.
    return fail(invalid(
        fmt::format("set {}: in mode passthru allmulticast is on and stays on; `ip link set PARENT allmulticast` says "
                    "what arrives",
                    change.name.str())));
  ChangeDevice known = change;
  known.index = child->index;
  known.macvtap = child->macvtap;
  Planned planned{.changes = {known}, .notes = {}};
  if (change.mode == MacvlanMode::kSource && child->mode != MacvlanMode::kSource)
    planned.notes.push_back(deaf(known.name));
  if (change.mac && child->mode == MacvlanMode::kPassthru)
    planned.notes.push_back(fmt::format("{} is in mode passthru: the parent gets this MAC, too, until {} is deleted",
                                        known.name.str(), known.name.str()));
  return planned;
}

std::vector<Error> create_all_or_none(Kernel& kernel, std::span<const Change> changes) {
  std::vector<IfName> made;
  for (const auto& change : changes) {
    const auto status = kernel.apply(change);
    if (status) {
      if (const auto* creation = std::get_if<CreateDevice>(&change)) made.push_back(creation->spec.name);
      continue;
    }
    std::vector<Error> errors{status.error()};
    Planned undo;
    std::vector<DeleteDevices::Device> devices;
    for (const auto& name : made)
      if (const auto child = kernel.child(name); child && *child && (*child)->ours)
        devices.push_back({(*child)->index, name});
    plan_deletion(std::move(devices), undo);
    std::ranges::move(apply_all(kernel, undo.changes), std::back_inserter(errors));
    return errors;
  }
  return {};
}

PlanResult plan_devices_for(Kernel& kernel, const Guest& guest) {
  Planned planned;
  for (const auto& nic : guest.nics) {
    const auto* source = std::get_if<PremadeSource>(&nic.source);
    if (source == nullptr || !source->wanted) continue;
    const auto status = guest.uuid ? plan_device(kernel, guest, spec_of(nic, *source), planned)
                                   : Status(fail(invalid(source->device.str() + ": the guest has no UUID")));
    if (!status)
      return fail(Error{status.error().kind, fmt::format("guest {}: {}", quoted(guest.name), status.error().message)});
  }
  return planned;
}

PlanResult plan_devices_gone(Kernel& kernel, const Guest& guest) {
  Planned planned;
  std::vector<DeleteDevices::Device> devices;
  for (const auto& nic : guest.nics) {
    const auto* source = std::get_if<PremadeSource>(&nic.source);
    if (source == nullptr || !guest.uuid) continue;
    const auto child = kernel.child(source->device);
    if (!child) return fail(child.error());
    // Unfinished: its `prepare` was killed, and the guest has not started.
    if (*child && (*child)->ours && (!(*child)->use || (*child)->use == DeviceUse(ForGuest{*guest.uuid})))
      devices.push_back({(*child)->index, (*child)->name});
  }
  plan_deletion(std::move(devices), planned);
  return planned;
}

PlanResult plan_clean_devices(Kernel& kernel, const FindHolder& find_holder) {
  return plan_idle_deletion(kernel, find_holder, [](const Child&) { return true; });
}

PlanResult plan_stale_devices(Kernel& kernel, std::span<const Guest> running, std::span<const unsigned> before,
                              const FindHolder& find_holder) {
  return plan_idle_deletion(kernel, find_holder, [&](const Child& device) {
    if (!contains(before, device.index)) return false;
    const auto* use = device.use ? std::get_if<ForGuest>(&*device.use) : nullptr;
    return !device.use || (use != nullptr && std::ranges::none_of(running, [&](const Guest& guest) {
                             return guest.uuid == use->guest && is_premade_of(device, guest);
                           }));
  });
}

}  // namespace vmt
