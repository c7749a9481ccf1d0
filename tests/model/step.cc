// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/model/step.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <sstream>

namespace vmt::model {
namespace {

struct Row {
  Kind kind;
  const char* name;
  unsigned weight;
  std::array<unsigned, 4> ranges;  // of the numbers; 0: there is none
};

constexpr unsigned kGuests = 5, kParents = 3, kNics = 2, kAnyObject = 64;

constexpr Row kRows[] = {
    {Kind::kStart, "start", 14, {kGuests, kParents, 0, 0}},  // the rest is drawn by hand
    {Kind::kStop, "stop", 6, {kGuests}},
    {Kind::kKill, "kill", 2, {kGuests}},
    {Kind::kPlug, "plug", 4, {kGuests, kParents, 0}},
    {Kind::kUnplug, "unplug", 2, {kGuests}},
    {Kind::kPause, "pause", 1, {kGuests}},
    {Kind::kResume, "resume", 3, {kGuests}},
    {Kind::kMigrateIn, "migrate-in", 2, {kGuests, kParents, 0, 0}},
    {Kind::kMigrateOut, "migrate-out", 1, {kGuests}},
    {Kind::kReconnect, "reconnect", 2, {}},
    {Kind::kAnnounce, "announce", 8, {kGuests, kNics, 4}},
    {Kind::kForsake, "forsake", 1, {kGuests, kNics}},
    {Kind::kConfigGiven, "config-given", 3, {kGuests}},
    {Kind::kConfigOff, "config-off", 2, {kParents}},
    {Kind::kConfigLearn, "config-learn", 1, {3}},
    {Kind::kConfigMax, "config-max", 1, {5}},
    {Kind::kConfigNumbered, "config-numbered", 2, {kParents}},
    {Kind::kSync, "sync", 3, {}},
    {Kind::kClean, "clean", 1, {}},
    {Kind::kHostUp, "host-up", 3, {kParents, 6}},
    {Kind::kHostDown, "host-down", 2, {kParents}},
    {Kind::kCreate, "create", 2, {2, kParents}},
    {Kind::kDelete, "delete", 2, {2}},
    {Kind::kWatch, "watch", 5, {}},
    {Kind::kWatchTerm, "watch-term", 1, {}},
    {Kind::kWatchKill, "watch-kill", 2, {}},
    {Kind::kDeleteRoute, "delete-route", 4, {kAnyObject}},
    {Kind::kDeleteNeighbour, "delete-neighbour", 4, {kAnyObject}},
    {Kind::kFlushRoutes, "flush-routes", 1, {}},
    {Kind::kDeleteShim, "delete-shim", 3, {kAnyObject}},
    {Kind::kMeddle, "meddle", 3, {kAnyObject, 6}},
    {Kind::kRenameShim, "rename-shim", 1, {kAnyObject}},
    {Kind::kRenameParent, "rename-parent", 1, {kParents}},
    {Kind::kAddAddress, "add-address", 2, {kParents}},
    {Kind::kMoveAddress, "move-address", 2, {kParents}},
    {Kind::kParentDown, "parent-down", 2, {kParents}},
    {Kind::kCable, "cable", 1, {kParents}},
    {Kind::kForeignRoute, "foreign-route", 2, {kGuests, 2}},
    {Kind::kForeignNeighbour, "foreign-neighbour", 1, {kGuests}},
    {Kind::kForeignShim, "foreign-shim", 1, {kParents}},
    {Kind::kForeignMacvlan, "foreign-macvlan", 4, {kParents}},
    {Kind::kSettle, "settle", 20, {}},
    {Kind::kLinger, "linger", 1, {}},
};

const Row& row_of(Kind kind) {
  return *std::ranges::find(kRows, kind, &Row::kind);
}

using Dice = std::mt19937_64;

unsigned below(Dice& dice, unsigned count) {
  return static_cast<unsigned>(dice() % count);
}

unsigned draw_nic_kind(Dice& dice) {
  const unsigned roll = below(dice, 12);
  return roll < kNicKinds ? roll : static_cast<unsigned>(NicKind::kBridge);
}

unsigned draw_given(Dice& dice) {
  unsigned bits = below(dice, 4);
  for (const auto& [bit, one_in] : {std::pair{kGivenBad, 8U}, {kGivenAnothers, 8U}, {kSwitchedOff, 10U}})
    if (below(dice, one_in) == 0) bits |= bit;
  return bits;
}

}  // namespace

std::string to_text(const Step& step) {
  std::string text = row_of(step.kind).name;
  std::size_t last = 0;
  for (std::size_t i = 0; i < step.what.size(); ++i)
    if (step.what[i] != 0) last = i + 1;
  for (std::size_t i = 0; i < last; ++i) text += fmt::format(" {}", step.what[i]);
  return text;
}

std::expected<std::vector<Step>, Error> parse_steps(std::string_view text) {
  std::vector<Step> steps;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string name;
    if (!(words >> name)) continue;
    const auto row = std::ranges::find(kRows, name, &Row::name);
    if (row == std::end(kRows)) return fail(invalid(fmt::format("no step is called '{}'", name)));
    Step step{.kind = row->kind, .what = {}};
    for (unsigned& number : step.what)
      if (!(words >> number)) break;
    steps.push_back(step);
  }
  return steps;
}

std::vector<Step> generate(std::uint64_t seed, std::size_t count) {
  Dice dice(seed);
  // Some hosts never see a watcher, some always have one, and some seldom look.
  const bool watched = below(dice, 2) == 0;
  const bool never_watched = !watched && below(dice, 2) == 0;
  std::vector<Step> steps;
  if (watched) steps.push_back({Kind::kWatch, {}});
  constexpr unsigned kAll = std::accumulate(std::begin(kRows), std::end(kRows), 0U,
                                            [](unsigned sum, const Row& row) { return sum + row.weight; });
  while (steps.size() < count) {
    unsigned roll = below(dice, kAll);
    const auto* row = std::begin(kRows);
    for (; roll >= row->weight; ++row) roll -= row->weight;
    if (never_watched && row->kind == Kind::kWatch) continue;
    Step step{.kind = row->kind, .what = {}};
    for (std::size_t i = 0; i < step.what.size(); ++i)
      if (row->ranges[i] != 0) step.what[i] = below(dice, row->ranges[i]);
    if (step.kind == Kind::kStart || step.kind == Kind::kMigrateIn) {
      step.what[2] = draw_nic_kind(dice);
      step.what[3] = draw_given(dice);
    }
    if (step.kind == Kind::kPlug) step.what[2] = draw_given(dice) & ~kSwitchedOff;
    steps.push_back(step);
  }
  return steps;
}

}  // namespace vmt::model
