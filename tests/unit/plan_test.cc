// SPDX-License-Identifier: LGPL-2.1-or-later
// Plans and entry points against the honest fake: what changes, in what order, and that a second run changes nothing.
#include "lib/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/host_access.h"
#include "tests/fake_kernel.h"

namespace vmt {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}
MacAddress mac(const char* text) {
  return *MacAddress::parse(text);
}

Guest guest(const char* name, const char* nic_mac, std::vector<IpAddress> addresses, const char* parent = "eth0",
            MacvlanMode mode = MacvlanMode::kBridge) {
  return {.name = name,
          .uuid = {},
          .id = 1,
          .nics = {{.mac = mac(nic_mac),
                    .source = DirectSource{*IfName::parse(parent), mode, ""},
                    .target = {},
                    .model = {}}},
          .given = {{mac(nic_mac), std::move(addresses)}}};
}

constexpr const char* kWebMac = "52:54:00:12:34:56";
constexpr const char* kDbMac = "52:54:00:12:34:57";

class HostAccessPlanTest : public testing::Test {
 protected:
  HostAccessPlanTest() {
    eth0_ = kernel_.add_parent("eth0", "52:54:00:ee:00:10", {"192.0.2.10/24", "2001:db8:1::10/64"}, "192.0.2.1");
  }

  std::vector<std::string> run(const PlanResult& planned) {
    EXPECT_TRUE(planned) << planned.error().message;
    std::vector<std::string> lines;
    for (const auto& change : planned->changes) lines.push_back(describe(change));
    notes_ = planned->notes;
    errors_ = apply_all(kernel_, planned->changes);
    return lines;
  }
  std::vector<std::string> start(const Guest& g) { return run(plan_start(kernel_, g, config_)); }
  std::vector<std::string> stop(const Guest& g) { return run(plan_stop(kernel_, g)); }
  Owned all() { return *kernel_.owned({}); }

  FakeKernel kernel_;
  Config config_;
  unsigned eth0_ = 0;
  std::vector<std::string> notes_;
  std::vector<Error> errors_;
  Guest web_ = guest("web", kWebMac, {ip("192.0.2.61"), ip("2001:db8:1::61")});
  Guest db_ = guest("db", kDbMac, {ip("192.0.2.62")});
};

TEST_F(HostAccessPlanTest, AStartMakesTheShimBeforeWhatSitsOnItAndNeighboursBeforeRoutes) {
  const std::string shim_address = shim_mac(mac("52:54:00:ee:00:10")).str();
  EXPECT_THAT(
      start(web_),
      ElementsAre("create shim vmt-2 on eth0 with " + shim_address, "answer for 2001:db8:1::10 on vmt-2",
                  "set shim vmt-2 up for guests", "pin 192.0.2.61 to 52:54:00:12:34:56 on vmt-2",
                  "pin 2001:db8:1::61 to 52:54:00:12:34:56 on vmt-2", "add route 192.0.2.61 dev vmt-2 src 192.0.2.10",
                  "add route 2001:db8:1::61 dev vmt-2 src 2001:db8:1::10"));
  EXPECT_THAT(errors_, IsEmpty());
  EXPECT_THAT(start(web_), IsEmpty());
}

TEST_F(HostAccessPlanTest, ASecondGuestSharesTheShimAndTheLastOneTakesItAway) {
  start(web_);
  EXPECT_THAT(start(db_), ElementsAre("pin 192.0.2.62 to 52:54:00:12:34:57 on vmt-2",
                                      "add route 192.0.2.62 dev vmt-2 src 192.0.2.10"));
  stop(web_);
  EXPECT_EQ(all().shims.size(), 1U);
  EXPECT_EQ(all().routes.size(), 1U);
  EXPECT_THAT(stop(db_), ElementsAre("delete shim vmt-2"));
  EXPECT_THAT(all().shims, IsEmpty());
  EXPECT_THAT(all().routes, IsEmpty());
  EXPECT_THAT(stop(db_), IsEmpty());
}

