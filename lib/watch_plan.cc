// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/watch_plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "lib/algorithm.h"
#include "lib/attach_plan.h"

namespace vmt {
namespace {

const Ground* find(std::span<const Ground> grounds, unsigned parent) {
  const auto it = std::ranges::find_if(grounds, [&](const Ground& g) { return g.parent.index == parent; });
  return it == grounds.end() ? nullptr : &*it;
}

const Shim* shim_on(const Owned& owned, unsigned parent) {
  const auto it = std::ranges::find(owned.shims, parent, &Shim::parent);
  return it == owned.shims.end() ? nullptr : &*it;
}

// The pinned neighbours of one origin whose guests are there.
std::vector<LearnedAddress> pinned_on(std::span<const Ground> grounds, const Owned& owned, Origin origin) {
  std::map<unsigned, const Ground*> by_shim;
  for (const auto& shim : owned.shims)
    if (const Ground* ground = find(grounds, shim.parent)) by_shim.emplace(shim.index, ground);
  std::vector<LearnedAddress> pinned;
  for (const auto& neighbour : owned.neighbours) {
    const auto it = by_shim.find(neighbour.shim);
    if (neighbour.origin == origin && it != by_shim.end() && it->second->guests.contains(neighbour.mac))
      pinned.push_back({it->second->parent.index, neighbour.mac, neighbour.guest});
  }
  return pinned;
}

// Shims without guests that wait for one.
Status keep_lingering(Kernel& kernel, const Owned& owned, const Watched& watched, Desired& kept) {
  for (const unsigned index : watched.lingering) {
    const Shim* shim = shim_on(owned, index);
    const bool is_kept = std::ranges::any_of(kept.shims, [&](const DesiredShim& s) { return s.parent.index == index; });
    if (shim == nullptr || is_kept || find(watched.grounds, index) != nullptr) continue;
    const auto parent = kernel.parent(index);
    if (parent) kept.shims.push_back(shim_for(*parent, shim->role, shim->addresses));
    if (!parent && parent.error().kind != ErrorKind::kNotFound) return fail(parent.error());
  }
  return {};
}

GuestNic nic_of(const Child& child, const IfName& parent, const Guest* guest, const NicConfig* written,
                const Config& config) {
  GuestNic nic{.guest = guest == nullptr ? child.name.str() : guest->name,
               .given = written == nullptr ? std::vector<IpAddress>{} : written->given,
               .learn = config.learning(parent, written, guest),
               .up = child.up};
  if (guest == nullptr) return nic;
  if (guest->uuid) nic.mark = mark_of(*guest->uuid, child.mac, addresses_given(*guest, config, child.mac));
  for (const auto& given : guest->given)
    if (given.mac == child.mac)
      for (const auto& address : given.addresses)
        if (!contains(nic.given, address)) nic.given.push_back(address);
  return nic;
}

using Key = std::pair<unsigned, MacAddress>;

std::map<Key, std::vector<IpAddress>> by_guest(std::span<const LearnedAddress> addresses) {
  std::map<Key, std::vector<IpAddress>> result;
  for (const auto& address : addresses) result[{address.parent, address.mac}].push_back(address.address);
  return result;
}

}  // namespace

std::expected<std::vector<Ground>, Error> grounds_of(Kernel& kernel, std::span<const Child> children,
                                                     const Config& config, const FindGuest& find_guest) {
  std::map<unsigned, Ground> grounds;
  const auto written = config.nics();
  for (const auto& child : children) {
    if (!child.macvtap || child.mode != MacvlanMode::kBridge || child.parent == 0) continue;
    const Guest* guest = find_guest(child.mac);
    if (guest != nullptr && !guest->host_access) continue;
    auto it = grounds.find(child.parent);
    if (it == grounds.end()) {
      auto parent = kernel.parent(child.parent);
      if (!parent && parent.error().kind != ErrorKind::kNotFound && parent.error().kind != ErrorKind::kInvalid)
        return fail(parent.error());
      if (!parent || !config.host_access_on(parent->name)) continue;
      it = grounds.emplace(child.parent, Ground{.parent = std::move(*parent), .guests = {}}).first;
    }
    const auto nic = written.find(child.mac);
    it->second.guests.emplace(
        child.mac, nic_of(child, it->second.parent.name, guest, nic == written.end() ? nullptr : &nic->second, config));
  }
  std::vector<Ground> result;
  for (auto& [index, ground] : grounds) result.push_back(std::move(ground));
  return result;
}

std::vector<MacAddress> macs_on(std::span<const Ground> grounds) {
  std::vector<MacAddress> macs;
  for (const auto& ground : grounds)
    for (const auto& [mac, nic] : ground.guests) macs.push_back(mac);
  return macs;
}

std::vector<LearnedAddress> given_on(std::span<const Ground> grounds, const Owned& owned) {
  auto given = pinned_on(grounds, owned, Origin::kGiven);
  const std::set<LearnedAddress> pinned(given.begin(), given.end());
  for (const auto& ground : grounds)
    for (const auto& [mac, nic] : ground.guests)
      for (const auto& address : nic.given)
        if (const LearnedAddress entry{ground.parent.index, mac, address}; !pinned.contains(entry))
          given.push_back(entry);
  return given;
}

std::vector<LearnedAddress> learned_on(std::span<const Ground> grounds, const Owned& owned) {
  return pinned_on(grounds, owned, Origin::kLearned);
}

void attach_seen(std::span<const Ground> grounds, const Owned& owned, Attachments& named) {
  const auto learned = by_guest(learned_on(grounds, owned));
  for (const auto& ground : grounds) {
    const bool comes = contains(named.nics, ground.parent.name, &Attachment::parent);
    if (!comes && shim_on(owned, ground.parent.index) == nullptr) continue;
    for (const auto& [mac, seen] : ground.guests) {
      auto nic = std::ranges::find_if(
          named.nics, [&](const Attachment& a) { return a.mac == mac && a.parent == ground.parent.name; });
      if (nic == named.nics.end())
        nic = named.nics.insert(nic, {.guest = seen.guest,
                                      .parent = ground.parent.name,
                                      .mac = mac,
                                      .addresses = seen.given,
                                      .mark = seen.mark,
                                      .parent_index = ground.parent.index});
      const auto found = learned.find(Key{ground.parent.index, mac});
      if (found == learned.end() || seen.learn == LearnMode::kNo) continue;
      if (seen.learn == LearnMode::kStrict && !nic->addresses.empty()) continue;
      nic->learned = found->second;
    }
  }
}

PlanResult plan_watch(Kernel& kernel, Owned owned, const Watched& watched, const Config& config) {
  auto kept = manual_desire(kernel, owned);
  if (!kept) return fail(kept.error());
  if (auto status = keep_lingering(kernel, owned, watched, *kept); !status) return fail(status.error());
  const auto given = by_guest(given_on(watched.grounds, owned));
  const auto learned = by_guest(watched.learned);
  Attachments all;
  for (const auto& ground : watched.grounds) {
    // A shim that is there stays: the host's address may only be changing.
    if (ground.parent.addresses.empty() && shim_on(owned, ground.parent.index) == nullptr) {
      all.notes.push_back(fmt::format("parent {} has no address: no host access for its guests until it has one",
                                      ground.parent.name.str()));
      continue;
    }
    for (const auto& [mac, nic] : ground.guests) {
      const Key key{ground.parent.index, mac};
      const auto addresses_in = [&](const auto& map) {
        const auto it = map.find(key);
        return it == map.end() ? std::vector<IpAddress>{} : it->second;
      };
      all.nics.push_back({.guest = nic.guest,
                          .parent = ground.parent.name,
                          .mac = mac,
                          .addresses = addresses_in(given),
                          .learned = addresses_in(learned),
                          .mark = nic.mark,
                          .parent_index = ground.parent.index});
    }
  }
  const Whole whole{.owned = std::move(owned), .kept = std::move(*kept)};
  return plan_attachments(kernel, std::move(all), config, &whole, Contention::kDecided);
}

PlanResult plan_learned(Kernel& kernel, const LearnedAddress& learned, const Ground& ground, const Config& config) {
  const auto nic = ground.guests.find(learned.mac);
  Attachments one;
  one.nics.push_back({.guest = nic == ground.guests.end() ? learned.mac.str() : nic->second.guest,
                      .parent = ground.parent.name,
                      .mac = learned.mac,
                      .addresses = {},
                      .learned = {learned.address},
                      .parent_index = ground.parent.index});
  return plan_attachments(kernel, std::move(one), config, nullptr, Contention::kDecided);
}

}  // namespace vmt
