// SPDX-License-Identifier: LGPL-2.1-or-later
// Learning without a kernel: what a guest may make us believe, and what not, at times that the test chooses.
#include "lib/learning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vmt {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}
MacAddress mac(int last) {
  char text[18];
  std::snprintf(text, sizeof text, "52:54:00:00:00:%02x", static_cast<unsigned>(last));
  return *MacAddress::parse(text);
}

const MacAddress kWeb = mac(0x61);
const MacAddress kDb = mac(0x62);
const MacAddress kLanMachine = mac(0xee);
constexpr unsigned kParent = 2;
constexpr unsigned kOtherParent = 3;

class LearningTest : public testing::Test {
 protected:
  LearningTest() { update(); }

  Ground ground(unsigned index, const char* name, const char* v4, std::vector<MacAddress> guests) const {
    Ground ground{.parent = {.index = index,
                             .name = *IfName::parse(name),
                             .mac = mac(0x10),
                             .addresses = {{*IpPrefix::parse(v4), true}, {*IpPrefix::parse("2001:db8:1::10/64"), true}},
                             .gateways = {ip("192.0.2.1"), ip("2001:db8:1::1")}},
                  .guests = {}};
    const auto written = config_.nics();
    for (const auto& guest : guests) {
      const auto nic = written.find(guest);
      ground.guests.emplace(
          guest, GuestNic{.guest = "macvtap0",
                          .given = {},
                          .learn = config_.learning(*IfName::parse(name), nic == written.end() ? nullptr : &nic->second,
                                                    nullptr)});
    }
    return ground;
  }
  void update(std::vector<LearnedAddress> given = {}, std::vector<MacAddress> guests = {kWeb, kDb}) {
    learning_.update({ground(kParent, "eth0", "192.0.2.10/24", std::move(guests)),
                      ground(kOtherParent, "eth1", "192.0.2.11/24", {mac(0x71)})},
                     given, now_);
  }
  void claim(const MacAddress& who, const char* address, unsigned parent = kParent) {
    learning_.hear(parent, {Heard::Kind::kClaim, who, ip(address)}, now_);
  }
  // Lets time pass, tick by tick, and collects what was decided.
  Learning::Decisions after(milliseconds time) {
    Learning::Decisions all = learning_.take();
    const auto end = now_ + time;
    while (const auto due = learning_.due()) {
      if (*due > end) break;
      now_ = *due;
      learning_.tick(now_);
      append(all, learning_.take());
    }
    now_ = end;
    return all;
  }
  static void append(Learning::Decisions& all, const Learning::Decisions& more) {
    all.learn.insert(all.learn.end(), more.learn.begin(), more.learn.end());
    all.forget.insert(all.forget.end(), more.forget.begin(), more.forget.end());
    all.answers.insert(all.answers.end(), more.answers.begin(), more.answers.end());
    all.questions.insert(all.questions.end(), more.questions.begin(), more.questions.end());
    all.notes.insert(all.notes.end(), more.notes.begin(), more.notes.end());
  }
  void learn(const MacAddress& who, const char* address, unsigned parent = kParent) {
    claim(who, address, parent);
    ASSERT_THAT(after(seconds(1)).learn, ElementsAre(LearnedAddress{parent, who, ip(address)}));
  }

  // All at once: a guest that gets one address after the other is asked for those that it has.
  void learn_eight() {
    for (int i = 0; i < 8; ++i) claim(kWeb, ("192.0.2." + std::to_string(100 + i)).c_str());
    ASSERT_THAT(after(seconds(1)).learn, SizeIs(8));
  }

  Config config_;
  Learning learning_{config_};
  Learning::Time now_ = Learning::Time{} + std::chrono::hours(1);
};

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

