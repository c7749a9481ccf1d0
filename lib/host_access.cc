// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/host_access.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "lib/algorithm.h"
#include "lib/attach_plan.h"
#include "lib/desire.h"
#include "lib/plan.h"
#include "lib/premade.h"
#include "lib/text.h"
#include "lib/watch_plan.h"

namespace vmt {
namespace {

std::vector<MacAddress> macs_of(const Guest& guest) {
  std::vector<MacAddress> macs;
  for (const auto& nic : guest.nics) macs.push_back(nic.mac);
  return macs;
}

bool is_deletion(const Change& change) {
  return std::holds_alternative<DeleteShim>(change) || std::holds_alternative<DeleteRoute>(change) ||
         std::holds_alternative<DeleteNeighbour>(change) || std::holds_alternative<DeleteProxy>(change) ||
         std::holds_alternative<DeleteAddress>(change);
}

// Without those of guests that are switched off.
std::vector<Child> wanted_children(std::span<const Child> children, std::span<const Guest> guests) {
  std::set<MacAddress> off;
  for (const auto& guest : guests)
    if (!guest.host_access)
      for (const auto& nic : guest.nics) off.insert(nic.mac);
  std::vector<Child> wanted(children.begin(), children.end());
  std::erase_if(wanted, [&](const Child& child) { return off.contains(child.mac); });
  return wanted;
}

bool wants_whole_parent(const std::optional<Placement>& placement) {
  return placement && placement->mode == MacvlanMode::kPassthru;
}

std::expected<Owned, Error> owned_on(Kernel& kernel, unsigned parent) {
  return kernel.owned(Scope{.parents = std::vector<unsigned>{parent}, .addresses = std::nullopt});
}

// leaving(), which asks for the macvtaps on the host only when something would go without them. The guest's pre-made
// devices, which are there after it, keep nothing.
std::expected<Owned, Error> departing(Kernel& kernel, const Owned& owned, std::span<const MacAddress> macs,
                                      const Guest& guest) {
  Owned result = leaving(owned, {}, macs);
  if (result.shims.empty() && result.neighbours.empty() && result.marks.empty()) return result;
  auto children = owned.shims.size() == 1 ? kernel.children_beside(owned.shims.front()) : kernel.children();
  if (!children) return fail(children.error());
  std::erase_if(*children, [&](const Child& child) { return is_premade_of(child, guest); });
  return leaving(owned, *children, macs);
}

// The parents that a guest's NICs are on; nullopt when one of them is not told, or is called otherwise by now, and
// every shim has to be looked at.
std::expected<std::optional<std::vector<unsigned>>, Error> known_parents(Kernel& kernel, const Guest& guest) {
  std::vector<unsigned> parents;
  for (const auto& nic : guest.nics) {
    const auto placement = placement_of(nic);
    if (!placement) return std::nullopt;
    const auto index = kernel.index_of(placement->parent);
    if (!index) return fail(index.error());
    if (!*index) return std::nullopt;
    if (!contains(parents, **index)) parents.push_back(**index);
  }
  return parents;
}

std::vector<IpAddress> addresses_of(const ManualRequest& request) {
  std::vector<IpAddress> addresses;
  for (const auto& guest : request.guests) addresses.push_back(guest.address);
  return unique(std::move(addresses));
}

// The error says why it cannot be.
std::expected<DesiredAddress, Error> manual_address(Kernel& kernel, const Parent& parent, const ManualGuest& guest,
                                                    const std::vector<IpPrefix>& numbered, const Owned& owned) {
  const auto source = source_for(guest.address, parent, numbered);
  if (!source) return fail(source.error());
  const auto is_here = [&](const GuestNeighbour& n) { return n.guest == guest.address && n.origin != Origin::kManual; };
  const auto holder = std::ranges::find_if(owned.neighbours, is_here);
  if (holder != owned.neighbours.end())
    return fail(invalid(fmt::format("is held by the guest with {}", holder->mac.str())));
  const auto route = kernel.route_to(guest.address);
  if (!route) return fail(route.error());
  if (*route && (*route)->local) return fail(invalid("is the host's own address"));
  auto mac = guest.mac;
  if (!mac && !owned.shims.empty()) mac = manual_mac(owned, owned.shims.front().index, guest.address);
  return DesiredAddress{
      .parent = parent.index, .guest = guest.address, .source = *source, .mac = mac, .origin = Origin::kManual};
}

// A route without the neighbour that joins it to its guest would be nobody's: no guest's end finds it. So when a
// neighbour could not be made its route is not made either, and while a route could not be deleted its neighbour stays.
class Unexplained {
 public:
  void note_failure(const Change& change) {
    if (const auto* neighbour = std::get_if<AddNeighbour>(&change))
      to_come_.emplace(neighbour->parent, neighbour->guest);
    if (const auto* route = std::get_if<DeleteRoute>(&change)) still_there_.emplace(route->shim, route->guest);
  }