TEST_F(HostAccessPlanTest, AShimStaysWhileAnotherBridgeModeMacvtapIsThere) {
  const unsigned own = kernel_.add_child(eth0_, "macvtap0", kWebMac, MacvlanMode::kBridge);
  const unsigned other = kernel_.add_child(eth0_, "macvtap1", kDbMac, MacvlanMode::kBridge);
  kernel_.add_child(eth0_, "macvtap2", "52:54:00:12:34:58", MacvlanMode::kVepa);
  start(web_);
  kernel_.remove_link(own);
  stop(web_);
  EXPECT_EQ(all().shims.size(), 1U);
  EXPECT_THAT(all().routes, IsEmpty());
  kernel_.remove_link(other);
  stop(web_);
  EXPECT_THAT(all().shims, IsEmpty());
}

TEST_F(HostAccessPlanTest, AGuestOfAPoolIsCleanedUpByItsMacAlone) {
  start(web_);
  Guest forgotten = web_;
  forgotten.nics[0].source = NetworkSource{"lan", ""};
  stop(forgotten);
  EXPECT_THAT(all().shims, IsEmpty());
}

TEST_F(HostAccessPlanTest, AnAddressOfAGuestThatIsThereIsLeftToIt) {
  kernel_.add_child(eth0_, "macvtap0", kWebMac, MacvlanMode::kBridge);
  start(web_);
  EXPECT_THAT(start(guest("db", kDbMac, {ip("192.0.2.61")})), IsEmpty());
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("held by the guest with 52:54:00:12:34:56")));
  EXPECT_EQ(all().neighbours.size(), 2U);
}

TEST_F(HostAccessPlanTest, AnAddressOfAGuestThatIsGoneIsTakenOver) {
  start(web_);
  start(guest("db", kDbMac, {ip("192.0.2.61")}));
  EXPECT_THAT(errors_, IsEmpty());
  EXPECT_EQ(all().neighbours.size(), 2U);
  for (const auto& neighbour : all().neighbours)
    EXPECT_EQ(neighbour.mac.str(), neighbour.guest == ip("192.0.2.61") ? kDbMac : kWebMac);
}

TEST_F(HostAccessPlanTest, ARouteMadeByHandStaysWhenAGuestWithThatAddressStarts) {
  run(plan_host_up(kernel_, {*IfName::parse("eth0"), {{ip("192.0.2.61")}}, {}}));
  start(guest("db", kDbMac, {ip("192.0.2.61")}));
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("host up")));
  ASSERT_EQ(all().routes.size(), 1U);
  EXPECT_TRUE(all().routes[0].manual);
}

TEST_F(HostAccessPlanTest, ACloneWithTheSameMacTakesNothingAwayFromTheGuestThatIsThere) {
  const unsigned own = kernel_.add_child(eth0_, "macvtap0", kWebMac, MacvlanMode::kBridge);
  start(web_);
  EXPECT_THAT(stop(guest("clone", kWebMac, {})), IsEmpty());
  Guest nat = guest("nat", kWebMac, {});
  nat.nics[0].source = NetworkSource{"default", ""};
  EXPECT_THAT(stop(nat), IsEmpty());
  EXPECT_EQ(all().routes.size(), 2U);
  kernel_.remove_link(own);
  EXPECT_THAT(stop(web_), ElementsAre("delete shim vmt-2"));
}

TEST_F(HostAccessPlanTest, ACloneOnAnotherParentKeepsNothingHere) {
  const unsigned eth1 = kernel_.add_parent("eth1", "52:54:00:ee:00:11", {"198.51.100.10/24"});
  start(web_);
  kernel_.add_child(eth1, "macvtap0", kWebMac, MacvlanMode::kBridge);
  EXPECT_THAT(stop(web_), ElementsAre("delete shim vmt-2"));
}

