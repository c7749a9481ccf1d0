// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/marked_stop.h"

#include <algorithm>
#include <set>

#include "lib/algorithm.h"
#include "lib/desire.h"
#include "lib/plan.h"
#include "lib/premade.h"

namespace vmt {
namespace {

// A NIC's macvtap in bridge mode; nullopt when it may be one, on any parent.
std::optional<bool> is_attached(const Nic& nic) {
  const auto placement = placement_of(nic);
  return placement ? std::optional(placement->mode == MacvlanMode::kBridge) : std::nullopt;
}

// The shims on which this NIC's mark is and says what it has to; nullopt: one says something else.
std::optional<std::set<unsigned>> marked_on(const Owned& owned, const Guest& guest, const Nic& nic,
                                            const Config& config) {
  const auto right = mark_of(*guest.uuid, nic.mac, addresses_given(guest, config, nic.mac));
  std::set<unsigned> shims;
  for (const auto& mark : owned.marks) {
    if (mark.at != mark_address(nic.mac)) continue;
    if (mark.mark != right) return std::nullopt;
    shims.insert(mark.shim);
  }
  return shims;
}

// The parents of the NICs that are, or may be, attached; nullopt: any.
std::expected<std::optional<std::vector<unsigned>>, Error> parents_of(Kernel& kernel, const Guest& guest) {
  std::vector<unsigned> parents;
  for (const auto& nic : guest.nics) {
    const auto placement = placement_of(nic);
    if (!placement) return std::nullopt;
    if (placement->mode != MacvlanMode::kBridge) continue;
    const auto index = kernel.index_of(placement->parent);
    if (!index) return fail(index.error());
    if (!*index) return std::nullopt;
    parents.push_back(**index);
  }
  return unique(std::move(parents));
}

std::expected<Owned, Error> owned_at(Kernel& kernel, const Guest& guest, const Config& config) {
  auto parents = parents_of(kernel, guest);
  if (!parents) return fail(parents.error());
  Scope scope{.parents = std::move(*parents), .addresses = std::vector<IpAddress>{}};
  for (const auto& nic : guest.nics) {
    if (is_attached(nic) == false) continue;
    scope.marks.push_back(nic.mac);
    std::ranges::copy(addresses_given(guest, config, nic.mac), std::back_inserter(*scope.addresses));
  }
  scope.marks = unique(std::move(scope.marks));
  scope.addresses = unique(std::move(*scope.addresses));
  return kernel.owned(scope);
}

// What the NIC has on the shims that its marks are on.
void take_leave(const Owned& owned, const MacAddress& mac, const std::set<unsigned>& shims, Owned& going) {
  for (const auto& mark : owned.marks)
    if (mark.at == mark_address(mac) && shims.contains(mark.shim)) going.marks.push_back(mark);
  for (const auto& neighbour : owned.neighbours) {
    if (neighbour.mac != mac || neighbour.origin == Origin::kManual || !shims.contains(neighbour.shim)) continue;
    going.neighbours.push_back(neighbour);
    for (const auto& route : owned.routes)
      if (!route.manual && route.shim == neighbour.shim && route.guest == neighbour.guest)
        going.routes.push_back(route);
  }
}

// A shim that serves nobody else may have to go, which takes more than marks to know.
std::expected<bool, Error> all_stay(Kernel& kernel, const Owned& owned, const std::set<unsigned>& shims,
                                    std::span<const MacAddress> macs) {
  for (const auto& shim : owned.shims) {
    if (!shims.contains(shim.index) || shim.role == ShimRole::kManual) continue;
    const auto others = kernel.serves_others(shim, macs);
    if (!others || !*others) return others;
  }
  return true;
}

}  // namespace

std::expected<std::optional<Planned>, Error> plan_marked_stop(Kernel& kernel, const Guest& guest, const Config& config,
                                                              IdleShims idle) {
  if (!guest.uuid || guest.nics.empty()) return std::nullopt;
  const auto placed = with_placements(kernel, guest);
  if (!placed) return fail(placed.error());
  const auto owned = owned_at(kernel, *placed, config);
  if (!owned) return fail(owned.error());
  Owned going;
  std::set<unsigned> shims;
  std::vector<MacAddress> macs;
  for (const auto& nic : placed->nics) {
    const auto attached = is_attached(nic);
    if (attached == false) continue;
    const auto marked = marked_on(*owned, *placed, nic, config);
    // Without a mark: of a NIC in a <network> it was a NIC of another kind.
    if (!marked || (marked->empty() && attached.has_value())) return std::nullopt;
    take_leave(*owned, nic.mac, *marked, going);
    shims.insert(marked->begin(), marked->end());
    macs.push_back(nic.mac);
  }
  if (shims.empty()) return std::nullopt;
  const auto stay = idle == IdleShims::kStay ? true : all_stay(kernel, *owned, shims, macs);
  if (!stay) return fail(stay.error());
  if (!*stay) return std::nullopt;
  return Planned{.changes = plan({}, going), .notes = {}};
}

}  // namespace vmt
