// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/attach_plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "lib/algorithm.h"
#include "lib/plan.h"
#include "lib/text.h"

namespace vmt {
namespace {

std::vector<unsigned> indices(std::span<const Parent> parents) {
  std::vector<unsigned> result;
  for (const auto& parent : parents) result.push_back(parent.index);
  return result;
}

// The parents that the attachments name; one that is not there, or is none, becomes a note. One that could not be read
// is an error: a plan for all of the host would take away what is on it. An attachment that names its parent by
// an altname gets the primary one, under which the configuration may switch it off.
std::expected<std::vector<Parent>, Error> read_parents(Kernel& kernel, std::vector<Attachment>& nics,
                                                       const Suspects& suspects, const Config& config,
                                                       std::vector<std::string>& notes) {
  std::map<IfName, std::optional<Parent>> known;
  for (auto& nic : nics) {
    auto [it, is_new] = known.try_emplace(nic.parent);
    if (is_new) {
      auto parent =
          nic.parent_index != 0 ? kernel.parent(nic.parent_index, suspects) : kernel.parent(nic.parent, suspects);
      if (parent)
        it->second = std::move(*parent);
      else if (parent.error().kind != ErrorKind::kNotFound && parent.error().kind != ErrorKind::kInvalid)
        return fail(parent.error());
      else
        notes.push_back(fmt::format("guest {}: no host access: {}", quoted(nic.guest), parent.error().message));
    }
    if (it->second) nic.parent = it->second->name;
  }
  std::erase_if(nics, [&](const Attachment& nic) { return !config.host_access_on(nic.parent); });
  std::vector<Parent> parents;
  for (const auto& [name, parent] : known)
    if (parent && contains(nics, parent->name, &Attachment::parent) &&
        !contains(parents, parent->index, &Parent::index))
      parents.push_back(*parent);
  return parents;
}

// For what somebody has written down points will do. What is learned is a guest's word, and a guest may want to be the
// gateway: all there are are looked at.
Suspects suspects_among(std::span<const Attachment> nics, const Whole* whole, const std::vector<IpAddress>& addresses) {
  const bool learned = std::ranges::any_of(nics, [](const Attachment& a) { return !a.learned.empty(); });
  return whole != nullptr || learned ? Suspects() : Suspects(addresses);
}

// Which MACs are macvtaps now; only worth the dump when an address is contended.
Status read_contenders(Kernel& kernel, std::span<const Attachment> nics, Facts& facts) {
  const bool contended = std::ranges::any_of(facts.neighbours, [&](const GuestNeighbour& n) {
    return std::ranges::any_of(nics,
                               [&](const Attachment& a) { return a.mac != n.mac && contains(a.addresses, n.guest); });
  });
  if (!contended) return {};
  auto children = kernel.children();
  if (!children) return fail(children.error());
  for (const auto& child : *children)
    if (child.macvtap) facts.live.push_back(child.mac);
  return {};
}

// What another guest that is there has claimed, and is now given to one of these.
bool is_beaten(const GuestNeighbour& n, const Desired& desired) {
  return n.origin == Origin::kLearned && contains(desired.addresses, n.guest, &DesiredAddress::guest);
}

// Of what is owned at these NICs' addresses, what a plan for them may touch: not another guest's that is there, and
// nothing made by hand.
Owned without_others(Owned owned, const Facts& facts, const Desired& desired, std::span<const Attachment> nics,
                     std::vector<std::string>& notes) {
  const auto others = [&](const GuestNeighbour& n) {
    if (n.origin == Origin::kManual) return true;
    return !contains(nics, n.mac, &Attachment::mac) && contains(facts.live, n.mac) && !is_beaten(n, desired);
  };
  for (const auto& n : owned.neighbours)
    if (!contains(nics, n.mac, &Attachment::mac) && contains(facts.live, n.mac) && is_beaten(n, desired))
      notes.push_back(
          fmt::format("address {} was learned from {}, which is not the guest that it is given to; taken "
                      "from it",
                      n.guest.str(), n.mac.str()));
  std::erase_if(owned.routes, [&](const GuestRoute& route) {
    return route.manual || std::ranges::any_of(owned.neighbours, [&](const GuestNeighbour& n) {
             return others(n) && n.guest == route.guest && n.shim == route.shim;
           });
  });
  std::erase_if(owned.neighbours, others);
  return owned;
}

// One guest's start only adds to a shim: an address or a proxy on it that this guest's configuration does not ask for
// may be another's, or made by hand. A sync, which knows them all, takes away what is stale.
void keep_what_others_use(const Owned& owned, Desired& desired) {
  for (auto& want : desired.shims) {
    const auto have = std::ranges::find(owned.shims, want.parent.index, &Shim::parent);
    if (have == owned.shims.end()) continue;
    for (const auto& address : have->addresses)
      if (!contains(want.addresses, address)) want.addresses.push_back(address);
    for (const auto& address : have->proxied)
      if (!contains(want.proxied, address)) want.proxied.push_back(address);
  }
}

// A shim that is kept may be a guest's as well: then it has what either wants, its own addresses and borrowed ones.
void keep(const Desired& kept, Desired& desired) {
  for (const auto& shim : kept.shims) {
    auto it =
        std::ranges::find_if(desired.shims, [&](const DesiredShim& s) { return s.parent.index == shim.parent.index; });
    if (it == desired.shims.end()) {
      desired.shims.push_back(shim);
      continue;
    }
    std::vector<IpPrefix> addresses = shim.addresses;
    for (const auto& address : it->addresses)
      if (!contains(addresses, address)) addresses.push_back(address);
    DesiredShim both = shim_for(shim.parent, shim.role, addresses);
    for (const auto& address : it->proxied)
      if (!contains(both.proxied, address)) both.proxied.push_back(address);
    *it = std::move(both);
  }
  for (auto address : kept.addresses) {
    const auto shim =
        std::ranges::find_if(desired.shims, [&](const DesiredShim& s) { return s.parent.index == address.parent; });
    if (shim != desired.shims.end())
      if (const auto source = source_for(address.guest, shim->parent, shim->addresses)) address.source = *source;
    desired.addresses.push_back(address);
  }
}

}  // namespace

PlanResult plan_attachments(Kernel& kernel, Attachments wanted, const Config& config, const Whole* whole,
                            Contention contention) {
  Planned result{.changes = {}, .notes = wanted.notes};
  if (wanted.nics.empty() && whole == nullptr) return result;
  std::vector<IpAddress> addresses;
  for (const auto& nic : wanted.nics) {
    addresses.insert(addresses.end(), nic.addresses.begin(), nic.addresses.end());
    addresses.insert(addresses.end(), nic.learned.begin(), nic.learned.end());
  }
  addresses = unique(std::move(addresses));
  Facts facts;
  auto parents = read_parents(kernel, wanted.nics, suspects_among(wanted.nics, whole, addresses), config, result.notes);
  if (!parents) return fail(parents.error());
  facts.parents = std::move(*parents);
  std::vector<MacAddress> marked;
  for (const auto& nic : wanted.nics)
    if (nic.mark) marked.push_back(nic.mac);
  auto owned =
      whole != nullptr
          ? whole->owned
          : kernel.owned(
                Scope{.parents = indices(facts.parents), .addresses = addresses, .marks = unique(std::move(marked))});
  if (!owned) return fail(owned.error());
  facts.neighbours = owned->neighbours;
  std::ranges::copy_if(owned->routes, std::back_inserter(facts.manual), &GuestRoute::manual);
  std::set<IpAddress> ours;
  for (const auto& route : owned->routes) ours.insert(route.guest);
  for (const auto& address : addresses) {
    if (ours.contains(address)) continue;  // so it is not the host's own
    auto route = kernel.route_to(address);
    if (!route) return fail(route.error());
    if (*route) facts.routes.emplace(address, **route);
  }
  if (contention == Contention::kLook)
    if (auto status = read_contenders(kernel, wanted.nics, facts); !status) return fail(status.error());
  Wish wish = desire(wanted.nics, facts, config);
  result.notes.insert(result.notes.end(), wish.notes.begin(), wish.notes.end());
  result.refused = std::move(wish.refused);
  if (whole == nullptr) {
    keep_what_others_use(*owned, wish.desired);
    result.changes = plan(wish.desired, without_others(*owned, facts, wish.desired, wanted.nics, result.notes));
    return result;
  }
  keep(whole->kept, wish.desired);
  result.changes = plan(wish.desired, *owned);
  return result;
}

std::optional<MacAddress> manual_mac(const Owned& owned, unsigned shim, const IpAddress& guest) {
  const auto it = std::ranges::find_if(owned.neighbours, [&](const GuestNeighbour& n) {
    return n.origin == Origin::kManual && n.shim == shim && n.guest == guest;
  });
  return it == owned.neighbours.end() ? std::nullopt : std::optional(it->mac);
}

std::expected<Desired, Error> manual_desire(Kernel& kernel, const Owned& owned) {
  Desired desired;
  for (const auto& shim : owned.shims) {
    const auto on_shim = [&](const GuestRoute& r) { return r.manual && r.shim == shim.index; };
    if (shim.parent == 0 || (shim.role != ShimRole::kManual && std::ranges::none_of(owned.routes, on_shim))) continue;
    auto parent = kernel.parent(shim.parent);
    if (!parent) return fail(parent.error());
    for (const auto& route : owned.routes) {
      if (!on_shim(route)) continue;
      const auto source = source_for(route.guest, *parent, shim.addresses);
      if (source || route.source)  // the one it has, when the host has no better one now
        desired.addresses.push_back({.parent = shim.parent,
                                     .guest = route.guest,
                                     .source = source ? *source : *route.source,
                                     .mac = manual_mac(owned, shim.index, route.guest),
                                     .origin = Origin::kManual});
    }
    desired.shims.push_back(shim_for(*parent, shim.role, shim.addresses));
  }
  return desired;
}

}  // namespace vmt
