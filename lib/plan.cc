// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/plan.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "lib/algorithm.h"

namespace vmt {
namespace {

const Shim* shim_on(const Owned& owned, unsigned parent) {
  const auto it = std::ranges::find(owned.shims, parent, &Shim::parent);
  return it == owned.shims.end() ? nullptr : &*it;
}

bool wants_shim(const Desired& desired, const Shim& shim) {
  return std::ranges::any_of(desired.shims, [&](const DesiredShim& d) { return d.parent.index == shim.parent; });
}

// What makes two objects the same, so that thousands are compared in no time.
using RouteKey = std::tuple<IpAddress, unsigned, std::optional<IpAddress>, bool>;
using NeighbourKey = std::tuple<IpAddress, unsigned, MacAddress, Origin>;

RouteKey key_of(const GuestRoute& route) {
  return {route.guest, route.shim, route.source, route.manual};
}

NeighbourKey key_of(const GuestNeighbour& neighbour) {
  return {neighbour.guest, neighbour.shim, neighbour.mac, neighbour.origin};
}

class Planner {
 public:
  Planner(const Desired& desired, const Owned& owned) : desired_(desired), owned_(owned) {
    for (const auto& shim : owned_.shims) {
      shims_.emplace(shim.parent, shim.index);
      if (!wants_shim(desired_, shim)) doomed_.insert(shim.index);
    }
    for (const auto& want : desired_.addresses) {
      wanted_routes_.insert(route_key(want));
      if (want.mac) wanted_neighbours_.insert(neighbour_key(want));
    }
    for (const auto& shim : desired_.shims)
      if (loses_ipv4(shim)) emptied_.insert(shim_index(shim.parent.index));
    for (const auto& route : owned_.routes)
      if (!is_swept_away(route)) routes_.insert(key_of(route));
    for (const auto& neighbour : owned_.neighbours)
      if (!is_swept_away(neighbour)) neighbours_.insert(key_of(neighbour));
    for (const auto& want : desired_.marks) wanted_marks_.try_emplace({want.parent, mark_address(want.mac)}, want);
    for (const auto& mark : owned_.marks)
      if (!emptied_.contains(mark.shim)) marks_.emplace(MarkPlace{parent_of(mark.shim), mark.at}, mark.mark);
  }

  std::vector<Change> run() && {
    delete_routes();
    delete_neighbours();
    delete_marks();
    for (const auto& shim : owned_.shims)
      if (doomed_.contains(shim.index)) changes_.push_back(DeleteShim{shim.index, shim.name});
    for (const auto& shim : desired_.shims) converge_shim(shim);
    add_marks();
    add_neighbours();
    add_routes();
    return std::move(changes_);
  }

 private:
  unsigned shim_index(unsigned parent) const {
    const auto it = shims_.find(parent);
    return it == shims_.end() ? 0 : it->second;
  }

  unsigned parent_of(unsigned shim) const {
    const auto it = std::ranges::find(owned_.shims, shim, &Shim::index);
    return it == owned_.shims.end() ? 0 : it->parent;
  }

  RouteKey route_key(const DesiredAddress& want) const {
    return {want.guest, shim_index(want.parent), want.source, want.origin == Origin::kManual};
  }

  NeighbourKey neighbour_key(const DesiredAddress& want) const {
    return {want.guest, shim_index(want.parent), *want.mac, want.origin};
  }

  // With a link's last IPv4 address the kernel drops all its IPv4 routes and neighbours, the permanent ones, too, and
  // whatever made them (proven by netns/kernel_cascade_test).
  bool loses_ipv4(const DesiredShim& want) const {
    const auto is_v4 = [](const IpPrefix& p) { return p.address.is_v4(); };
    const Shim* have = shim_on(owned_, want.parent.index);
    return have != nullptr && std::ranges::any_of(have->addresses, is_v4) &&
           std::ranges::none_of(want.addresses, is_v4);
  }

  bool is_swept_away(const auto& object) const { return object.guest.is_v4() && emptied_.contains(object.shim); }

  // The kernel drops what sits on a shim together with it.
  void delete_routes() {
    for (const auto& route : owned_.routes)
      if (!doomed_.contains(route.shim) && !wanted_routes_.contains(key_of(route)))
        changes_.push_back(DeleteRoute{route.shim, route.guest, route.manual});
  }

  void delete_neighbours() {
    for (const auto& neighbour : owned_.neighbours)
      if (!doomed_.contains(neighbour.shim) && !wanted_neighbours_.contains(key_of(neighbour)))
        changes_.push_back(DeleteNeighbour{neighbour.shim, neighbour.guest});
  }

  // A mark that would not name all that its NIC is given goes before that is made, and the right one comes before it.
  bool still_holds(const DesiredMark& want, const MacAddress& mark) const {
    return want.mark ? *want.mark == mark
                     : std::ranges::none_of(desired_.addresses, [&](const DesiredAddress& address) {
                         return address.parent == want.parent && address.mac == want.mac &&
                                address.origin == Origin::kGiven && !neighbours_.contains(neighbour_key(address));
                       });
  }

  void delete_marks() {
    for (const auto& mark : owned_.marks) {
      if (doomed_.contains(mark.shim) || emptied_.contains(mark.shim)) continue;
      const auto want = wanted_marks_.find({parent_of(mark.shim), mark.at});
      if (want == wanted_marks_.end() || !still_holds(want->second, mark.mark))
        changes_.push_back(DeleteMark{mark.shim, mark.at});
    }
  }

