// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/watch/flood.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/hash.h"

namespace vmt {
namespace {

using namespace std::chrono_literals;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAreArray;

const MacAddress kGuest = *MacAddress::parse("52:54:00:00:00:01");
const MacAddress kOther = *MacAddress::parse("52:54:00:00:00:02");

MacAddress stranger(std::size_t number) {
  return mac_of_hash(fnv1a(std::to_string(number)));
}

// The gate with the kernel's filter behind it: frames that the rules of the moment drop do not come.
class FloodTest : public testing::Test {
 protected:
  FloodTest() { gate_.set_guests(std::vector{kGuest, kOther}); }

  bool is_heard(const MacAddress& mac) const {
    if (std::ranges::find(rules_.muted, mac) != rules_.muted.end()) return false;
    return !rules_.only || std::ranges::find(*rules_.only, mac) != rules_.only->end();
  }
  void settle() {
    const auto settled = gate_.settle(now_);
    if (settled.rules_changed) {
      EXPECT_NE(gate_.rules(), rules_);
      rules_ = gate_.rules();
    } else {
      EXPECT_EQ(gate_.rules(), rules_);
    }
    mutes_.insert(mutes_.end(), settled.mutes.begin(), settled.mutes.end());
  }
  void frame(const MacAddress& mac) {
    if (gate_.next_end() && *gate_.next_end() <= now_) settle();
    if (!is_heard(mac)) return;
    ++heard_;
    gate_.count(mac, 1, now_);
    settle();
  }
  // Evenly, each frame from the MAC that `from` says.
  template <typename From>
  void flood(unsigned a_second, FloodGate::Time::duration time, From from) {
    const auto end = now_ + time;
    for (std::size_t i = 0; now_ < end; ++i, now_ += std::chrono::nanoseconds(1s) / a_second) frame(from(i));
  }
  void flood(unsigned a_second, FloodGate::Time::duration time, const MacAddress& mac) {
    flood(a_second, time, [&](std::size_t) { return mac; });
  }
  void quiet(FloodGate::Time::duration time) {
    now_ += time;
    settle();
  }
  std::vector<seconds::rep> lengths() const {
    std::vector<seconds::rep> result;
    for (const auto& mute : mutes_) result.push_back(mute.length.count());
    return result;
  }

