// SPDX-License-Identifier: LGPL-2.1-or-later
// The model's own pure parts: sequences repeat, are text and back, and shrink to what matters.
#include "tests/model/step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "lib/algorithm.h"
#include "tests/model/shrink.h"

namespace vmt::model {
namespace {

TEST(StepTest, ASeedIsASequenceAndEveryKindOfStepComesUp) {
  EXPECT_EQ(generate(1, 50), generate(1, 50));
  EXPECT_NE(generate(1, 50), generate(2, 50));
  std::set<Kind> kinds;
  for (std::uint64_t seed = 0; seed < 40; ++seed)
    for (const auto& step : generate(seed, 50)) kinds.insert(step.kind);
  EXPECT_EQ(kinds.size(), static_cast<std::size_t>(Kind::kLinger) + 1);
}

TEST(StepTest, TextAndBack) {
  std::string text = "# a comment\n\n";
  const auto steps = generate(3, 300);
  for (const auto& step : steps) text += to_text(step) + "  # why\n";
  EXPECT_EQ(parse_steps(text), steps);
  EXPECT_FALSE(parse_steps("start 0\nfly 1\n"));
}

TEST(ShrinkTest, WhatMattersIsLeftInOrder) {
  std::vector<int> all(100);
  std::iota(all.begin(), all.end(), 0);
  unsigned tries = 0;
  const auto fails = [&](const std::vector<int>& some) {
    ++tries;
    return contains(some, 7) && contains(some, 63) && contains(some, 99);
  };
  EXPECT_THAT(shrink<int>(all, fails), testing::ElementsAre(7, 63, 99));
  EXPECT_LT(tries, 100U);
  EXPECT_EQ(shrink<int>(all, [](const auto&) { return false; }), all);
}

}  // namespace
}  // namespace vmt::model
