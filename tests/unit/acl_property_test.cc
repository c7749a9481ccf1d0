// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fmt/core.h>

#include <algorithm>
#include <random>

#include "tests/unit/acl_ask.h"

namespace vmt::tap {
namespace {

using Lines = std::vector<std::string>;

// Random lists of a small vocabulary, so that rules meet, against every request of it.
class AclPropertyTest : public testing::Test {
 protected:
  template <typename T>
  T one_of(std::initializer_list<T> values) {
    return values.begin()[random_() % values.size()];
  }

  std::string conditions() {
    std::string line = one_of({" all", " eth0", " eth1"});
    if (random_() % 4 == 0) line += one_of({" user=1000", " user=1001"});
    if (random_() % 4 == 0) line += one_of({" group=100", " group=101"});
    if (random_() % 4 == 0) line += one_of({" mode=bridge", " mode=vepa,passthru", " mode=source,private"});
    if (random_() % 4 == 0) line += one_of({" mac=52:54:00", " mac=52:54:00:00:00:01", " mac=02"});
    return line;
  }

  std::string deny() { return "deny" + conditions(); }
  std::string allow() {
    return "allow" + conditions() + one_of<std::string>({"", fmt::format(" max={}", 1 + random_() % 9)});
  }

  Lines some_lines() {
    Lines lines;
    while (random_() % 6 != 0) lines.push_back(random_() % 3 == 0 ? deny() : allow());
    return lines;
  }

  Lines with_line(Lines lines, std::string line) {
    lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(random_() % (lines.size() + 1)), std::move(line));
    return lines;
  }

  static std::string text_of(const Lines& lines) {
    std::string text;
    for (const auto& line : lines) text += line + "\n";
    return text;
  }

  static Acl acl(const Lines& lines) { return Acl("f", *parse(text_of(lines))); }

  // -1: refused; 0: as many as they like; else the limit.
  static int limit(const Acl& list, const Ask& ask) {
    const auto allowed = authorise(list, ask);
    return allowed ? allowed->max.value_or(0) : -1;
  }

  static std::vector<Ask> every_ask() {
    std::vector<Ask> asks;
    for (const char* parent : {"eth0", "eth1", "eth2"})
      for (const uid_t uid : {1000U, 1001U, 1002U})
        for (const auto& gids : std::vector<std::vector<gid_t>>{{}, {100}, {101, 100}})
          for (const unsigned mode : {1U, 2U, 4U, 8U, 16U})
            for (const char* mac : {"52:54:00:00:00:01", "52:54:00:00:00:02", "02:00:00:00:00:01", "06:00:00:00:00:01"})
              asks.push_back({parent, uid, gids, *mode_from_kernel(mode), mac});
    return asks;
  }

  std::mt19937 random_{20240229};
  const std::vector<Ask> asks_ = every_ask();
};

TEST_F(AclPropertyTest, OneMoreDenyOnlyRefusesAndOneMoreAllowOnlyAllows) {
  int refused = 0, allowed = 0, kept = 0;
  for (int round = 0; round < 300; ++round) {
    const Lines lines = some_lines();
    const Lines denying = with_line(lines, deny()), allowing = with_line(lines, allow());
    const Acl before = acl(lines), with_deny = acl(denying), with_allow = acl(allowing);
    for (Ask ask : asks_) {
      if (round % 2) ask.mac = nullptr;
      const int was = limit(before, ask), less = limit(with_deny, ask), more = limit(with_allow, ask);
      ASSERT_TRUE(less == was || less == -1) << text_of(denying);
      ASSERT_TRUE(more == was || more == 0 || (was != 0 && more > was)) << text_of(allowing);
      refused += less != was;
      allowed += more != was;
      kept += less == was && was != -1;
    }
  }
  // Rules that never met a request would have proven nothing.
  EXPECT_GT(refused, 1000);
  EXPECT_GT(allowed, 1000);
  EXPECT_GT(kept, 1000);
}

TEST_F(AclPropertyTest, TheOrderDoesNotMatter) {
  int allowed = 0;
  for (int round = 0; round < 300; ++round) {
    Lines lines = some_lines();
    const Acl before = acl(lines);
    std::ranges::shuffle(lines, random_);
    const Acl after = acl(lines);
    for (const Ask& ask : asks_) {
      ASSERT_EQ(limit(before, ask), limit(after, ask)) << text_of(lines);
      allowed += limit(after, ask) != -1;
    }
  }
  EXPECT_GT(allowed, 1000);
}

TEST_F(AclPropertyTest, WhatIsAllowedWithoutAMacIsAllowedWithEvery) {
  int allowed = 0;
  for (int round = 0; round < 300; ++round) {
    const Lines lines = some_lines();
    const Acl list = acl(lines);
    for (const Ask& ask : asks_) {
      Ask without = ask;
      without.mac = nullptr;
      if (limit(list, without) == -1) continue;
      ASSERT_NE(limit(list, ask), -1) << ask.mac << " and\n" << text_of(lines);
      ++allowed;
    }
  }
  EXPECT_GT(allowed, 1000);
}

TEST_F(AclPropertyTest, OneLineThatDoesNotParseDeniesAll) {
  for (int round = 0; round < 300; ++round) {
    const Lines lines = some_lines();
    ASSERT_TRUE(parse(text_of(lines)));
    const auto bad =
        with_line(lines, one_of({"alow eth0", "deny", "deny eth0 max=1", "allow eth0 user=bob", "include x"}));
    ASSERT_FALSE(parse(text_of(bad))) << text_of(bad);
  }
}

}  // namespace
}  // namespace vmt::tap
