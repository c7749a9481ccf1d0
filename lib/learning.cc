// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/learning.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

#include "lib/algorithm.h"
#include "lib/desire.h"

namespace vmt {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kRoomCheck{5000};  // an address heard of since then makes no room for another

}  // namespace

const Ground* Learning::ground(unsigned parent) const {
  const auto it = grounds_.find(parent);
  return it == grounds_.end() ? nullptr : &it->second;
}

Learning::GuestState* Learning::state(const GuestKey& guest) {
  const auto it = guests_.find(guest);
  return it == guests_.end() ? nullptr : &it->second;
}

std::optional<IpAddress> Learning::source_of(unsigned parent, const IpAddress& address, bool on_shim) const {
  const Ground* where = ground(parent);
  if (where == nullptr) return std::nullopt;
  const auto source = source_for(address, where->parent,
                                 on_shim ? config_->shim_addresses(where->parent.name) : std::vector<IpPrefix>{});
  return source ? std::optional(*source) : std::nullopt;
}

void Learning::update(std::vector<Ground> grounds, const std::vector<LearnedAddress>& given, Time now) {
  std::map<unsigned, Ground> next;
  for (auto& ground : grounds) {
    const auto old = grounds_.find(ground.parent.index);
    // On another ground other claims are good.
    if (old != grounds_.end() && old->second.parent.addresses != ground.parent.addresses)
      for (auto& [guest, state] : guests_)
        if (guest.parent == ground.parent.index) state.refused.clear();
    next.emplace(ground.parent.index, std::move(ground));
  }
  grounds_ = std::move(next);
  std::erase_if(guests_, [&](const auto& entry) {
    const Ground* where = ground(entry.first.parent);
    return where == nullptr || !where->guests.contains(entry.first.mac);
  });
  std::erase_if(leases_, [&](const auto& entry) { return state(entry.first) == nullptr; });
  std::set<GuestKey> newcomers;
  for (const auto& [index, ground] : grounds_)
    for (const auto& [mac, nic] : ground.guests) {
      const GuestKey guest{index, mac};
      if (!std::exchange(guests_[guest].up, nic.up) && nic.up) newcomers.insert(guest);
    }
  std::erase_if(known_, [](const auto& entry) { return entry.second.origin == Origin::kGiven; });
  for (const auto& g : given)
    known_.insert_or_assign(g.address,
                            Known{.parent = g.parent, .mac = g.mac, .origin = Origin::kGiven, .confirmed = now});
  owners_.clear();
  for (const auto& [name, guest] : config_->guests)
    for (const auto& [mac, addresses] : guest.given)
      for (const auto& address : addresses) owners_.emplace(address, mac);
  drop_what_no_longer_holds();
  recall(newcomers, now);
}

void Learning::recall(const std::set<GuestKey>& newcomers, Time now) {
  if (newcomers.empty()) return;
  for (const auto& [parent, heard, when] : overheard_)
    if (now - when < kMemory && newcomers.contains({parent, heard.mac})) hear(parent, heard, now);
}

// What was given is known here already: it makes a guest strict.
void Learning::drop_what_no_longer_holds() {
  const auto may_have = [&](const GuestKey& guest, const IpAddress& address) {
    return state(guest) != nullptr && may_learn(guest) && !is_anothers(address, guest.mac);
  };
  std::set<IpAddress> freed;
  std::erase_if(known_, [&](const auto& entry) {
    const auto& [address, known] = entry;
    if (known.origin == Origin::kGiven || may_have({known.parent, known.mac}, address)) return false;
    freed.insert(address);
    return true;
  });
  set_free(freed);
  for (auto& [address, open] : cases_)
    if (!known_.contains(address)) open.holder.reset();
  std::erase_if(cases_, [&](const auto& entry) {
    const auto& [address, open] = entry;
    const auto known = known_.find(address);
    if (known != known_.end() && known->second.origin == Origin::kGiven) return true;
    return open.claimant ? !may_have({open.parent, *open.claimant}, address) : !open.holder;
  });
}

void Learning::adopt(const LearnedAddress& learned) {
  const GuestKey guest{learned.parent, learned.mac};
  if (state(guest) == nullptr || !may_learn(guest) || is_anothers(learned.address, learned.mac)) return;
  known_.try_emplace(learned.address, Known{.parent = learned.parent, .mac = learned.mac, .confirmed = {}});
}

void Learning::refuse(const LearnedAddress& learned, std::string why, Time now) {
  const GuestKey guest{learned.parent, learned.mac};
  known_.erase(learned.address);
  refuse(guest, learned.address, now);
  note(guest, std::move(why));
}

