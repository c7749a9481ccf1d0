// SPDX-License-Identifier: LGPL-2.1-or-later
// A guest's end by its marks: the same changes as by reading everything, or the admission that the marks do not tell.
#include "lib/marked_stop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "lib/algorithm.h"
#include "lib/host_access.h"
#include "lib/plan.h"
#include "tests/fake_kernel.h"

namespace vmt {
namespace {

using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr const char* kWebMac = "52:54:00:12:34:56";
constexpr const char* kDbMac = "52:54:00:12:34:57";

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}
MacAddress mac(const char* text) {
  return *MacAddress::parse(text);
}

// Counts who reads lists as long as the host's guests are many.
class CountingKernel : public FakeKernel {
 public:
  std::expected<std::vector<Child>, Error> children() override {
    ++lists;
    return FakeKernel::children();
  }
  std::expected<Owned, Error> owned(const Scope& scope) override {
    if (!scope.addresses) ++lists;
    return FakeKernel::owned(scope);
  }
  int lists = 0;
};

class MarkedStopTest : public testing::Test {
 protected:
  MarkedStopTest() {
    eth0_ = kernel_.add_parent("eth0", "52:54:00:ee:00:10", {"192.0.2.10/24", "2001:db8:1::10/64"});
    for (Guest* guest : {&web_, &db_}) start(*guest);
  }

  static Guest guest(const char* name, const char* uuid, const char* nic, std::vector<IpAddress> addresses) {
    return {.name = name,
            .uuid = *Uuid::parse(uuid),
            .nics = {{.mac = mac(nic), .source = DirectSource{*IfName::parse("eth0"), MacvlanMode::kBridge, ""}}},
            .given = {{mac(nic), std::move(addresses)}}};
  }
  std::vector<std::string> apply(const Planned& planned) {
    std::vector<std::string> lines;
    for (const auto& change : planned.changes) lines.push_back(describe(change));
    EXPECT_THAT(apply_all(kernel_, planned.changes), IsEmpty());
    return lines;
  }
  std::vector<std::string> start(const Guest& g) { return apply(*plan_start(kernel_, g, config_)); }
  // nullopt: the marks do not tell.
  std::optional<std::vector<std::string>> stop(const Guest& g, IdleShims idle = IdleShims::kGo) {
    auto planned = plan_marked_stop(kernel_, g, config_, idle);
    EXPECT_TRUE(planned) << planned.error().message;
    if (!*planned) return std::nullopt;
    return apply(**planned);
  }