TEST_F(HostAccessPlanTest, AMacvlanWithTheMacOfAGuestThatIsGoneKeepsNoAddress) {
  start(web_);
  kernel_.add_child(eth0_, "container0", kWebMac, MacvlanMode::kBridge, false);
  start(guest("db", kDbMac, {ip("192.0.2.61")}));
  EXPECT_THAT(notes_, IsEmpty());
  const auto owned = all().neighbours;
  EXPECT_TRUE(std::ranges::any_of(
      owned, [](const GuestNeighbour& n) { return n.guest == ip("192.0.2.61") && n.mac == mac(kDbMac); }));
}

TEST_F(HostAccessPlanTest, AStartLeavesToOthersWhatTheyHaveOnTheShim) {
  run(plan_host_up(kernel_, {*IfName::parse("eth0"), {{ip("192.0.2.70")}}, {*IpPrefix::parse("192.0.2.60")}}));
  EXPECT_THAT(start(db_), ElementsAre("pin 192.0.2.62 to 52:54:00:12:34:57 on vmt-2",
                                      "add route 192.0.2.62 dev vmt-2 src 192.0.2.10"));
  EXPECT_THAT(all().shims.at(0).addresses, ElementsAre(*IpPrefix::parse("192.0.2.60")));
}

TEST_F(HostAccessPlanTest, HostUpTakesOnlyAddressesThatAShimCanHave) {
  for (const char* address : {"127.0.0.5/32", "224.0.0.9/32", "fe80::1/64", "192.0.2.10/32", "0.0.0.0/0"})
    EXPECT_FALSE(plan_host_up(kernel_, {*IfName::parse("eth0"), {}, {*IpPrefix::parse(address)}})) << address;
  const ManualRequest one{*IfName::parse("eth0"), {}, {*IpPrefix::parse("192.0.2.60")}};
  run(plan_host_up(kernel_, one));
  EXPECT_FALSE(plan_host_up(kernel_, {one.parent, {}, {*IpPrefix::parse("192.0.2.61")}}));
}

TEST_F(HostAccessPlanTest, AStrangersNicDoesNotTakeTheShimAway) {
  start(web_);
  EXPECT_THAT(stop(guest("x", "52:54:00:99:99:99", {})), IsEmpty());
}

TEST_F(HostAccessPlanTest, ANewHostAddressMovesTheSource) {
  start(web_);
  // As after a new lease: the parent as it is then, against what is owned now.
  Parent parent = *kernel_.parent(eth0_);
  parent.addresses = {{*IpPrefix::parse("192.0.2.20/24"), true}};
  const auto desired = Desired{
      .shims = {{.parent = parent, .addresses = {}, .proxied = {}}},
      .addresses = {{.parent = eth0_, .guest = ip("192.0.2.61"), .source = ip("192.0.2.20"), .mac = mac(kWebMac)}}};
  std::vector<std::string> lines;
  for (const auto& change : plan(desired, all())) lines.push_back(describe(change));
  EXPECT_THAT(lines, testing::Contains("add route 192.0.2.61 dev vmt-2 src 192.0.2.20"));
  EXPECT_THAT(lines, testing::Contains(HasSubstr("delete route 192.0.2.61")));
  EXPECT_THAT(lines, testing::Contains("stop answering for 2001:db8:1::10 on vmt-2"));
}

TEST_F(HostAccessPlanTest, AnUnfinishedShimIsCompleted) {
  ASSERT_TRUE(kernel_.apply(CreateShim{eth0_, *IfName::parse("eth0"), shim_mac(mac("52:54:00:ee:00:10"))}));
  EXPECT_THAT(start(db_), ElementsAre("answer for 2001:db8:1::10 on vmt-2", "set shim vmt-2 up for guests",
                                      HasSubstr("pin"), HasSubstr("add route")));
  EXPECT_THAT(errors_, IsEmpty());
}

