// SPDX-License-Identifier: LGPL-2.1-or-later
// Everything that the network of this namespace consists of, read by other means than the program that is tried: to
// compare before and after. Links are called by their names, whatever their ifindices are.
#pragma once

#include <chrono>
#include <set>
#include <string>

namespace vmt::crash {

struct State {
  // A line for each link, address, route, neighbour, ...; what comes and goes by itself is left out: ages, counters,
  // neighbours that the kernel has found, whether an address is still tentative.
  std::set<std::string> ours;     // on links that carry our tag
  std::set<std::string> foreign;  // all others
  // How often links have been asked to take all frames: foreign links, but changed by each device of ours on them.
  std::set<std::string> counts;

  bool operator==(const State&) const = default;
};

State read_state();

// As soon as `wanted` holds, or at the end of the patience.
template <typename Wanted>
State wait_for_state(const Wanted& wanted, std::chrono::milliseconds patience);
// The state when it has not changed for a while.
State settled_state();

// "- line" for what is missing in `now`, "+ line" for what is too much; some ten lines.
std::string difference(const State& before, const State& now);

bool sleep_a_little();

template <typename Wanted>
State wait_for_state(const Wanted& wanted, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    State state = read_state();
    if (wanted(state) || std::chrono::steady_clock::now() > deadline) return state;
    sleep_a_little();
  }
}

}  // namespace vmt::crash
