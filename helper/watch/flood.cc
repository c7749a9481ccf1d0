// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/watch/flood.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace vmt {

std::string FloodGate::Mute::str() const {
  return fmt::format("frames of {} are ignored for {} s: more than {} a second ({} heard so far)",
                     mac ? mac->str() : "all that are no guests", length.count(),
                     mac ? kFramesPerSecond : kStrangersPerSecond, frames);
}

bool FloodGate::Account::is_idle(Time now) const {
  return !muted && drained <= now && (length == std::chrono::seconds{} || now >= muted_until + kForgivenAfter);
}

bool FloodGate::Account::add(unsigned count, Time now) {
  if (is_idle(now)) {
    length = {};
    times = 0;
    frames = 0;
  }
  frames += count;
  drained = std::max(drained, now) + count * std::chrono::nanoseconds(std::chrono::seconds{1}) / rate;
  return drained - now > kBurst;
}

void FloodGate::mute(Account& account, const std::optional<MacAddress>& mac, Time now) {
  account.length = std::clamp(2 * account.length, kShortestMute, kLongestMute);
  account.muted = true;
  account.muted_until = now + account.length;
  account.drained = account.muted_until;
  ++account.times;
  next_end_ = std::min(next_end_.value_or(account.muted_until), account.muted_until);
  settled_.rules_changed = true;
  settled_.mutes.push_back({mac, account.length, account.times, account.frames});
}

// nullptr: there are too many of them to keep an account of each.
FloodGate::Account* FloodGate::stranger(const MacAddress& mac, Time now) {
  if (const auto known = strangers_.find(mac); known != strangers_.end()) return &known->second;
  if (now - swept_ >= std::chrono::seconds{1}) {
    std::erase_if(strangers_, [&](const auto& entry) { return entry.second.is_idle(now); });
    swept_ = now;
  }
  return strangers_.size() < kMaxStrangers ? &strangers_[mac] : nullptr;
}

// What was on its way when the filter was set still comes, and counts for nobody.
void FloodGate::count(const MacAddress& mac, unsigned frames, Time now) {
  const auto guest = guests_.find(mac);
  const bool is_guest = guest != guests_.end();
  if (!is_guest && all_strangers_.muted) return;
  Account* account = is_guest ? &guest->second : stranger(mac, now);
  if (account != nullptr && account->muted) return;
  if (account != nullptr && account->add(frames, now)) mute(*account, mac, now);
  if (!is_guest && all_strangers_.add(frames, now)) mute(all_strangers_, std::nullopt, now);
}

void FloodGate::end_mutes(Time now) {
  next_end_ = std::nullopt;
  const auto visit = [&](Account& account) {
    if (!account.muted) return;
    if (account.muted_until <= now) {
      account.muted = false;
      settled_.rules_changed = true;
    } else {
      next_end_ = std::min(next_end_.value_or(account.muted_until), account.muted_until);
    }
  };
  for (auto& [mac, account] : guests_) visit(account);
  for (auto& [mac, account] : strangers_) visit(account);
  visit(all_strangers_);
}

FloodGate::Settled FloodGate::settle(Time now) {
  if (next_end_ && *next_end_ <= now) end_mutes(now);
  return std::exchange(settled_, {});
}

void FloodGate::set_guests(std::span<const MacAddress> guests) {
  const FilterRules before = rules();
  std::map<MacAddress, Account> now;
  for (const auto& mac : guests) {
    auto known = guests_.extract(mac);
    if (known.empty()) known = strangers_.extract(mac);
    if (known.empty())
      now.try_emplace(mac);
    else
      now.insert(std::move(known));
  }
  guests_ = std::move(now);
  if (rules() != before) settled_.rules_changed = true;
}

FilterRules FloodGate::rules() const {
  FilterRules rules;
  for (const auto* accounts : {&guests_, &strangers_})
    for (const auto& [mac, account] : *accounts)
      if (account.muted && rules.muted.size() < kMaxFilteredMacs) rules.muted.push_back(mac);
  if (!all_strangers_.muted || guests_.size() > kMaxFilteredMacs) return rules;
  rules.muted.clear();
  rules.only.emplace();
  for (const auto& [mac, account] : guests_)
    if (!account.muted) rules.only->push_back(mac);
  return rules;
}

}  // namespace vmt
