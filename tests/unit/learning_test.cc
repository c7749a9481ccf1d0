// SPDX-License-Identifier: LGPL-2.1-or-later
// What a guest says, and whom it is believed: claims, rivals, moves.
#include "tests/unit/learning_fixture.h"

namespace vmt {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

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

TEST_F(LearningTest, AClaimIsDroppedWhenItsGuestLeavesMeanwhile) {
  claim(kWeb, "192.0.2.61");
  update({}, {kDb});
  EXPECT_THAT(after(seconds(1)).learn, IsEmpty());
  EXPECT_FALSE(learning_.due());
}

TEST_F(LearningTest, WhatAnEarlierWatcherLearnedIsKept) {
  learning_.adopt({kParent, kWeb, ip("192.0.2.61")});
  learning_.adopt({kParent, mac(0x99), ip("192.0.2.99")});
  EXPECT_THAT(learning_.learned(), ElementsAre(LearnedAddress{kParent, kWeb, ip("192.0.2.61")}));
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