void Learning::cannot_hear(unsigned parent, const MacAddress& mac, Time until, Time now) {
  auto* guest = state({parent, mac});
  if (guest == nullptr) return;
  guest->unheard_until = until;
  std::erase_if(cases_, [&](const auto& entry) {
    const auto& [address, open] = entry;
    const auto known = known_.find(address);
    if (!open.holder || known == known_.end() || !is_unheard(known->second, now)) return false;
    if (open.claimant) refuse({open.parent, *open.claimant}, address, now);
    return true;
  });
}

bool Learning::is_unheard(const Known& known, Time now) {
  const auto* guest = state({known.parent, known.mac});
  return guest != nullptr && (now < guest->unheard_until || is_down({known.parent, known.mac}));
}

bool Learning::is_down(const GuestKey& guest) const {
  const Ground* where = ground(guest.parent);
  if (where == nullptr) return false;
  const auto nic = where->guests.find(guest.mac);
  return nic != where->guests.end() && !nic->second.up;
}

void Learning::hear(unsigned parent, const Heard& heard, Time now) {
  check_the_silent(now);
  const GuestKey guest{parent, heard.mac};
  // The same guest on the host that it is about to leave; or it is up by now, and that has not been read yet.
  const bool down = is_down(guest);
  const bool is_guest = state(guest) != nullptr;
  if (heard.kind == Heard::Kind::kQuestion) {
    if (is_guest && !down) answer(guest, heard.address, *heard.asker);
    return;
  }
  if (!is_guest || down) {
    if (overheard_.size() == kMaxOverheard) overheard_.pop_front();
    overheard_.push_back({parent, heard, now});
  }
  if (down) return;
  if (heard.kind == Heard::Kind::kLease) {
    if (is_guest) expect_lease(guest, heard.address, now);
  } else if (is_guest) {
    hear_guest(guest, heard.address, now);
  } else {
    hear_stranger(parent, heard.mac, heard.address, now);
  }
}

void Learning::hear_guest(const GuestKey& guest, const IpAddress& address, Time now) {
  if (const auto lease = leases_.find(guest); lease != leases_.end() && lease->second.address == address)
    leases_.erase(lease);
  const auto known = known_.find(address);
  if (known == known_.end() || known->second.parent != guest.parent || known->second.mac != guest.mac)
    return claim(guest, address, now);
  known->second.confirmed = now;
  if (cases_.contains(address)) settle(address, known->second, now);
}

// A machine of the LAN, or one on the parent that gets no host access.
void Learning::hear_stranger(unsigned parent, const MacAddress& mac, const IpAddress& address, Time now) {
  const auto open = cases_.find(address);
  if (open != cases_.end() && open->second.parent == parent && open->second.claimant) {
    const GuestKey claimant{parent, *open->second.claimant};
    if (claimant.mac == mac) return;
    note(claimant, fmt::format("{} claims {}, which {} has: refused", claimant.mac.str(), address.str(), mac.str()));
    refuse(claimant, address, now);
    cases_.erase(open);
    return;
  }
  const auto known = known_.find(address);
  if (known == known_.end() || known->second.parent != parent || known->second.mac == mac) return;
  const GuestKey holder{parent, known->second.mac};
  if (known->second.origin == Origin::kGiven)
    note(holder,
         fmt::format("{} claims {}, which is given to {}: it stays there", mac.str(), address.str(), holder.mac.str()));
  else
    check(address, known->second, mac, now);
}

std::string Learning::why_never(const GuestKey& guest, const IpAddress& address) const {
  const Ground& where = grounds_.at(guest.parent);
  if (const auto source = source_for(address, where.parent, config_->shim_addresses(where.parent.name)); !source)
    return source.error().message;
  const auto known = known_.find(address);
  if (known != known_.end() && known->second.origin == Origin::kGiven)
    return fmt::format("is given to {}", known->second.mac.str());
  if (is_anothers(address, guest.mac)) return fmt::format("is given to {}", owners_.at(address).str());
  return {};
}

bool Learning::is_anothers(const IpAddress& address, const MacAddress& mac) const {
  const auto owner = owners_.find(address);
  return owner != owners_.end() && owner->second != mac;
}

bool Learning::may_learn(const GuestKey& guest) const {
  const Ground* where = ground(guest.parent);
  const auto nic = where == nullptr ? decltype(where->guests.end()){} : where->guests.find(guest.mac);
  if (where == nullptr || nic == where->guests.end()) return false;
  if (nic->second.learn != LearnMode::kStrict) return nic->second.learn == LearnMode::kYes;
  return std::ranges::none_of(known_, [&](const auto& entry) {
    const Known& k = entry.second;
    return k.origin == Origin::kGiven && k.parent == guest.parent && k.mac == guest.mac;
  });
}