  bool comes_of(const Change& change) const {
    if (const auto* route = std::get_if<AddRoute>(&change)) return to_come_.contains({route->parent, route->guest});
    if (const auto* neighbour = std::get_if<DeleteNeighbour>(&change))
      return still_there_.contains({neighbour->shim, neighbour->guest});
    return false;
  }

 private:
  std::set<std::pair<unsigned, IpAddress>> to_come_;      // by parent
  std::set<std::pair<unsigned, IpAddress>> still_there_;  // by shim
};

}  // namespace

PlanResult plan_start(Kernel& kernel, const Guest& guest, const Config& config) {
  const auto placed = with_placements(kernel, guest);
  if (!placed) return fail(placed.error());
  return plan_attachments(kernel, attachments_of(*placed, config), config, nullptr);
}

PlanResult plan_stop(Kernel& kernel, const Guest& guest, IdleShims idle) {
  Planned result;
  if (guest.nics.empty()) return result;
  const auto placed = with_placements(kernel, guest);
  if (!placed) return fail(placed.error());
  auto parents = known_parents(kernel, *placed);
  if (!parents) return fail(parents.error());
  auto owned = kernel.owned(Scope{.parents = std::move(*parents), .addresses = std::nullopt});
  if (!owned) return fail(owned.error());
  auto going = departing(kernel, *owned, macs_of(guest), guest);
  if (!going) return fail(going.error());
  if (idle == IdleShims::kStay) going->shims.clear();
  result.changes = plan({}, *going);
  return result;
}

PlanResult plan_make_way(Kernel& kernel, const Guest& guest) {
  Planned result;
  for (const auto& nic : guest.nics) {
    const auto placement = placement_of(nic);
    if (!wants_whole_parent(placement)) continue;
    const IfName& name = placement->parent;
    const auto parent = kernel.index_of(name);
    if (!parent) return fail(parent.error());
    if (!*parent) continue;  // whoever makes the macvtap is about to say so
    auto owned = owned_on(kernel, **parent);
    if (!owned) return fail(owned.error());
    if (owned->shims.empty()) continue;
    auto idle = departing(kernel, *owned, {}, guest);
    if (!idle) return fail(idle.error());
    if (idle->shims.empty())
      result.notes.push_back(
          fmt::format("guest {} wants {} for itself (passthrough), but other guests or `host up` use it; "
                      "the kernel will refuse",
                      quoted(guest.name), name.str()));
    std::ranges::move(plan({}, *idle), std::back_inserter(result.changes));
  }
  return result;
}

PlanResult plan_sync(Kernel& kernel, std::span<const Guest> guests, const Config& config,
                     std::span<const Child> children) {
  Attachments all;
  for (const auto& guest : guests) {
    const auto placed = with_placements(kernel, guest);
    if (!placed) return fail(placed.error());
    auto one = attachments_of(*placed, config);
    std::ranges::move(one.nics, std::back_inserter(all.nics));
    std::ranges::move(one.notes, std::back_inserter(all.notes));
  }
  auto owned = kernel.owned(Scope{});
  if (!owned) return fail(owned.error());
  auto kept = manual_desire(kernel, *owned);
  if (!kept) return fail(kept.error());
  const auto find_guest = [&](const MacAddress& mac) -> const Guest* {
    const auto it = std::ranges::find_if(guests, [&](const Guest& g) { return contains(g.nics, mac, &Nic::mac); });
    return it == guests.end() ? nullptr : &*it;
  };
  const auto grounds = grounds_of(kernel, wanted_children(children, guests), config, find_guest);
  if (!grounds) return fail(grounds.error());
  attach_seen(*grounds, *owned, all);
  const Whole whole{.owned = std::move(*owned), .kept = std::move(*kept)};
  return plan_attachments(kernel, std::move(all), config, &whole);
}

PlanResult plan_clean(Kernel& kernel) {
  auto owned = kernel.owned(Scope{});
  if (!owned) return fail(owned.error());
  return Planned{.changes = plan({}, *owned), .notes = {}};
}

PlanResult plan_host_up(Kernel& kernel, const ManualRequest& request) {
  auto parent = kernel.parent(request.parent);  // all gateways: nothing corrects what is made by hand
  if (!parent) return fail(parent.error());
  auto owned = kernel.owned(Scope{.parents = std::vector<unsigned>{parent->index}, .addresses = addresses_of(request)});
  if (!owned) return fail(owned.error());
  std::vector<IpPrefix> numbered = request.addresses;
  if (!owned->shims.empty())
    for (const auto& address : owned->shims.front().addresses)
      if (!contains(numbered, address)) numbered.push_back(address);
  if (auto status = check_shim_addresses(numbered); !status) return fail(status.error());
  for (const auto& own : parent->addresses)
    if (contains(request.addresses, own.prefix.address, &IpPrefix::address))
      return fail(
          invalid(fmt::format("address {}: {} has it already", own.prefix.address.str(), request.parent.str())));
  Desired desired;
  desired.shims.push_back(shim_for(*parent, ShimRole::kManual, numbered));
  for (const auto& guest : request.guests) {
    auto address = manual_address(kernel, *parent, guest, numbered, *owned);
    if (!address)
      return fail(invalid(fmt::format("guest address {} on {}: {}", guest.address.str(), request.parent.str(),
                                      address.error().message)));
    if (contains(desired.addresses, guest.address, &DesiredAddress::guest)) continue;
    desired.addresses.push_back(*address);
  }
  return Planned{.changes = plan(desired, *owned), .notes = {}};
}

PlanResult plan_host_down(Kernel& kernel, const ManualRequest& request) {
  auto parent = kernel.parent(request.parent, no_suspects());
  if (!parent) return fail(parent.error());
  auto owned = owned_on(kernel, parent->index);
  if (!owned) return fail(owned.error());
  const auto stays = [&](const IpAddress& guest) {
    return !request.guests.empty() && !contains(request.guests, guest, &ManualGuest::address);
  };
  Owned going;
  std::ranges::copy_if(owned->routes, std::back_inserter(going.routes),
                       [&](const GuestRoute& r) { return r.manual && !stays(r.guest); });
  std::ranges::copy_if(owned->neighbours, std::back_inserter(going.neighbours),
                       [&](const GuestNeighbour& n) { return n.origin == Origin::kManual && !stays(n.guest); });
  Planned result;
  if (request.guests.empty() && !owned->shims.empty()) {
    Shim& shim = owned->shims.front();
    const bool was_manual = shim.role == ShimRole::kManual;
    shim.role = ShimRole::kGuests;
    // Needed is what a guest's known address uses; a macvtap alone, which may never have been libvirt's, keeps no shim.
    std::erase_if(owned->neighbours, [](const GuestNeighbour& n) { return n.origin == Origin::kManual; });
    going.shims = leaving(Owned{.shims = owned->shims, .routes = {}, .neighbours = owned->neighbours}, {}, {}).shims;
    if (going.shims.empty() && was_manual) result.changes.push_back(FinishShim{parent->index, ShimRole::kGuests});
  }
  std::ranges::move(plan({}, going), std::back_inserter(result.changes));
  return result;
}

std::vector<Error> apply_all(Kernel& kernel, std::span<const Change> changes) {
  std::vector<Error> errors;
  std::set<unsigned> without_shim;  // parents
  Unexplained unexplained;
  for (const auto& change : changes) {
    const unsigned parent = std::visit(
        [](const auto& c) -> unsigned {
          if constexpr (requires { c.parent; }) return c.parent;
          return 0;
        },
        change);
    if (without_shim.contains(parent) || unexplained.comes_of(change)) continue;
    const auto status = kernel.apply(change);
    if (status) continue;
    // Somebody was faster; what we wanted gone is gone.
    if (is_deletion(change) && status.error().kind == ErrorKind::kNotFound) continue;
    errors.push_back(status.error());
    unexplained.note_failure(change);
    if (std::holds_alternative<CreateShim>(change) || std::holds_alternative<FinishShim>(change))
      without_shim.insert(parent);
  }
  return errors;
}

}  // namespace vmt
