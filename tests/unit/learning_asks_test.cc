// SPDX-License-Identifier: LGPL-2.1-or-later
// Whom the watcher asks, whom it answers, and what silence means.
#include "tests/unit/learning_fixture.h"

namespace vmt {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(LearningTest, AQuestionForTheHostFromALinkLocalAddressIsAnswered) {
  const auto ask = [&](const MacAddress& who, const char* address, unsigned parent = kParent) {
    learning_.hear(parent, {Heard::Kind::kQuestion, who, ip(address), ip("fe80::1")}, now_);
    return learning_.take().answers;
  };
  EXPECT_THAT(ask(kWeb, "2001:db8:1::10"), IsEmpty()) << "there is no way back yet";
  learn(kWeb, "192.0.2.61");
  EXPECT_THAT(ask(kWeb, "2001:db8:1::10"), IsEmpty()) << "nor by IPv6";
  learn(kWeb, "2001:db8:1::61");
  EXPECT_THAT(ask(kWeb, "2001:db8:1::10"),
              ElementsAre(Learning::Answer{kParent, ip("2001:db8:1::10"), kWeb, ip("fe80::1")}));
  EXPECT_THAT(ask(kWeb, "2001:db8:1::11"), IsEmpty()) << "not the host's";
  EXPECT_THAT(ask(kDb, "2001:db8:1::10"), IsEmpty());
  EXPECT_THAT(ask(kLanMachine, "2001:db8:1::10"), IsEmpty()) << "the parent answers";
  EXPECT_THAT(ask(kWeb, "2001:db8:1::10", kOtherParent), IsEmpty());
  config_.parents[*IfName::parse("eth0")].addresses = {*IpPrefix::parse("2001:db8:1::99/64")};
  EXPECT_THAT(ask(kWeb, "2001:db8:1::10"), IsEmpty()) << "a numbered shim answers for itself";
}

TEST_F(LearningTest, TheSilenceOfAGuestThatIsNotHeardMeansNothing) {
  learn(kWeb, "192.0.2.61");
  claim(kDb, "192.0.2.61");
  learning_.cannot_hear(kParent, kWeb, now_ + seconds(30), now_);  // while it is being asked
  for (int i = 0; i < 2; ++i) {
    const auto decided = after(seconds(11));
    EXPECT_THAT(decided.learn, IsEmpty());
    EXPECT_THAT(decided.forget, IsEmpty());
    claim(i == 0 ? kDb : kLanMachine, "192.0.2.61");
  }
  now_ += seconds(10);
  claim(kDb, "192.0.2.61");
  EXPECT_THAT(after(seconds(1)).learn, SizeIs(1)) << "heard again, and silent";
}

TEST_F(LearningTest, NobodyIsSilentWhileTheHostHasNoAddressToAskFrom) {
  learn(kWeb, "192.0.2.61");
  auto bare = ground(kParent, "eth0", "192.0.2.10/24", {kWeb, kDb});
  bare.parent.addresses.clear();
  learning_.update({bare}, {}, now_);
  now_ += Learning::kConfirmation + seconds(1);
  claim(kDb, "192.0.2.77");
  EXPECT_THAT(after(std::chrono::minutes(5)).forget, IsEmpty());
}

TEST_F(LearningTest, ASilentAddressIsAskedForWhenSomebodySpeaks) {
  learn(kWeb, "192.0.2.61");
  now_ += Learning::kConfirmation + seconds(1);
  EXPECT_FALSE(learning_.due()) << "nobody wakes up for it";
  claim(kLanMachine, "192.0.2.77");
  EXPECT_THAT(learning_.take().questions, SizeIs(1));
  claim(kWeb, "192.0.2.61");
  EXPECT_THAT(after(seconds(2)).forget, IsEmpty());
  now_ += Learning::kConfirmation + seconds(1);
  claim(kLanMachine, "192.0.2.77");
  EXPECT_THAT(after(seconds(4)).forget, ElementsAre(ip("192.0.2.61")));
}

TEST_F(LearningTest, OfManySilentAddressesSomeAreAskedForAtATime) {
  const std::vector<MacAddress> guests = {kWeb, kDb, mac(0x63)};
  update({}, guests);
  for (int i = 0; i < 24; ++i)
    claim(guests[static_cast<std::size_t>(i / 8)], ("192.0.2." + std::to_string(100 + i)).c_str());
  ASSERT_THAT(after(seconds(1)).learn, SizeIs(24));
  now_ += Learning::kConfirmation;
  claim(kLanMachine, "192.0.2.77");
  EXPECT_THAT(learning_.take().questions, SizeIs(16));
}

TEST_F(LearningTest, ADhcpClientThatMayNotBeLearnedFromIsNotAsked) {
  config_.parents[*IfName::parse("eth0")].learn = LearnMode::kNo;
  update();
  learning_.hear(kParent, {Heard::Kind::kLease, kWeb, ip("192.0.2.61")}, now_);
  EXPECT_THAT(after(seconds(10)).questions, IsEmpty());
}

TEST_F(LearningTest, ADhcpClientIsAskedUntilItHasItsAddress) {
  learning_.hear(kParent, {Heard::Kind::kLease, kWeb, ip("192.0.2.61")}, now_);
  EXPECT_THAT(learning_.take().questions, IsEmpty()) << "not yet";
  const auto asked = after(milliseconds(700)).questions;
  EXPECT_THAT(asked, SizeIs(4));
  // Not from the host yet: the guest would talk to it before its route is there.
  EXPECT_THAT(asked, testing::Each(testing::Field(&Learning::Question::source, ip("169.254.118.109"))));
  EXPECT_THAT(after(milliseconds(200)).questions,
              ElementsAre(Learning::Question{kParent, ip("192.0.2.10"), ip("192.0.2.61"), kWeb}));
  claim(kWeb, "192.0.2.61");
  EXPECT_THAT(after(seconds(20)).learn, SizeIs(1));
  EXPECT_FALSE(learning_.due());
}

TEST_F(LearningTest, ADhcpClientThatGetsNothingIsNotAskedForEver) {
  for (int i = 0; i < 100; ++i) learning_.hear(kParent, {Heard::Kind::kLease, kWeb, ip("192.0.2.61")}, now_);
  EXPECT_THAT(after(std::chrono::minutes(5)).questions, SizeIs(8));
  EXPECT_FALSE(learning_.due());
}

TEST_F(LearningTest, GuestsAreAskedForAnAddressThatTheHostMissed) {
  learning_.missed(kParent, ip("192.0.2.62"), now_);
  EXPECT_THAT(learning_.take().questions,
              ElementsAre(Learning::Question{kParent, ip("192.0.2.10"), ip("192.0.2.62"), kWeb},
                          Learning::Question{kParent, ip("192.0.2.10"), ip("192.0.2.62"), kDb}));
  learning_.missed(kParent, ip("192.0.2.62"), now_);
  EXPECT_THAT(learning_.take().questions, IsEmpty()) << "not at any rate";
}

TEST_F(LearningTest, OfManyGuestsAllAreAskedInTurn) {
  std::vector<MacAddress> guests;
  for (int i = 0; i < 200; ++i) guests.push_back(mac(i));
  update({}, guests);
  std::set<MacAddress> asked;
  for (int i = 0; i < 4; ++i) {
    learning_.missed(kParent, ip("192.0.2.62"), now_);
    const auto questions = learning_.take().questions;
    EXPECT_LE(questions.size(), 64U);
    for (const auto& question : questions) asked.insert(*question.guest);
    now_ += seconds(1);
  }
  EXPECT_THAT(asked, SizeIs(200));
}

TEST_F(LearningTest, WhatAnEarlierWatcherLearnedIsAskedForWhenSomebodySpeaks) {
  learning_.adopt({kParent, kWeb, ip("192.0.2.61")});
  EXPECT_FALSE(learning_.due());
  claim(kLanMachine, "192.0.2.77");
  EXPECT_THAT(after(seconds(4)).forget, ElementsAre(ip("192.0.2.61")));
}

}  // namespace
}  // namespace vmt