  void add_marks() {
    for (const auto& [place, want] : wanted_marks_) {
      const auto have = marks_.find(place);
      if (want.mark && (have == marks_.end() || have->second != *want.mark))
        changes_.push_back(AddMark{want.parent, place.second, *want.mark});
    }
  }

  void converge_shim(const DesiredShim& want) {
    const Parent& parent = want.parent;
    const Shim* have = shim_on(owned_, parent.index);
    if (have == nullptr) changes_.push_back(CreateShim{parent.index, parent.name, shim_mac(parent.mac)});
    const Shim none{.name = shim_name(parent.index), .mac = parent.mac, .addresses = {}, .proxied = {}};
    const Shim& now = have == nullptr ? none : *have;
    const auto delete_addresses = [&](bool v4) {
      for (const auto& address : now.addresses)
        if (address.address.is_v4() == v4 && !contains(want.addresses, address))
          changes_.push_back(DeleteAddress{parent.index, address});
    };
    // An IPv4 address comes before the old one goes, which would be the last otherwise; IPv6 takes none twice, whatever
    // its prefix.
    delete_addresses(false);
    for (const auto& address : want.addresses)
      if (!contains(now.addresses, address)) changes_.push_back(AddAddress{parent.index, address});
    delete_addresses(true);
    for (const auto& address : now.proxied)
      if (!contains(want.proxied, address)) changes_.push_back(DeleteProxy{parent.index, address});
    for (const auto& address : want.proxied)
      if (!contains(now.proxied, address)) changes_.push_back(AddProxy{parent.index, address});
    // A shim made by hand stays one: guests that come and go must not take it away.
    const ShimRole role = now.role == ShimRole::kManual ? now.role : want.role;
    if (!now.configured || now.role != role) changes_.push_back(FinishShim{parent.index, role});
  }

  void add_neighbours() {
    for (const auto& want : desired_.addresses)
      if (want.mac && !neighbours_.contains(neighbour_key(want)))
        changes_.push_back(AddNeighbour{want.parent, want.guest, *want.mac, want.origin});
  }

  void add_routes() {
    for (const auto& want : desired_.addresses)
      if (!routes_.contains(route_key(want)))
        changes_.push_back(AddRoute{want.parent, want.guest, want.source, want.origin == Origin::kManual});
  }

  const Desired& desired_;
  const Owned& owned_;
  std::map<unsigned, unsigned> shims_;  // by parent
  std::set<unsigned> doomed_;           // shims that nobody wants
  std::set<unsigned> emptied_;          // those that lose their last IPv4 address
  std::set<RouteKey> wanted_routes_, routes_;
  std::set<NeighbourKey> wanted_neighbours_, neighbours_;
  using MarkPlace = std::pair<unsigned, IpAddress>;  // parent, address
  std::map<MarkPlace, DesiredMark> wanted_marks_;    // of those that share a place the first
  std::map<MarkPlace, MacAddress> marks_;
  std::vector<Change> changes_;
};

bool needed_by_others(const Shim& shim, const Owned& owned, std::span<const Child> children,
                      const std::vector<GuestNeighbour>& going) {
  if (shim.role == ShimRole::kManual) return true;
  const auto on_shim = [&](const auto& object) { return object.shim == shim.index; };
  const auto stays = [&](const GuestNeighbour& n) {
    return on_shim(n) && !contains(going, n.guest, &GuestNeighbour::guest);
  };
  return std::ranges::any_of(owned.routes, [&](const GuestRoute& r) { return on_shim(r) && r.manual; }) ||
         std::ranges::any_of(owned.neighbours, stays) || std::ranges::any_of(children, [&](const Child& c) {
           return c.parent == shim.parent && c.macvtap && c.mode == MacvlanMode::kBridge;
         });
}

}  // namespace

std::vector<Change> plan(const Desired& desired, const Owned& owned) {
  return Planner(desired, owned).run();
}

Owned leaving(const Owned& owned, std::span<const Child> children, std::span<const MacAddress> macs) {
  Owned result;
  const auto is_there = [&](unsigned index, const MacAddress& mac) {
    const auto shim = std::ranges::find(owned.shims, index, &Shim::index);
    return std::ranges::any_of(children, [&](const Child& c) {
      return c.macvtap && c.mac == mac && (shim == owned.shims.end() || c.parent == shim->parent);
    });
  };
  for (const auto& neighbour : owned.neighbours) {
    if (neighbour.origin == Origin::kManual || !contains(macs, neighbour.mac) ||
        is_there(neighbour.shim, neighbour.mac))
      continue;
    result.neighbours.push_back(neighbour);
    for (const auto& route : owned.routes)
      if (!route.manual && route.shim == neighbour.shim && route.guest == neighbour.guest)
        result.routes.push_back(route);
  }
  for (const auto& mark : owned.marks)
    for (const auto& mac : macs)
      if (mark_address(mac) == mark.at && !is_there(mark.shim, mac)) result.marks.push_back(mark);
  for (const auto& shim : owned.shims)
    if (!needed_by_others(shim, owned, children, result.neighbours)) result.shims.push_back(shim);
  return result;
}

}  // namespace vmt
