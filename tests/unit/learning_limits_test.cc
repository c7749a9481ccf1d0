// SPDX-License-Identifier: LGPL-2.1-or-later
// What a guest cannot make us believe, and what it may not make us work for.
#include "tests/unit/learning_fixture.h"

namespace vmt {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

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

}  // namespace
}  // namespace vmt
