// SPDX-License-Identifier: LGPL-2.1-or-later
// What the hook and `sync` do with what the watcher has learned: they agree with it, and given beats learned.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/host_access.h"
#include "lib/watch_plan.h"
#include "tests/fake_kernel.h"

namespace vmt {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kWebMac = "52:54:00:12:34:56";
constexpr const char* kDbMac = "52:54:00:12:34:57";

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}
MacAddress mac(const char* text) {
  return *MacAddress::parse(text);
}

class LearnedPlanTest : public testing::Test {
 protected:
  LearnedPlanTest() {
    eth0_ = kernel_.add_parent("eth0", "52:54:00:ee:00:10", {"192.0.2.10/24", "2001:db8:1::10/64"}, "192.0.2.1");
    web_ = {.name = "web",
            .uuid = {},
            .id = 1,
            .nics = {{.mac = mac(kWebMac),
                      .source = DirectSource{*IfName::parse("eth0"), MacvlanMode::kBridge, ""},
                      .target = {},
                      .model = {}}},
            .given = {{mac(kWebMac), {ip("192.0.2.61")}}}};
  }

  std::vector<std::string> run(const PlanResult& planned) {
    EXPECT_TRUE(planned) << planned.error().message;
    std::vector<std::string> lines;
    for (const auto& change : planned->changes) lines.push_back(describe(change));
    notes_ = planned->notes;
    EXPECT_THAT(apply_all(kernel_, planned->changes), IsEmpty());
    return lines;
  }
  std::vector<std::string> sync(std::vector<Guest> guests) {
    auto children = *kernel_.children();
    children.insert(children.end(), elsewhere_.begin(), elsewhere_.end());
    return run(plan_sync(kernel_, guests, config_, children));
  }
  unsigned macvtap(const char* name, const char* its_mac) {
    return kernel_.add_child(eth0_, name, its_mac, MacvlanMode::kBridge);
  }
  void make_shim() {
    ASSERT_TRUE(kernel_.apply(CreateShim{eth0_, *IfName::parse("eth0"), shim_mac(mac("52:54:00:ee:00:10"))}));
    ASSERT_TRUE(kernel_.apply(AddProxy{eth0_, ip("2001:db8:1::10")}));
    ASSERT_TRUE(kernel_.apply(FinishShim{eth0_, ShimRole::kGuests}));
  }
  void learn(const char* address, const char* its_mac) {
    ASSERT_TRUE(kernel_.apply(AddNeighbour{eth0_, ip(address), mac(its_mac), Origin::kLearned}));
    ASSERT_TRUE(kernel_.apply(AddRoute{eth0_, ip(address), ip("192.0.2.10"), false}));
  }
  Owned all() { return *kernel_.owned({}); }

  FakeKernel kernel_;
  Config config_;
  std::vector<Child> elsewhere_;
  unsigned eth0_ = 0;
  std::vector<std::string> notes_;
  Guest web_;
};

TEST_F(LearnedPlanTest, ASyncKeepsWhatWasLearnedFromAGuestThatIsThereAndTakesItWithTheGuest) {
  make_shim();
  const unsigned device = macvtap("macvtap0", kDbMac);
  macvtap("macvtap1", kWebMac);
  learn("192.0.2.62", kDbMac);
  EXPECT_THAT(sync({}), IsEmpty());
  kernel_.remove_link(device);
  EXPECT_THAT(sync({}), ElementsAre(HasSubstr("delete route 192.0.2.62"), HasSubstr("unpin 192.0.2.62")));
  EXPECT_THAT(all().shims, SizeIs(1));
}

TEST_F(LearnedPlanTest, ALostRouteOfALearnedAddressComesBackWithASync) {
  make_shim();
  macvtap("macvtap0", kDbMac);
  learn("192.0.2.62", kDbMac);
  ASSERT_TRUE(kernel_.apply(DeleteRoute{all().shims[0].index, ip("192.0.2.62"), false}));
  EXPECT_THAT(sync({}), ElementsAre("add route 192.0.2.62 dev vmt-2 src 192.0.2.10"));
}