TEST_F(LearningTest, AnAddressThatNobodyObjectsToIsLearned) {
  claim(kWeb, "192.0.2.61");
  const auto at_once = learning_.take();
  EXPECT_THAT(at_once.learn, IsEmpty());
  EXPECT_THAT(at_once.questions,
              ElementsAre(Learning::Question{kParent, ip("192.0.2.10"), ip("192.0.2.61"), std::nullopt}));
  EXPECT_THAT(after(Learning::kObjection - milliseconds(1)).learn, IsEmpty());
  EXPECT_THAT(after(milliseconds(1)).learn, ElementsAre(LearnedAddress{kParent, kWeb, ip("192.0.2.61")}));
  EXPECT_THAT(learning_.learned(), SizeIs(1));
  EXPECT_FALSE(learning_.due());
  claim(kWeb, "192.0.2.61");
  EXPECT_THAT(after(seconds(10)).questions, IsEmpty()) << "known";
}

TEST_F(LearningTest, WhatTheLanAnswersForIsRefusedAndSaidOnce) {
  for (int i = 0; i < 3; ++i) {
    claim(kWeb, "192.0.2.20");
    claim(kLanMachine, "192.0.2.20");
    const auto decided = after(seconds(1));
    EXPECT_THAT(decided.learn, IsEmpty());
    if (i == 0) {
      ASSERT_THAT(decided.notes, SizeIs(1));
      EXPECT_THAT(decided.notes[0], testing::AllOf(HasSubstr(kWeb.str()), HasSubstr(kLanMachine.str())));
    } else {
      EXPECT_THAT(decided.notes, IsEmpty());
    }
    now_ += Learning::kRefusal;
  }
  claim(kWeb, "192.0.2.20");
  EXPECT_THAT(after(seconds(1)).learn, SizeIs(1)) << "free by now";
}

TEST_F(LearningTest, TheSameGuestSeenOnTheLanIsNoObjection) {
  claim(kWeb, "192.0.2.61");
  claim(kWeb, "192.0.2.61", kOtherParent);  // as its answer arrives at a parent on the same LAN
  EXPECT_THAT(after(seconds(1)).learn, SizeIs(1));
}

TEST_F(LearningTest, SomeAddressesAreNobodys) {
  for (const char* address : {"192.0.2.10", "2001:db8:1::10", "192.0.2.1", "2001:db8:1::1", "192.0.2.0", "192.0.2.255",
                              "2001:db8:1::", "198.51.100.5", "2001:db8:2::5", "224.0.0.5", "255.255.255.255",
                              "127.0.0.1", "0.0.0.0", "::", "::1", "ff02::1", "fe80::1"}) {
    update();  // its notes are counted
    claim(kWeb, address);
    const auto decided = after(seconds(1));
    EXPECT_THAT(decided.learn, IsEmpty()) << address;
    EXPECT_THAT(decided.questions, IsEmpty()) << address;
  }
}

TEST_F(LearningTest, AnAddressThatAnotherGuestDefendsStaysThere) {
  learn(kWeb, "192.0.2.61");
  claim(kDb, "192.0.2.61");
  const auto asked = learning_.take();
  EXPECT_THAT(asked.questions,
              testing::Contains(Learning::Question{kParent, ip("192.0.2.10"), ip("192.0.2.61"), kWeb}));
  now_ += milliseconds(5);
  claim(kWeb, "192.0.2.61");
  const auto decided = after(seconds(1));
  EXPECT_THAT(decided.learn, IsEmpty());
  EXPECT_THAT(decided.forget, IsEmpty());
  ASSERT_THAT(decided.notes, SizeIs(1));
  EXPECT_THAT(decided.notes[0], testing::AllOf(HasSubstr(kWeb.str()), HasSubstr(kDb.str())));
  claim(kDb, "192.0.2.61");
  EXPECT_THAT(after(seconds(1)).questions, IsEmpty()) << "the defender is left in peace for a while";
}