TEST_F(HostAccessPlanTest, AForeignLinkWithTheShimsNameStopsNothingElse) {
  kernel_.add_foreign_link("vmt-2");
  start(web_);
  ASSERT_EQ(errors_.size(), 1U);
  EXPECT_EQ(errors_[0].kind, ErrorKind::kExists);
  EXPECT_THAT(all().routes, IsEmpty());
}

TEST_F(HostAccessPlanTest, AForeignRouteStaysAndTheOtherFamilyWorks) {
  kernel_.add_foreign_route("192.0.2.61", eth0_);
  start(web_);
  EXPECT_THAT(errors_, IsEmpty());
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("has a host route that is not ours")));
  ASSERT_EQ(all().routes.size(), 1U);
  EXPECT_EQ(all().routes[0].guest, ip("2001:db8:1::61"));
}

TEST_F(HostAccessPlanTest, PassthroughTakesAnIdleShimAwayAndLeavesABusyOne) {
  const Guest passthrough = guest("p", "52:54:00:12:34:99", {}, "eth0", MacvlanMode::kPassthru);
  EXPECT_THAT(run(plan_make_way(kernel_, passthrough)), IsEmpty());
  start(web_);
  EXPECT_THAT(run(plan_make_way(kernel_, passthrough)), IsEmpty());
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("for itself")));
  for (const auto& neighbour : all().neighbours)
    ASSERT_TRUE(kernel_.apply(DeleteNeighbour{neighbour.shim, neighbour.guest}));
  EXPECT_THAT(run(plan_make_way(kernel_, passthrough)), ElementsAre("delete shim vmt-2"));
}

TEST_F(HostAccessPlanTest, ASyncBringsTheMissingTakesTheStaleAndKeepsWhatWasMadeByHand) {
  run(plan_host_up(kernel_, {*IfName::parse("eth0"), {{ip("192.0.2.70")}}, {}}));
  start(db_);
  const Guest guests[] = {web_};
  const auto lines = run(plan_sync(kernel_, guests, config_, {}));
  EXPECT_THAT(lines, testing::Contains(HasSubstr("delete route 192.0.2.62")));
  EXPECT_THAT(lines, testing::Contains("add route 192.0.2.61 dev vmt-2 src 192.0.2.10"));
  EXPECT_EQ(all().routes.size(), 3U);
  EXPECT_EQ(all().shims.at(0).role, ShimRole::kManual);
  EXPECT_THAT(run(plan_sync(kernel_, guests, config_, {})), IsEmpty());
  EXPECT_THAT(run(plan_sync(kernel_, {}, config_, {})), testing::SizeIs(4));
  EXPECT_EQ(all().routes.size(), 1U);
}

TEST_F(HostAccessPlanTest, HostUpAndDownAreEachOthersInverse) {
  const ManualRequest request{
      *IfName::parse("eth0"), {{ip("192.0.2.70")}, {ip("192.0.2.71")}}, {*IpPrefix::parse("192.0.2.60")}};
  run(plan_host_up(kernel_, request));
  EXPECT_EQ(all().routes.size(), 2U);
  EXPECT_EQ(all().routes[0].source, ip("192.0.2.60"));
  EXPECT_THAT(run(plan_host_up(kernel_, request)), IsEmpty());
  run(plan_host_down(kernel_, {request.parent, {{ip("192.0.2.70")}}, {}}));
  EXPECT_EQ(all().routes.size(), 1U);
  EXPECT_THAT(run(plan_host_down(kernel_, {request.parent, {}, {}})), ElementsAre("delete shim vmt-2"));
}

