// SPDX-License-Identifier: LGPL-2.1-or-later
// Whose frames shall the kernel drop for a while, because they are too many? Pure; the caller brings frames and time.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "helper/watch/frame_filter.h"
#include "lib/mac_address.h"

namespace vmt {

// One for each socket. A sender that goes on above its rate is muted: for a second first, then for twice as long each
// time, a minute at most, until it has kept quiet for a minute. Who is no guest has the same rate, and all of them
// together another one: above it only guests are heard for as long. So in the long run the caller looks at 200 frames a
// second of each guest and 2,000 of all others, and what is kept is bounded: an entry a guest, and kMaxStrangers more.
//
// What it cannot tell: a guest that forges another guest's MAC gets that one muted. Its addresses stay as they are
// known (Learning::cannot_hear), only its changes are heard late.
class FloodGate {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Machines that are well send a few a minute; one that scans a network of 254 addresses once does not reach it.
  static constexpr unsigned kFramesPerSecond = 200;
  // Twice what a busy LAN of many hundred machines has (1,000 broadcasts a second).
  static constexpr unsigned kStrangersPerSecond = 2000;
  // Above the rate for as many frames as it would take in this time is too many.
  static constexpr std::chrono::seconds kBurst{2};
  static constexpr std::chrono::seconds kShortestMute{1};
  static constexpr std::chrono::seconds kLongestMute{60};
  static constexpr std::chrono::seconds kForgivenAfter{60};
  static constexpr std::size_t kMaxStrangers = 1024;

  // A line for the log.
  struct Mute {
    std::optional<MacAddress> mac;  // nullopt: all that are no guests
    std::chrono::seconds length{};
    unsigned times = 0;        // in a row, this one included: 1 is news
    std::uint64_t frames = 0;  // seen since it was quiet last; those that the kernel dropped nobody counts

    std::string str() const;  // "frames of MAC are ignored for N s: more than R a second (M heard so far)"
  };
  struct Settled {
    bool rules_changed = false;  // rules() may be others than at the last settle(): give them to the socket
    std::vector<Mute> mutes;
  };

  // Who the guests are now. Those that stay keep their account. The rules may change.
  void set_guests(std::span<const MacAddress> guests);

  // `frames` more from `mac`. `now` never goes back.
  void count(const MacAddress& mac, unsigned frames, Time now);

  // What has come of it: after each batch, and at next_end().
  Settled settle(Time now);

  // When the next mute ends; nullopt: there is nothing to wait for.
  std::optional<Time> next_end() const { return next_end_; }

  // Of MACs beyond kMaxFilteredMacs some are heard that should not be, never the other way round.
  FilterRules rules() const;

 private:
  struct Account {
    unsigned rate = kFramesPerSecond;
    Time drained{};  // when its frames would be through, at its rate
    bool muted = false;
    Time muted_until{};             // of its last mute
    std::chrono::seconds length{};  // of its last mute; 0: never muted, or forgiven
    unsigned times = 0;
    std::uint64_t frames = 0;

    bool is_idle(Time now) const;
    // True: too many.
    bool add(unsigned count, Time now);
  };

  Account* stranger(const MacAddress& mac, Time now);
  void mute(Account& account, const std::optional<MacAddress>& mac, Time now);
  void end_mutes(Time now);

  std::map<MacAddress, Account> guests_;
  std::map<MacAddress, Account> strangers_;
  Account all_strangers_{.rate = kStrangersPerSecond};
  Time swept_{};  // when idle strangers were forgotten last
  std::optional<Time> next_end_;
  Settled settled_;  // since the last settle()
};

}  // namespace vmt