std::size_t Learning::count_of(const GuestKey& guest) const {
  const auto known = std::ranges::count_if(known_, [&](const auto& entry) {
    return entry.second.origin == Origin::kLearned && entry.second.parent == guest.parent &&
           entry.second.mac == guest.mac;
  });
  const auto open = std::ranges::count_if(cases_, [&](const auto& entry) {
    return entry.second.parent == guest.parent && entry.second.claimant == guest.mac;
  });
  return static_cast<std::size_t>(known + open);
}

void Learning::claim(const GuestKey& guest, const IpAddress& address, Time now) {
  if (!may_learn(guest)) return;
  auto& refused = state(guest)->refused;
  if (const auto it = refused.find(address); it != refused.end() && now < it->second) return;
  if (refused.size() >= kMaxRefusals) {
    std::erase_if(refused, [&](const auto& entry) { return entry.second <= now; });
    if (refused.size() >= kMaxRefusals) return;
  }
  if (const auto why = why_never(guest, address); !why.empty()) {
    note(guest, fmt::format("{} on {} claims {}, which {}: refused", guest.mac.str(),
                            grounds_.at(guest.parent).parent.name.str(), address.str(), why));
    return refuse(guest, address, now);
  }
  if (const auto open = cases_.find(address); open != cases_.end()) {
    if (open->second.claimant == guest.mac && open->second.parent == guest.parent) return;
    // Whoever came first is being looked at; when nothing comes of it, the next announcement is heard.
    if (open->second.claimant) return;
  }
  if (count_of(guest) >= config_->max_addresses) return make_room(guest, now);
  const auto known = known_.find(address);
  if (known != known_.end() && is_unheard(known->second, now)) return refuse(guest, address, now);
  Case& open = cases_[address];
  open = Case{.parent = guest.parent, .claimant = guest.mac, .holder = {}, .rival = {}, .due = now + kObjection};
  ask(guest.parent, address, std::nullopt);
  if (known == known_.end()) return;
  open.holder = known->second.mac;
  open.asks_left = kAsks - 1;
  open.due = now + kAnswer;
  ask(known->second.parent, address, known->second.mac);
}

void Learning::make_room(const GuestKey& guest, Time now) {
  note(guest, fmt::format("{} claims more than {} addresses (max-addresses): further ones are refused while it has "
                          "those",
                          guest.mac.str(), config_->max_addresses));
  auto oldest = known_.end();
  for (auto it = known_.begin(); it != known_.end(); ++it)
    if (it->second.origin == Origin::kLearned && it->second.parent == guest.parent && it->second.mac == guest.mac &&
        (oldest == known_.end() || it->second.confirmed < oldest->second.confirmed))
      oldest = it;
  if (oldest != known_.end() && oldest->second.confirmed + kRoomCheck < now)
    check(oldest->first, oldest->second, std::nullopt, now);
}

void Learning::refuse(const GuestKey& guest, const IpAddress& address, Time now) {
  if (auto* refused = state(guest)) refused->refused[address] = now + kRefusal;
}

void Learning::set_free(const std::set<IpAddress>& addresses) {
  for (auto& [guest, state] : guests_)
    std::erase_if(state.refused, [&](const auto& entry) { return addresses.contains(entry.first); });
}

void Learning::note(const GuestKey& guest, std::string line) {
  auto* about = state(guest);
  if (about == nullptr || about->said.size() > kMaxNotes) return;
  if (about->said.size() == kMaxNotes)
    line = fmt::format("no more will be said about the claims of {}", guest.mac.str());
  if (about->said.insert(line).second) decisions_.notes.push_back(std::move(line));
}

void Learning::ask(unsigned parent, const IpAddress& address, const std::optional<MacAddress>& guest) {
  if (const auto source = source_of(parent, address, guest.has_value()))
    decisions_.questions.push_back({.parent = parent, .source = *source, .address = address, .guest = guest});
}

void Learning::learn(const GuestKey& guest, const IpAddress& address, Time now) {
  known_.insert_or_assign(address, Known{.parent = guest.parent, .mac = guest.mac, .confirmed = now});
  decisions_.learn.push_back({guest.parent, guest.mac, address});
  check_other_addresses(guest, address, now);
}

Learning::Decisions Learning::take() {
  return std::exchange(decisions_, {});
}

std::vector<LearnedAddress> Learning::learned() const {
  std::vector<LearnedAddress> all;
  for (const auto& [address, known] : known_)
    if (known.origin == Origin::kLearned) all.push_back({known.parent, known.mac, address});
  return all;
}

}  // namespace vmt