TEST_F(LearningTest, AnAddressMovesToAnotherGuestWithinASecondWhenItsHolderIsSilent) {
  learn(kWeb, "192.0.2.61");
  claim(kDb, "192.0.2.61");
  const auto decided = after(milliseconds(999));
  EXPECT_THAT(decided.learn, ElementsAre(LearnedAddress{kParent, kDb, ip("192.0.2.61")}));
  EXPECT_THAT(decided.forget, ElementsAre(ip("192.0.2.61")));
  EXPECT_THAT(learning_.learned(), ElementsAre(LearnedAddress{kParent, kDb, ip("192.0.2.61")}));
}

TEST_F(LearningTest, AnAddressMovesToAGuestOnAnotherParent) {
  learn(kWeb, "192.0.2.61");
  claim(mac(0x71), "192.0.2.61", kOtherParent);
  EXPECT_THAT(after(milliseconds(999)).learn, ElementsAre(LearnedAddress{kOtherParent, mac(0x71), ip("192.0.2.61")}));
}

TEST_F(LearningTest, AnAddressMovesWithItsMacToAnotherParent) {
  learn(kWeb, "192.0.2.61");
  learning_.update(
      {ground(kParent, "eth0", "192.0.2.10/24", {kWeb, kDb}), ground(kOtherParent, "eth1", "192.0.2.11/24", {kWeb})},
      {}, now_);
  claim(kWeb, "192.0.2.61", kOtherParent);
  EXPECT_THAT(after(milliseconds(999)).learn, ElementsAre(LearnedAddress{kOtherParent, kWeb, ip("192.0.2.61")}));
}

TEST_F(LearningTest, OfTwoThatClaimAnAddressAtOnceTheFirstGetsIt) {
  claim(kWeb, "192.0.2.61");
  claim(kDb, "192.0.2.61");
  EXPECT_THAT(after(seconds(1)).learn, ElementsAre(LearnedAddress{kParent, kWeb, ip("192.0.2.61")}));
}

TEST_F(LearningTest, WhatTheLanClaimsIsAskedForAndGivenUpWhenTheGuestIsSilent) {
  learn(kWeb, "192.0.2.61");
  claim(kLanMachine, "192.0.2.61");
  EXPECT_THAT(after(milliseconds(999)).forget, ElementsAre(ip("192.0.2.61")));
  EXPECT_THAT(learning_.learned(), IsEmpty());
}