TEST_F(LearnedPlanTest, AParentThatIsRenamedDuringALookKeepsWhatIsOnIt) {
  make_shim();
  macvtap("macvtap0", kDbMac);
  learn("192.0.2.62", kDbMac);
  Ground seen{.parent = *kernel_.parent(eth0_), .guests = {{mac(kDbMac), GuestNic{.guest = "db", .given = {}}}}};
  seen.parent.name = *IfName::parse("old0");
  const Watched watched{.grounds = {seen}, .learned = {{eth0_, mac(kDbMac), ip("192.0.2.62")}}, .lingering = {}};
  EXPECT_THAT(run(plan_watch(kernel_, all(), watched, config_)), IsEmpty());
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(LearnedPlanTest, AGuestInAnotherNamespaceCountsAsWell) {
  make_shim();
  elsewhere_.push_back({.index = 7,
                        .name = *IfName::parse("vm-0"),
                        .parent = eth0_,
                        .mac = mac(kDbMac),
                        .mode = MacvlanMode::kBridge,
                        .macvtap = true,
                        .nsid = 3});
  learn("192.0.2.62", kDbMac);
  EXPECT_THAT(sync({}), IsEmpty());
  elsewhere_.clear();
  EXPECT_THAT(sync({}), ElementsAre("delete shim vmt-2"));
}

TEST_F(LearnedPlanTest, AShimStaysWhileAnybodysBridgeModeMacvtapIsOnItsParentAndASyncMakesNone) {
  const unsigned device = macvtap("macvtap0", kDbMac);
  kernel_.add_child(eth0_, "macvtap1", kWebMac, MacvlanMode::kVepa);
  EXPECT_THAT(sync({}), IsEmpty());
  make_shim();
  EXPECT_THAT(sync({}), IsEmpty());
  kernel_.remove_link(device);
  EXPECT_THAT(sync({}), ElementsAre("delete shim vmt-2"));
}

// Its parent was renamed after its start: only the kernel shows where it is. The shim comes for another guest.
TEST_F(LearnedPlanTest, ASyncThatMakesAShimDoesAllForTheOthersThereAtOnce) {
  macvtap("macvtap0", kWebMac);
  macvtap("macvtap1", kDbMac);
  Guest db = web_;
  db.name = "db";
  db.uuid = *Uuid::parse("7c0c2d5e-0d4c-4b7e-8f57-525400123457");
  db.nics[0].mac = mac(kDbMac);
  db.nics[0].source = DirectSource{*IfName::parse("old0"), MacvlanMode::kBridge, ""};
  db.given = {};
  EXPECT_THAT(sync({web_, db}), Contains(HasSubstr("mark a guest")));
  EXPECT_THAT(sync({web_, db}), IsEmpty());
}

TEST_F(LearnedPlanTest, GuestsAndParentsThatAreSwitchedOffKeepNothing) {
  make_shim();
  macvtap("macvtap0", kWebMac);
  learn("192.0.2.99", kWebMac);
  Guest off = web_;
  off.host_access = false;
  auto children = *kernel_.children();
  EXPECT_THAT(plan_sync(kernel_, std::span(&off, 1), config_, children)->changes, SizeIs(1));
  config_.parents[*IfName::parse("eth0")].host_access = false;
  EXPECT_THAT(sync({}), ElementsAre("delete shim vmt-2"));
}

TEST_F(LearnedPlanTest, WhereNothingMayBeLearnedASyncTakesItAway) {
  make_shim();
  macvtap("macvtap0", kWebMac);
  ASSERT_THAT(sync({web_}), SizeIs(2));
  learn("192.0.2.99", kWebMac);
  EXPECT_THAT(sync({web_}), IsEmpty());
  config_.learn = LearnMode::kStrict;
  EXPECT_THAT(sync({web_}), ElementsAre(HasSubstr("delete route 192.0.2.99"), HasSubstr("unpin 192.0.2.99")));
  learn("192.0.2.99", kWebMac);
  web_.given.clear();
  config_.learn = LearnMode::kNo;
  EXPECT_THAT(sync({web_}), Contains(HasSubstr("unpin 192.0.2.99")));
}

TEST_F(LearnedPlanTest, AnAddressThatIsGivenToItsGuestAfterwardsIsAGivenOne) {
  make_shim();
  macvtap("macvtap0", kWebMac);
  learn("192.0.2.61", kWebMac);
  EXPECT_THAT(sync({web_}),
              ElementsAre(HasSubstr("unpin 192.0.2.61"), HasSubstr("pin 192.0.2.61 to 52:54:00:12:34:56")));
  EXPECT_THAT(notes_, IsEmpty());
  EXPECT_EQ(all().neighbours.at(0).origin, Origin::kGiven);
  EXPECT_THAT(sync({web_}), IsEmpty());
}

TEST_F(LearnedPlanTest, GivenBeatsLearnedInASyncAndAtAStart) {
  for (const bool start : {false, true}) {
    SCOPED_TRACE(start);
    make_shim();
    const unsigned web = macvtap("macvtap0", kWebMac);
    const unsigned db = macvtap("macvtap1", kDbMac);
    learn("192.0.2.61", kDbMac);
    learn("192.0.2.62", kDbMac);
    if (start)
      run(plan_start(kernel_, web_, config_));
    else
      sync({web_});
    EXPECT_THAT(notes_, ElementsAre(testing::AllOf(HasSubstr("192.0.2.61"), HasSubstr(start ? kDbMac : kWebMac))));
    ASSERT_THAT(all().neighbours, SizeIs(2));
    for (const auto& neighbour : all().neighbours) {
      const bool given = neighbour.guest == ip("192.0.2.61");
      EXPECT_EQ(neighbour.mac.str(), given ? kWebMac : kDbMac);
      EXPECT_EQ(neighbour.origin, given ? Origin::kGiven : Origin::kLearned);
    }
    EXPECT_THAT(sync({web_}), IsEmpty());
    for (const unsigned index : {web, db, all().shims.at(0).index}) kernel_.remove_link(index);
  }
}

TEST_F(LearnedPlanTest, AGivenAddressThatIsRefusedTakesNothingFromTheGuestThatHasIt) {
  make_shim();
  macvtap("macvtap0", kWebMac);
  macvtap("macvtap1", kDbMac);
  learn("192.0.2.61", kDbMac);
  kernel_.add_parent("eth1", "52:54:00:ee:00:11", {"198.51.100.10/24"});
  web_.nics[0].source = DirectSource{*IfName::parse("eth1"), MacvlanMode::kBridge, ""};
  run(plan_start(kernel_, web_, config_));
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("off-link")));
  ASSERT_THAT(all().neighbours, SizeIs(1));
  EXPECT_EQ(all().neighbours[0].mac.str(), kDbMac);
}

