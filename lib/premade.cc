// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/premade.h"

#include <algorithm>

namespace vmt {
namespace {

std::expected<std::optional<Placement>, Error> placement_on(Kernel& kernel, const Child& device,
                                                            const std::optional<Placement>& wanted) {
  // The name that the user has written may be an altname; it finds the parent as well, and needs one query less.
  if (wanted) {
    const auto index = kernel.index_of(wanted->parent);
    if (!index) return fail(index.error());
    if (*index == device.parent) return Placement{wanted->parent, device.mode};
  }
  if (device.parent == 0) return std::nullopt;  // in another namespace, where we have no shim
  const auto parent = kernel.parent(device.parent, no_suspects());
  if (!parent && parent.error().kind != ErrorKind::kNotFound && parent.error().kind != ErrorKind::kInvalid)
    return fail(parent.error());
  if (!parent) return std::nullopt;
  return Placement{parent->name, device.mode};
}

}  // namespace

std::expected<Guest, Error> with_placements(Kernel& kernel, Guest guest) {
  for (auto& nic : guest.nics) {
    auto* source = std::get_if<PremadeSource>(&nic.source);
    if (source == nullptr) continue;
    const auto child = kernel.child(source->device);
    if (!child) return fail(child.error());
    if (*child && (*child)->macvtap) {
      auto placement = placement_on(kernel, **child, source->wanted);
      if (!placement) return fail(placement.error());
      source->wanted = std::move(*placement);
    } else if (*child) {
      source->wanted.reset();
    } else {
      const auto index = kernel.index_of(source->device);
      if (!index) return fail(index.error());
      if (*index) source->wanted.reset();
    }
  }
  return guest;
}

bool is_premade_of(const Child& child, const Guest& guest) {
  if (const auto* use = child.use ? std::get_if<ForGuest>(&*child.use) : nullptr; use && guest.uuid != use->guest)
    return false;
  return std::ranges::any_of(guest.nics, [&](const Nic& nic) {
    const auto* source = std::get_if<PremadeSource>(&nic.source);
    return source != nullptr && source->device == child.name;
  });
}

}  // namespace vmt
