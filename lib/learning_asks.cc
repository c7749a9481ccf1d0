// SPDX-License-Identifier: LGPL-2.1-or-later
// Learning, its other half: asking guests, and what time brings.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "lib/algorithm.h"
#include "lib/desire.h"
#include "lib/learning.h"

namespace vmt {
namespace {

using std::chrono::milliseconds;

// When a DHCP client is asked whether it has its address yet: servers answer in milliseconds, or check the address
// first for a second or three.
constexpr std::array kLeaseAsks = {milliseconds(20),  milliseconds(80),   milliseconds(200),  milliseconds(300),
                                   milliseconds(200), milliseconds(1000), milliseconds(2000), milliseconds(4000)};
// The first ones do not name the host: a guest that knows the host's MAC before its route is there would talk to it at
// once, and get no answer. A guest without a way to link-local addresses does not answer such a question.
constexpr std::size_t kNamelessAsks = 4;
constexpr std::string_view kNobody = "169.254.118.109";
constexpr milliseconds kLookPeriod{1000};  // between two looks for silent addresses
constexpr int kChecksPerLook = 16;
constexpr milliseconds kSearchPeriod{200};  // between two searches among all guests
constexpr std::size_t kGuestsPerSearch = 64;

}  // namespace

void Learning::expect_lease(const GuestKey& guest, const IpAddress& address, Time now) {
  const auto known = known_.find(address);
  const bool has_it = known != known_.end() && known->second.mac == guest.mac && known->second.parent == guest.parent;
  if (has_it || !may_learn(guest) || !why_never(guest, address).empty()) return;
  // Repeated requests must not put off the questions.
  if (const auto lease = leases_.find(guest); lease != leases_.end() && lease->second.address == address) return;
  leases_.insert_or_assign(guest, Lease{.address = address, .due = now + kLeaseAsks[0]});
}

// A guest of which no address is known here would get no further answer: the host has no route to it.
void Learning::answer(const GuestKey& guest, const IpAddress& address, const IpAddress& asker) {
  const bool is_known = std::ranges::any_of(known_, [&](const auto& entry) {
    return !entry.first.is_v4() && entry.second.parent == guest.parent && entry.second.mac == guest.mac;
  });
  const Parent& parent = grounds_.at(guest.parent).parent;
  const auto shim = shim_for(parent, ShimRole::kGuests, config_->shim_addresses(parent.name));
  if (is_known && contains(shim.proxied, address))
    decisions_.answers.push_back({.parent = guest.parent, .address = address, .guest = guest.mac, .asker = asker});
}

void Learning::missed(unsigned parent, const IpAddress& address, Time now) {
  if (known_.contains(address) || now < next_search_ || !source_of(parent, address, true)) return;
  next_search_ = now + kSearchPeriod;
  std::vector<MacAddress> candidates;
  for (const auto& [guest, state] : guests_)
    if (guest.parent == parent && may_learn(guest)) candidates.push_back(guest.mac);
  // Of many, others each time.
  const std::size_t first = candidates.size() > kGuestsPerSearch ? asked_so_far_ % candidates.size() : 0;
  for (std::size_t i = 0; i < std::min(candidates.size(), kGuestsPerSearch); ++i, ++asked_so_far_)
    ask(parent, address, candidates[(first + i) % candidates.size()]);
}

void Learning::check(const IpAddress& address, const Known& known, std::optional<MacAddress> rival, Time now) {
  const auto present = cases_.find(address);
  const bool in_a_hurry = rival && present != cases_.end() && !present->second.claimant && !present->second.rival;
  if ((present != cases_.end() && !in_a_hurry) || now < known.settled_until || is_unheard(known, now) ||
      !source_of(known.parent, address, true))
    return;
  Case& open = cases_[address];
  open = Case{
      .parent = known.parent, .claimant = {}, .holder = known.mac, .rival = rival, .asks_left = kAsks - 1, .due = now};
  open.due += patience(open);
  ask(known.parent, address, known.mac);
}

void Learning::check_the_silent(Time now) {
  if (now < next_look_) return;
  next_look_ = now + kLookPeriod;
  int checks = 0;
  for (const auto& [address, known] : known_) {
    if (known.origin == Origin::kGiven || now - known.confirmed < kConfirmation) continue;
    check(address, known, std::nullopt, now);
    if (++checks == kChecksPerLook) return;
  }
}

// The holder has answered.
void Learning::settle(const IpAddress& address, Known& known, Time now) {
  const Case open = cases_.at(address);
  cases_.erase(address);
  const GuestKey holder{known.parent, known.mac};
  const auto rival = open.claimant ? open.claimant : open.rival;
  if (!rival) return;
  known.settled_until = now + kRefusal;
  note(holder, fmt::format("{} claims {}, which {} has: refused", rival->str(), address.str(), known.mac.str()));
  if (open.claimant) refuse(GuestKey{open.parent, *open.claimant}, address, now);
}

std::optional<Learning::Time> Learning::due() const {
  std::optional<Time> first;
  const auto consider = [&](Time time) {
    if (!first || time < *first) first = time;
  };
  for (const auto& [address, open] : cases_) consider(open.due);
  for (const auto& [guest, lease] : leases_) consider(lease.due);
  return first;
}

void Learning::tick(Time now) {
  std::vector<IpAddress> late;
  for (const auto& [address, open] : cases_)
    if (open.due <= now) late.push_back(address);
  for (const auto& address : late) proceed(address, now);
  ask_lessees(now);
}

void Learning::proceed(const IpAddress& address, Time now) {
  Case& open = cases_.at(address);
  if (open.holder && open.asks_left > 0) {
    // Without an address of its own the host cannot ask, and nobody is silent for that.
    if (source_of(open.parent, address, true)) --open.asks_left;
    open.due = now + patience(open);
    return ask(known_.contains(address) ? known_.at(address).parent : open.parent, address, open.holder);
  }
  const Case decided = open;
  cases_.erase(address);
  if (decided.holder && known_.erase(address) > 0) {
    decisions_.forget.push_back(address);
    set_free({address});
  }
  if (decided.claimant) learn({decided.parent, *decided.claimant}, address, now);
}

void Learning::check_other_addresses(const GuestKey& guest, const IpAddress& address, Time now) {
  for (const auto& [other, known] : known_)
    if (known.origin == Origin::kLearned && known.parent == guest.parent && known.mac == guest.mac &&
        other != address && other.family() == address.family() && now - known.confirmed > kObjection)
      check(other, known, std::nullopt, now);
}

Learning::Milliseconds Learning::patience(const Case& open) {
  return open.claimant || open.rival ? kAnswer : kPatientAnswer;
}

void Learning::ask_lessees(Time now) {
  for (auto& [guest, lease] : leases_) {
    if (lease.due > now) continue;
    if (lease.asked < kNamelessAsks && lease.address.is_v4())
      decisions_.questions.push_back(
          {.parent = guest.parent, .source = *IpAddress::parse(kNobody), .address = lease.address, .guest = guest.mac});
    else
      ask(guest.parent, lease.address, guest.mac);
    if (++lease.asked < kLeaseAsks.size()) lease.due = now + kLeaseAsks[lease.asked];
  }
  std::erase_if(leases_, [](const auto& entry) { return entry.second.asked == kLeaseAsks.size(); });
}

}  // namespace vmt