TEST_F(LearningTest, AGuestThatAnswersKeepsWhatTheLanClaims) {
  learn(kWeb, "192.0.2.61");
  claim(kLanMachine, "192.0.2.61");
  claim(kWeb, "192.0.2.61");
  const auto decided = after(seconds(2));
  EXPECT_THAT(decided.forget, IsEmpty());
  EXPECT_THAT(decided.notes, SizeIs(1));
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

TEST_F(LearningTest, GivenBeatsLearned) {
  learn(kWeb, "192.0.2.61");
  update({{kParent, kDb, ip("192.0.2.61")}});
  EXPECT_THAT(learning_.learned(), IsEmpty());
  claim(kWeb, "192.0.2.61");
  const auto decided = after(seconds(1));
  EXPECT_THAT(decided.learn, IsEmpty());
  ASSERT_THAT(decided.notes, SizeIs(1));
  EXPECT_THAT(decided.notes[0], HasSubstr("is given to " + kDb.str()));
}

TEST_F(LearningTest, AGuestMayHaveSomeAddressesAndNoMore) {
  learn_eight();
  claim(kWeb, "192.0.2.150");
  claim(kWeb, "192.0.2.151");
  const auto decided = after(seconds(1));
  EXPECT_THAT(decided.learn, IsEmpty());
  EXPECT_THAT(decided.notes, SizeIs(1));
  learn(kDb, "192.0.2.150");
}

TEST_F(LearningTest, ManyClaimsAtOnceCountToo) {
  for (int i = 0; i < 20; ++i) claim(kWeb, ("192.0.2." + std::to_string(100 + i)).c_str());
  EXPECT_THAT(after(seconds(1)).learn, SizeIs(8));
}

TEST_F(LearningTest, AnAddressThatItsGuestDroppedMakesRoomForANewOne) {
  learn_eight();
  now_ += seconds(10);
  claim(kWeb, "192.0.2.150");
  EXPECT_THAT(after(seconds(4)).forget, ElementsAre(ip("192.0.2.100")));
  learn(kWeb, "192.0.2.150");
}

TEST_F(LearningTest, AnAddressThatWasJustHeardOfMakesNoRoom) {
  learn_eight();
  claim(kWeb, "192.0.2.150");
  const auto decided = after(seconds(4));
  EXPECT_THAT(decided.questions, IsEmpty());
  EXPECT_THAT(decided.forget, IsEmpty());
}

TEST_F(LearningTest, AGuestThatLeavesTakesItsAddressesAlong) {
  learn(kWeb, "192.0.2.61");
  update({}, {kDb});
  EXPECT_THAT(learning_.learned(), IsEmpty());
  claim(kWeb, "192.0.2.61");
  EXPECT_THAT(after(seconds(1)).learn, IsEmpty()) << "a stranger by now";
}

TEST_F(LearningTest, WhoeverWasRefusedAnAddressMayHaveItWhenItsHolderHasGone) {
  learn(kWeb, "192.0.2.61");
  claim(kDb, "192.0.2.61");
  claim(kWeb, "192.0.2.61");
  EXPECT_THAT(after(seconds(1)).learn, IsEmpty());
  update({}, {kDb});
  learn(kDb, "192.0.2.61");
}

TEST_F(LearningTest, AGuestThatSpeaksBeforeItIsKnownIsHeardAllTheSame) {
  update({}, {kDb});
  claim(kWeb, "192.0.2.61");
  claim(kLanMachine, "192.0.2.77");
  now_ += milliseconds(100);
  update({}, {kDb, kWeb});
  EXPECT_THAT(after(seconds(1)).learn, ElementsAre(LearnedAddress{kParent, kWeb, ip("192.0.2.61")}));
  EXPECT_FALSE(learning_.due());
}

TEST_F(LearningTest, AGuestThatSpeaksBeforeItIsKnownToBeUpIsHeardWhenItIs) {
  auto here = ground(kParent, "eth0", "192.0.2.10/24", {kWeb, kDb});
  here.guests.at(kWeb).up = false;
  learning_.update({here}, {}, now_);
  claim(kWeb, "192.0.2.61");
  now_ += milliseconds(100);
  learning_.update({here}, {}, now_);
  EXPECT_THAT(after(seconds(1)).learn, IsEmpty());
  here.guests.at(kWeb).up = true;
  learning_.update({here}, {}, now_);
  EXPECT_THAT(after(seconds(1)).learn, ElementsAre(LearnedAddress{kParent, kWeb, ip("192.0.2.61")}));
  claim(kWeb, "192.0.2.62");
  learning_.update({here}, {}, now_);
  EXPECT_THAT(after(seconds(1)).learn, SizeIs(1)) << "once, and not at every look";
}

TEST_F(LearningTest, WhatAStrangerSaidLongAgoDoesNotCount) {
  update({}, {kDb});
  claim(kWeb, "192.0.2.61");
  now_ += Learning::kMemory;
  update({}, {kDb, kWeb});
  EXPECT_THAT(after(seconds(1)).learn, IsEmpty());
}

// A paused guest, or one that has not come over from another host yet.
TEST_F(LearningTest, AGuestWhoseMacvtapIsDownKeepsItsAddressAndClaimsNone) {
  learn(kWeb, "192.0.2.61");
  auto down = ground(kParent, "eth0", "192.0.2.10/24", {kWeb, kDb});
  down.guests.at(kWeb).up = false;
  learning_.update({down}, {}, now_);
  now_ += Learning::kConfirmation + seconds(1);
  claim(kDb, "192.0.2.61");
  claim(kLanMachine, "192.0.2.61");
  claim(kWeb, "192.0.2.63");
  const auto decided = after(seconds(10));
  EXPECT_THAT(decided.learn, IsEmpty());
  EXPECT_THAT(decided.forget, IsEmpty());
  EXPECT_THAT(learning_.learned(), ElementsAre(LearnedAddress{kParent, kWeb, ip("192.0.2.61")}));
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

TEST_F(LearningTest, AClaimIsDroppedWhenItsGuestLeavesMeanwhile) {
  claim(kWeb, "192.0.2.61");
  update({}, {kDb});
  EXPECT_THAT(after(seconds(1)).learn, IsEmpty());
  EXPECT_FALSE(learning_.due());
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

TEST_F(LearningTest, LearningCanBeTurnedOff) {
  config_.parents[*IfName::parse("eth0")].learn = LearnMode::kNo;
  update();
  claim(kWeb, "192.0.2.61");
  EXPECT_THAT(after(seconds(1)).learn, IsEmpty());
  config_.guests["web"] = {.learn = LearnMode::kYes, .given = {{kWeb, {}}}};
  update();
  learn(kWeb, "192.0.2.61");
  config_.guests["web"].learn = LearnMode::kNo;
  update();
  EXPECT_THAT(learning_.learned(), IsEmpty());
}

TEST_F(LearningTest, AClaimIsNoGoodOnceLearningIsTurnedOff) {
  claim(kWeb, "192.0.2.61");
  config_.learn = LearnMode::kNo;
  update();
  EXPECT_THAT(after(seconds(1)).learn, IsEmpty());
  EXPECT_FALSE(learning_.due());
}

TEST_F(LearningTest, WhatTheFileGivesToAGuestThatIsNotThereIsNobodyElses) {
  learn(kWeb, "192.0.2.61");
  config_.guests["away"] = {.learn = {}, .given = {{mac(0x69), {ip("192.0.2.61"), ip("192.0.2.69")}}}};
  learning_.adopt({kParent, kDb, ip("192.0.2.69")});
  update();
  EXPECT_THAT(learning_.learned(), IsEmpty());
  claim(kWeb, "192.0.2.69");
  const auto decided = after(seconds(1));
  EXPECT_THAT(decided.learn, IsEmpty());
  ASSERT_THAT(decided.notes, SizeIs(1));
  EXPECT_THAT(decided.notes[0], HasSubstr("is given to " + mac(0x69).str()));
  learning_.adopt({kParent, kDb, ip("192.0.2.69")});
  EXPECT_THAT(learning_.learned(), IsEmpty());
}

TEST_F(LearningTest, AStrictGuestIsHeldToWhatItWasGiven) {
  config_.learn = LearnMode::kStrict;
  update({{kParent, kDb, ip("192.0.2.62")}});
  claim(kDb, "192.0.2.63");
  EXPECT_THAT(after(seconds(1)).learn, IsEmpty());
  learn(kWeb, "192.0.2.61");
}

TEST_F(LearningTest, AGuestThatBecomesStrictLosesWhatItHadLearned) {
  for (const char* given : {"192.0.2.62", "192.0.2.64"}) {
    config_.learn = LearnMode::kYes;
    update({{kParent, kDb, ip(given)}});
    learn(kDb, "192.0.2.63");
    config_.learn = LearnMode::kStrict;
    update({{kParent, kDb, ip(given)}});
    EXPECT_THAT(learning_.learned(), IsEmpty()) << given;
  }
}

TEST_F(LearningTest, AHostileGuestCannotFillTheMemoryOrTheLog) {
  std::size_t notes = 0;
  std::size_t questions = 0;
  for (int round = 0; round < 10; ++round)
    for (int i = 0; i < 5000; ++i) {
      const auto address =
          "10." + std::to_string(round) + "." + std::to_string(i / 250) + "." + std::to_string(1 + i % 250);
      claim(kWeb, address.c_str());
      claim(kWeb, ("192.0.2." + std::to_string(2 + i % 250)).c_str());
      const auto decided = after(milliseconds(1));
      notes += decided.notes.size();
      questions += decided.questions.size();
    }
  EXPECT_LE(notes, Learning::kMaxNotes + 1);
  EXPECT_LE(questions, 200U) << "in 50 s";
  EXPECT_LE(learning_.learned().size(), 8U);
  learn(kDb, "192.0.2.252");
}

TEST_F(LearningTest, WhatIsRememberedOfRefusalsIsBounded) {
  for (std::size_t i = 0; i < Learning::kMaxRefusals; ++i) claim(kWeb, ("10.0.0." + std::to_string(1 + i)).c_str());
  claim(kWeb, "192.0.2.61");
  EXPECT_THAT(after(seconds(1)).learn, IsEmpty()) << "there is no place for one more refusal";
  now_ += Learning::kRefusal;
  learn(kWeb, "192.0.2.61");
}

TEST_F(LearningTest, WhatIsRememberedOfStrangersIsBounded) {
  update({}, {kDb});
  claim(kWeb, "192.0.2.61");
  for (std::size_t i = 0; i < Learning::kMaxOverheard; ++i) claim(kLanMachine, "192.0.2.77");
  update();
  EXPECT_THAT(after(seconds(1)).learn, IsEmpty());
}

TEST_F(LearningTest, WhatAnEarlierWatcherLearnedIsKept) {
  learning_.adopt({kParent, kWeb, ip("192.0.2.61")});
  learning_.adopt({kParent, mac(0x99), ip("192.0.2.99")});
  EXPECT_THAT(learning_.learned(), ElementsAre(LearnedAddress{kParent, kWeb, ip("192.0.2.61")}));
}

TEST_F(LearningTest, WhatAnEarlierWatcherLearnedIsAskedForWhenSomebodySpeaks) {
  learning_.adopt({kParent, kWeb, ip("192.0.2.61")});
  EXPECT_FALSE(learning_.due());
  claim(kLanMachine, "192.0.2.77");
  EXPECT_THAT(after(seconds(4)).forget, ElementsAre(ip("192.0.2.61")));
}

TEST_F(LearningTest, AGuestThatChangesItsAddressLosesTheOldOne) {
  learn(kWeb, "192.0.2.61");
  claim(kWeb, "2001:db8:1::61");
  ASSERT_THAT(after(seconds(1)).learn, SizeIs(1));
  now_ += seconds(2);
  learn(kWeb, "192.0.2.65");
  EXPECT_THAT(after(seconds(4)).forget, ElementsAre(ip("192.0.2.61")));
  EXPECT_THAT(learning_.learned(), SizeIs(2)) << "the new one, and the other family's";
}

TEST_F(LearningTest, AGuestWithASecondAddressKeepsTheFirstOneThatItAnswersFor) {
  learn(kWeb, "192.0.2.61");
  now_ += seconds(2);
  learn(kWeb, "192.0.2.65");
  claim(kWeb, "192.0.2.61");
  EXPECT_THAT(after(seconds(10)).forget, IsEmpty());
}

TEST_F(LearningTest, ARivalHurriesACheckThatHasBegunWithPatience) {
  learn(kWeb, "192.0.2.61");
  now_ += seconds(2);
  learn(kWeb, "192.0.2.65");
  claim(kLanMachine, "192.0.2.61");
  EXPECT_THAT(after(milliseconds(999)).forget, ElementsAre(ip("192.0.2.61")));
}

TEST_F(LearningTest, WhatCouldNotBeSetUpIsNotTriedAgainAtOnce) {
  learn(kWeb, "192.0.2.61");
  learning_.refuse(LearnedAddress{kParent, kWeb, ip("192.0.2.61")}, "in the way", now_);
  EXPECT_THAT(learning_.take().notes, ElementsAre("in the way"));
  claim(kWeb, "192.0.2.61");
  EXPECT_THAT(after(seconds(1)).learn, IsEmpty());
  now_ += Learning::kRefusal;
  learn(kWeb, "192.0.2.61");
}

}  // namespace
}  // namespace vmt