  FloodGate gate_;
  FilterRules rules_;
  FloodGate::Time now_{1000s};
  std::vector<FloodGate::Mute> mutes_;
  std::uint64_t heard_ = 0;
};

TEST_F(FloodTest, MutesAGuestThatFloodsWithinATenthOfASecond) {
  flood(100'000, 100ms, kGuest);
  EXPECT_THAT(rules_.muted, ElementsAre(kGuest));
  EXPECT_FALSE(rules_.only);
  EXPECT_LT(heard_, 1000U);
  ASSERT_EQ(mutes_.size(), 1U);
  EXPECT_EQ(mutes_[0].str(), fmt::format("frames of 52:54:00:00:00:01 are ignored for 1 s: more than 200 a second ({} "
                                         "heard so far)",
                                         mutes_[0].frames));
  EXPECT_GT(mutes_[0].frames, 200U);
  EXPECT_EQ(mutes_[0].times, 1U);
  EXPECT_EQ(mutes_[0].frames, heard_);
  EXPECT_TRUE(is_heard(kOther));
}

TEST_F(FloodTest, LeavesAloneWhoStaysBelowItsRateAndABurst) {
  flood(199, 60s, kGuest);
  flood(100'000, 4ms, kOther);  // 400 at once
  EXPECT_THAT(mutes_, IsEmpty());
  EXPECT_EQ(gate_.next_end(), std::nullopt);
}

TEST_F(FloodTest, HearsAMutedOneAgainAtTheEnd) {
  flood(100'000, 10ms, kGuest);
  ASSERT_FALSE(is_heard(kGuest));
  const auto end = gate_.next_end();
  ASSERT_TRUE(end);
  EXPECT_GT(*end, now_ + 900ms);
  EXPECT_LE(*end, now_ + 1s);
  quiet(*end - now_ - 1ns);
  EXPECT_FALSE(is_heard(kGuest));
  quiet(1ns);
  EXPECT_TRUE(is_heard(kGuest));
  EXPECT_EQ(gate_.next_end(), std::nullopt);
}

TEST_F(FloodTest, MutesForLongerEachTimeUpToAMinute) {
  flood(10'000, 250s, kGuest);
  EXPECT_THAT(lengths(), ElementsAre(1, 2, 4, 8, 16, 32, 60, 60, 60, 60));
  EXPECT_EQ(mutes_.back().times, 10U);
  EXPECT_LT(heard_, 5000U);
}

TEST_F(FloodTest, ForgivesWhoHasKeptQuietForAMinute) {
  flood(10'000, 20s, kGuest);
  EXPECT_THAT(lengths(), ElementsAre(1, 2, 4, 8, 16));
  quiet(*gate_.next_end() - now_ + 59s);
  mutes_.clear();
  flood(10'000, 1s, kGuest);
  EXPECT_THAT(lengths(), ElementsAre(32));
  quiet(*gate_.next_end() - now_ + 60s);
  mutes_.clear();
  flood(10'000, 1s, kGuest);
  EXPECT_THAT(lengths(), ElementsAre(1));
  EXPECT_EQ(mutes_[0].times, 1U);
  EXPECT_LT(mutes_[0].frames, 1000U);
}

TEST_F(FloodTest, IsNotTroubledByABusyLan) {
  flood(1000, 60s, [](std::size_t i) { return stranger(i % 300); });
  flood(1000, 60s, [](std::size_t i) { return stranger(i * i % 900); });
  EXPECT_THAT(mutes_, IsEmpty());
}

TEST_F(FloodTest, MutesOneStrangerAlone) {
  flood(100'000, 500ms, stranger(1));
  EXPECT_THAT(rules_.muted, ElementsAre(stranger(1)));
  EXPECT_FALSE(rules_.only);
  EXPECT_TRUE(is_heard(stranger(2)));
}

TEST_F(FloodTest, KeepsNoMoreThanSoManyAccountsOfStrangers) {
  for (std::size_t i = 0; i < FloodGate::kMaxStrangers; ++i) gate_.count(stranger(i), 1, now_);
  gate_.count(stranger(FloodGate::kMaxStrangers), 2 * FloodGate::kFramesPerSecond + 1, now_);
  EXPECT_THAT(gate_.settle(now_).mutes, IsEmpty()) << "there is no account of the last one";
  gate_.count(stranger(0), 2 * FloodGate::kFramesPerSecond + 1, now_);
  EXPECT_THAT(gate_.settle(now_).mutes, testing::SizeIs(1));
}

TEST_F(FloodTest, HearsOnlyGuestsWhenStrangersAreTooMany) {
  flood(100'000, 100ms, [](std::size_t i) { return stranger(i); });
  ASSERT_TRUE(rules_.only);
  EXPECT_THAT(*rules_.only, ElementsAre(kGuest, kOther));
  EXPECT_LT(heard_, 5000U);
  ASSERT_EQ(mutes_.size(), 1U);
  EXPECT_THAT(mutes_[0].str(),
              testing::StartsWith("frames of all that are no guests are ignored for 1 s: more than 2000"));
  quiet(1s);
  EXPECT_FALSE(rules_.only);
}

TEST_F(FloodTest, HearsOnlyGuestsForLongerEachTime) {
  flood(20'000, 130s, [](std::size_t i) { return stranger(i); });
  EXPECT_THAT(lengths(), ElementsAre(1, 2, 4, 8, 16, 32, 60, 60));
  EXPECT_LT(heard_, 9 * 4100U);
}

TEST_F(FloodTest, SlowFloodsFromManyForgedMacsAreOneFlood) {
  flood(40'000, 1s, [](std::size_t i) { return stranger(i % 250); });
  EXPECT_TRUE(rules_.only);
}

TEST_F(FloodTest, AGuestThatFloodsIsNotHeardWhileOnlyGuestsAre) {
  flood(100'000, 100ms, [](std::size_t i) { return stranger(i); });
  flood(100'000, 100ms, kGuest);
  ASSERT_TRUE(rules_.only);
  EXPECT_THAT(*rules_.only, ElementsAre(kOther));
}

TEST_F(FloodTest, ANewGuestIsHeardAtOnceAndOneThatLeftIsAStranger) {
  flood(100'000, 100ms, [](std::size_t i) { return stranger(i); });
  const auto fresh = *MacAddress::parse("52:54:00:00:00:03");
  gate_.set_guests(std::vector{kGuest, fresh});
  settle();
  EXPECT_TRUE(is_heard(fresh));
  EXPECT_FALSE(is_heard(kOther));
  gate_.set_guests(std::vector{fresh, kGuest});
  EXPECT_FALSE(gate_.settle(now_).rules_changed);
}

TEST_F(FloodTest, AGuestKeepsItsMuteWhenOthersComeAndGo) {
  flood(100'000, 100ms, kGuest);
  gate_.set_guests(std::vector{kGuest});
  settle();
  EXPECT_FALSE(is_heard(kGuest));
  gate_.set_guests(std::vector{kOther});
  settle();
  EXPECT_TRUE(is_heard(kGuest));
}

TEST_F(FloodTest, FramesThatWereOnTheirWayCountForNobody) {
  gate_.count(stranger(1), 100'000, now_);  // one late look at a full socket
  settle();
  EXPECT_EQ(mutes_.size(), 2U);  // the stranger, and strangers
  gate_.count(stranger(1), 100'000, now_);
  gate_.count(stranger(2), 100'000, now_);
  settle();
  EXPECT_EQ(mutes_.size(), 2U);
  quiet(1s);
  EXPECT_TRUE(is_heard(stranger(1)));
  EXPECT_TRUE(is_heard(stranger(2)));
}

TEST_F(FloodTest, RulesFitTheFilterWhateverComes) {
  std::vector<MacAddress> guests;
  for (std::size_t i = 0; i < 2500; ++i) guests.push_back(stranger(i));
  gate_.set_guests(guests);
  for (const auto& mac : guests) gate_.count(mac, 1000, now_);
  for (std::size_t i = 0; i < 100'000; ++i) gate_.count(stranger(10'000 + i), 1, now_);
  gate_.settle(now_);
  EXPECT_EQ(gate_.rules().muted.size(), kMaxFilteredMacs);
  EXPECT_FALSE(gate_.rules().only);
  EXPECT_TRUE(filter_program(gate_.rules()));
}

}  // namespace
}  // namespace vmt