  CountingKernel kernel_;
  Config config_;
  unsigned eth0_ = 0;
  Guest web_ = guest("web", "6d4bd1b3-6b4e-4f0a-9d3f-2a4f0c8f5a01", kWebMac, {ip("192.0.2.61"), ip("2001:db8:1::61")});
  Guest db_ = guest("db", "6d4bd1b3-6b4e-4f0a-9d3f-2a4f0c8f5a02", kDbMac, {ip("192.0.2.62")});
};

TEST_F(MarkedStopTest, TakesAllOfTheGuestsAndReadsNoLists) {
  kernel_.lists = 0;
  const auto lines = stop(web_);
  ASSERT_TRUE(lines);
  EXPECT_THAT(*lines, SizeIs(5));
  EXPECT_EQ(kernel_.lists, 0);
  const Owned left = *kernel_.owned({});
  EXPECT_THAT(left.neighbours, ElementsAre(testing::Field(&GuestNeighbour::mac, mac(kDbMac))));
  EXPECT_THAT(left.routes, SizeIs(1));
  EXPECT_THAT(left.marks, ElementsAre(testing::Field(&GuestMark::at, mark_address(mac(kDbMac)))));
  EXPECT_THAT(left.shims, SizeIs(1));
}

TEST_F(MarkedStopTest, TheLastGuestIsForPlanStopWhichTakesTheMarkAlong) {
  ASSERT_TRUE(stop(web_));
  EXPECT_FALSE(stop(db_));
  EXPECT_THAT(stop(db_, IdleShims::kStay).value(), SizeIs(3)) << "a watcher takes the shim";
  start(db_);
  apply(*plan_stop(kernel_, db_, IdleShims::kStay));
  EXPECT_THAT(kernel_.owned({})->marks, IsEmpty());
  start(db_);
  EXPECT_THAT(apply(*plan_stop(kernel_, db_)), Contains(HasSubstr("delete shim")));
}

// Somebody has deleted the guest's own, and made them by hand since.
TEST_F(MarkedStopTest, WhatIsManualAtTheGuestsAddressesStays) {
  const auto make_by_hand = [&] {
    const unsigned shim = kernel_.owned({})->shims.at(0).index;
    ASSERT_TRUE(kernel_.apply(DeleteRoute{shim, ip("192.0.2.61"), false}));
    ASSERT_TRUE(kernel_.apply(AddRoute{eth0_, ip("192.0.2.61"), ip("192.0.2.10"), true}));
    ASSERT_TRUE(kernel_.apply(DeleteNeighbour{shim, ip("2001:db8:1::61")}));
    ASSERT_TRUE(kernel_.apply(AddNeighbour{eth0_, ip("2001:db8:1::61"), mac(kWebMac), Origin::kManual}));
  };
  const auto expect_by_hand = [&](const char* way) {
    const Owned left = *kernel_.owned({});
    EXPECT_TRUE(std::ranges::any_of(left.routes, [](const auto& r) { return r.guest == ip("192.0.2.61"); })) << way;
    EXPECT_THAT(left.neighbours, Contains(testing::Field(&GuestNeighbour::origin, Origin::kManual))) << way;
    EXPECT_FALSE(contains(left.neighbours, ip("192.0.2.61"), &GuestNeighbour::guest)) << way;
  };
  make_by_hand();
  ASSERT_TRUE(stop(web_));
  expect_by_hand("by its mark");
  apply(*plan_stop(kernel_, web_));
  expect_by_hand("by all that there is");
}

TEST_F(MarkedStopTest, AManualShimStaysAnyway) {
  apply(*plan_host_up(kernel_, {.parent = *IfName::parse("eth0"), .guests = {{ip("192.0.2.70")}}, .addresses = {}}));
  ASSERT_TRUE(stop(web_));
  EXPECT_TRUE(stop(db_));
  EXPECT_THAT(kernel_.owned({})->routes, ElementsAre(testing::Field(&GuestRoute::manual, true)));
}

TEST_F(MarkedStopTest, AGuestThatWasGivenOtherAddressesMeanwhileIsForPlanStop) {
  web_.given[0].addresses.pop_back();
  EXPECT_FALSE(stop(web_));
  config_.guests["web"].given.push_back({mac(kWebMac), {ip("2001:db8:1::61")}});
  EXPECT_TRUE(stop(web_)) << "the same, written elsewhere";
}

TEST_F(MarkedStopTest, ACloneThatCouldNotStartTakesNothing) {
  Guest clone = web_;
  clone.uuid = *Uuid::parse("6d4bd1b3-6b4e-4f0a-9d3f-2a4f0c8f5a03");
  EXPECT_FALSE(stop(clone));
  clone.uuid.reset();
  EXPECT_FALSE(stop(clone));
}

TEST_F(MarkedStopTest, AnAddressThatHasMovedToAnotherGuestStaysThere) {
  apply(*plan_stop(kernel_, db_));
  db_.given[0].addresses = {ip("192.0.2.61")};
  const unsigned shim = kernel_.owned({})->shims[0].index;
  ASSERT_TRUE(kernel_.apply(DeleteRoute{shim, ip("192.0.2.61")}));
  ASSERT_TRUE(kernel_.apply(DeleteNeighbour{shim, ip("192.0.2.61")}));
  start(db_);
  EXPECT_THAT(stop(web_).value(), Not(Contains(HasSubstr("192.0.2.61"))));
}

// libvirt has forgotten the parent of a NIC in a <network> by then, and a NAT network looks the same.
TEST_F(MarkedStopTest, ANicInANetworkIsFoundByItsMarkOnAnyParent) {
  const unsigned eth1 = kernel_.add_parent("eth1", "52:54:00:ee:00:11", {"198.51.100.10/24"});
  Guest three = guest("three", "6d4bd1b3-6b4e-4f0a-9d3f-2a4f0c8f5a04", "52:54:00:12:34:58", {ip("198.51.100.61")});
  three.nics[0].source = DirectSource{*IfName::parse("eth1"), MacvlanMode::kBridge, "lan"};
  start(three);
  Guest beside = db_;
  beside.uuid = *Uuid::parse("6d4bd1b3-6b4e-4f0a-9d3f-2a4f0c8f5a05");
  beside.nics[0] = {.mac = mac("52:54:00:12:34:59"),
                    .source = DirectSource{*IfName::parse("eth1"), MacvlanMode::kBridge, ""}};
  beside.given = {};
  start(beside);
  three.nics[0].source = NetworkSource{"lan", ""};
  three.nics.push_back({.mac = mac("52:54:00:12:34:5a"), .source = NetworkSource{"default", ""}});
  const auto lines = stop(three);
  ASSERT_TRUE(lines);
  EXPECT_THAT(*lines, SizeIs(3));
  EXPECT_THAT(kernel_.owned({.parents = {{eth1}}, .addresses = {}})->routes, IsEmpty());
}

TEST_F(MarkedStopTest, AStartThatIsRepeatedOrComesWithOtherAddressesKeepsTheMarkRight) {
  EXPECT_THAT(start(web_), IsEmpty());
  web_.given[0].addresses.push_back(ip("192.0.2.63"));
  const auto lines = start(web_);
  EXPECT_THAT(lines, ElementsAre(HasSubstr("delete the mark"), HasSubstr("mark a guest"), HasSubstr("pin 192.0.2.63"),
                                 HasSubstr("add route 192.0.2.63")));
  EXPECT_THAT(stop(web_).value(), SizeIs(7));
}

// Of a guest that libvirt does not know, or not yet: what is there stays until the guest is given more.
TEST_F(MarkedStopTest, AMarkGoesBeforeSomebodyAddsWhatItDoesNotName) {
  const Owned owned = *kernel_.owned({});
  Desired desired{.shims = {}, .addresses = {}, .marks = {{.parent = eth0_, .mac = mac(kWebMac), .mark = {}}}};
  desired.shims.push_back({.parent = *kernel_.parent(eth0_), .addresses = {}, .proxied = {ip("2001:db8:1::10")}});
  const auto deletes_mark = [&] {
    std::vector<std::string> lines;
    for (const auto& change : plan(desired, owned)) lines.push_back(describe(change));
    return std::ranges::any_of(lines, [](const auto& line) {
      return line.starts_with("delete the mark " + mark_address(mac(kWebMac)).str());
    });
  };
  EXPECT_FALSE(deletes_mark());
  desired.addresses.push_back(
      {.parent = eth0_, .guest = ip("192.0.2.61"), .source = ip("192.0.2.10"), .mac = mac(kWebMac)});
  EXPECT_FALSE(deletes_mark()) << "it is there";
  desired.addresses.push_back(
      {.parent = eth0_, .guest = ip("192.0.2.63"), .source = ip("192.0.2.10"), .mac = mac(kWebMac)});
  EXPECT_TRUE(deletes_mark());
}

TEST_F(MarkedStopTest, ASyncWithAllGuestsChangesNothingAndOneWithoutTakesTheMark) {
  const Guest both[] = {web_, db_};
  EXPECT_THAT(plan_sync(kernel_, both, config_, {})->changes, IsEmpty());
  EXPECT_THAT(apply(*plan_sync(kernel_, std::span(both).first(1), config_, {})), SizeIs(3));
  EXPECT_THAT(kernel_.owned({})->marks, SizeIs(1));
}

}  // namespace
}  // namespace vmt