TEST_F(LearnedPlanTest, WhatWasLearnedGoesByItsMacWhenTheGuestStops) {
  make_shim();
  const unsigned web = macvtap("macvtap0", kWebMac);
  macvtap("macvtap1", kDbMac);
  learn("192.0.2.61", kWebMac);
  learn("192.0.2.62", kDbMac);
  EXPECT_THAT(run(plan_stop(kernel_, web_)), IsEmpty()) << "its macvtap is there, so it is another's";
  kernel_.remove_link(web);
  EXPECT_THAT(run(plan_stop(kernel_, web_)),
              ElementsAre(HasSubstr("delete route 192.0.2.61"), HasSubstr("unpin 192.0.2.61")));
  ASSERT_THAT(all().neighbours, SizeIs(1));
  EXPECT_EQ(all().neighbours[0].mac.str(), kDbMac);
}

TEST_F(LearnedPlanTest, AnIdleShimIsLeftToTheWatcherWhenThereIsOne) {
  make_shim();
  learn("192.0.2.61", kWebMac);
  EXPECT_THAT(run(plan_stop(kernel_, web_, IdleShims::kStay)),
              ElementsAre(HasSubstr("delete route 192.0.2.61"), HasSubstr("unpin 192.0.2.61")));
  EXPECT_THAT(run(plan_stop(kernel_, web_)), ElementsAre(HasSubstr("delete shim")));
}

TEST_F(LearnedPlanTest, AGuestOfTheConfigurationThatLibvirtDoesNotKnowKeepsItsAddress) {
  make_shim();
  macvtap("macvtap0", kDbMac);
  config_.guests["db"].given = {{mac(kDbMac), {ip("192.0.2.62")}}};
  ASSERT_TRUE(kernel_.apply(AddNeighbour{eth0_, ip("192.0.2.62"), mac(kDbMac), Origin::kGiven}));
  ASSERT_TRUE(kernel_.apply(AddRoute{eth0_, ip("192.0.2.62"), ip("192.0.2.10"), false}));
  EXPECT_THAT(sync({}), IsEmpty());
}

TEST_F(LearnedPlanTest, AShimNumberedByHandStillAnswersGuestsThatKnowTheHostsUsualAddress) {
  web_.given[0].addresses = {ip("2001:db8:1::61")};
  run(plan_host_up(kernel_, {*IfName::parse("eth0"), {}, {*IpPrefix::parse("2001:db8:1::9")}}));
  macvtap("macvtap0", kWebMac);
  run(plan_start(kernel_, web_, config_));
  EXPECT_THAT(sync({web_}), IsEmpty());
  EXPECT_THAT(all().shims.at(0).proxied, ElementsAre(ip("2001:db8:1::10")));
  EXPECT_EQ(all().routes.at(0).source, ip("2001:db8:1::10"));
}

TEST_F(LearnedPlanTest, AShimThatLosesItsNumberOrGetsAnotherKeepsItsGuests) {
  macvtap("macvtap0", kWebMac);
  auto& numbers = config_.parents[*IfName::parse("eth0")].addresses;
  for (const char* number : {"192.0.2.9", "192.0.2.8", ""}) {
    numbers.clear();
    if (*number) numbers.push_back(*IpPrefix::parse(number));
    sync({web_});
    EXPECT_THAT(all().neighbours, SizeIs(1)) << number;
    ASSERT_THAT(all().routes, SizeIs(1)) << number;
    EXPECT_EQ(all().routes[0].source, ip(*number ? number : "192.0.2.10"));
    EXPECT_THAT(sync({web_}), IsEmpty()) << number;
  }
}

TEST_F(LearnedPlanTest, AShimMadeByHandGetsTheNumberOfTheConfigurationWhenAGuestNeedsIt) {
  run(plan_host_up(kernel_, {*IfName::parse("eth0"), {{ip("192.0.2.77")}}, {}}));
  macvtap("macvtap0", kWebMac);
  config_.parents[*IfName::parse("eth0")].addresses = {*IpPrefix::parse("192.0.2.9")};
  sync({web_});
  ASSERT_THAT(all().routes, SizeIs(2));
  for (const auto& route : all().routes) EXPECT_EQ(route.source, ip("192.0.2.9"));
  EXPECT_EQ(all().shims.at(0).role, ShimRole::kManual);
  EXPECT_THAT(sync({web_}), IsEmpty());
}

}  // namespace
}  // namespace vmt