TEST_F(HostAccessPlanTest, AMacThatHostUpWasToldStaysUntilHostDown) {
  const ManualRequest told{*IfName::parse("eth0"), {{ip("192.0.2.61"), *MacAddress::parse(kWebMac)}}, {}};
  EXPECT_THAT(run(plan_host_up(kernel_, told)), testing::Contains("pin 192.0.2.61 to 52:54:00:12:34:56 on vmt-2"));
  EXPECT_THAT(run(plan_host_up(kernel_, {told.parent, {{ip("192.0.2.61")}}, {}})), IsEmpty());
  start(web_);
  stop(web_);
  ASSERT_EQ(all().neighbours.size(), 1U);
  EXPECT_EQ(all().neighbours[0].origin, Origin::kManual);
  EXPECT_THAT(run(plan_sync(kernel_, {}, config_, {})), IsEmpty());
  EXPECT_THAT(run(plan_host_down(kernel_, told)),
              ElementsAre(testing::StartsWith("delete route 192.0.2.61"), testing::StartsWith("unpin 192.0.2.61")));
}

TEST_F(HostAccessPlanTest, AShimThatHostUpHasMadeForNobodyYetStaysWhenTheLastGuestGoes) {
  run(plan_host_up(kernel_, {*IfName::parse("eth0"), {}, {}}));
  start(web_);
  stop(web_);
  ASSERT_EQ(all().shims.size(), 1U);
  EXPECT_EQ(all().shims[0].role, ShimRole::kManual);
  EXPECT_THAT(run(plan_host_down(kernel_, {*IfName::parse("eth0"), {}, {}})), ElementsAre("delete shim vmt-2"));
}

TEST_F(HostAccessPlanTest, HostDownLeavesTheShimToTheGuestsThatUseIt) {
  run(plan_host_up(kernel_, {*IfName::parse("eth0"), {{ip("192.0.2.70")}}, {}}));
  start(web_);
  run(plan_host_down(kernel_, {*IfName::parse("eth0"), {}, {}}));
  ASSERT_EQ(all().shims.size(), 1U);
  EXPECT_EQ(all().shims[0].role, ShimRole::kGuests);
  EXPECT_EQ(all().routes.size(), 2U);
  stop(web_);
  EXPECT_THAT(all().shims, IsEmpty());
}

TEST_F(HostAccessPlanTest, HostUpRefusesAsAnErrorWhatAGuestMayNotHave) {
  start(web_);
  kernel_.add_parent("eth1", "52:54:00:ee:00:11", {"192.0.2.77/32"});
  EXPECT_FALSE(plan_host_up(kernel_, {*IfName::parse("eth0"), {{ip("192.0.2.77")}}, {}})) << "of another link";
  for (const char* address : {"192.0.2.10", "192.0.2.1", "198.51.100.1", "192.0.2.61", "224.0.0.1"})
    EXPECT_FALSE(plan_host_up(kernel_, {*IfName::parse("eth0"), {{ip(address)}}, {}})) << address;
  EXPECT_FALSE(plan_host_up(kernel_, {*IfName::parse("eth9"), {}, {}}));
}

TEST_F(HostAccessPlanTest, CleanTakesAllThatIsOursAndNothingElse) {
  kernel_.add_child(eth0_, "macvtap0", kWebMac, MacvlanMode::kBridge);
  kernel_.add_foreign_route("192.0.2.99", eth0_);
  start(web_);
  run(plan_clean(kernel_));
  EXPECT_THAT(all().shims, IsEmpty());
  EXPECT_EQ(kernel_.children()->size(), 1U);
  EXPECT_TRUE(kernel_.route_to(ip("192.0.2.99"))->has_value());
}

TEST_F(HostAccessPlanTest, AMissingParentIsANoteAndTheOtherNicWorks) {
  Guest two = web_;
  two.nics.push_back({.mac = mac(kDbMac),
                      .source = DirectSource{*IfName::parse("eth9"), MacvlanMode::kBridge, ""},
                      .target = {},
                      .model = {}});
  start(two);
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("eth9")));
  EXPECT_EQ(all().routes.size(), 2U);
}

}  // namespace
}  // namespace vmt
