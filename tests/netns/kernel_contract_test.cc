// SPDX-License-Identifier: LGPL-2.1-or-later
// What both kernels show and take, one by one.
#include "tests/netns/kernel_contract.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace vmt {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST_P(KernelContractTest, DescribesAParentByNameAndIndex) {
  for (const auto& parent : {kernel_->parent(kEth0), kernel_->parent(parent_)}) {
    ASSERT_TRUE(parent);
    EXPECT_EQ(parent->name, kEth0);
    EXPECT_EQ(parent->mac.str(), "52:54:00:ee:00:10");
    EXPECT_TRUE(parent->up);
    EXPECT_TRUE(parent->carrier);
    ASSERT_THAT(parent->addresses, SizeIs(2));
    EXPECT_EQ(parent->addresses[0].prefix.str(), "192.0.2.10/24");
    EXPECT_EQ(parent->addresses[1].prefix.str(), "2001:db8:1::10/64");
    EXPECT_TRUE(parent->addresses[1].preferred);
    EXPECT_THAT(parent->gateways, ElementsAre(ip("192.0.2.1")));
  }
  EXPECT_THAT(kernel_->parent(kEth0, std::vector{ip("192.0.2.1")})->gateways, ElementsAre(ip("192.0.2.1")));
  EXPECT_THAT(kernel_->parent(kEth0, std::vector{ip("2001:db8:1::61")})->gateways, IsEmpty());
  EXPECT_THAT(kernel_->parent(parent_, no_suspects())->gateways, IsEmpty());
  EXPECT_EQ(kernel_->index_of(kEth0).value(), parent_);
}

TEST_P(KernelContractTest, ANeighbourKeepsItsOrigin) {
  make_shim();
  const std::map<IpAddress, Origin> origins{{ip("192.0.2.61"), Origin::kGiven},
                                            {ip("2001:db8:1::61"), Origin::kLearned},
                                            {ip("192.0.2.62"), Origin::kManual}};
  for (const auto& [address, origin] : origins)
    ASSERT_TRUE(kernel_->apply(AddNeighbour{parent_, address, kMac, origin}));
  std::map<IpAddress, Origin> found;
  for (const auto& neighbour : owned().neighbours) {
    found.emplace(neighbour.guest, neighbour.origin);
    EXPECT_LT(neighbour.age, std::chrono::seconds(10));
  }
  EXPECT_EQ(found, origins);
}

TEST_P(KernelContractTest, AMissingParentIsNotFound) {
  const auto missing = kernel_->parent(*IfName::parse("eth9"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::kNotFound);
  EXPECT_THAT(missing.error().message, testing::HasSubstr("eth9"));
  EXPECT_EQ(kernel_->index_of(*IfName::parse("eth9")).value(), std::nullopt);
}

TEST_P(KernelContractTest, SeesChildrenOfOthers) {
  const auto children = kernel_->children();
  ASSERT_TRUE(children);
  ASSERT_THAT(*children, SizeIs(1));
  EXPECT_EQ((*children)[0].mac, kMac);
  EXPECT_EQ((*children)[0].parent, parent_);
  EXPECT_EQ((*children)[0].mode, MacvlanMode::kBridge);
  EXPECT_TRUE((*children)[0].macvtap);
  EXPECT_TRUE((*children)[0].up);
}

TEST_P(KernelContractTest, RoutesTellTheHostsOwnAddressFromTheLansAndFromNone) {
  EXPECT_TRUE((*kernel_->route_to(ip("192.0.2.10")))->local);
  EXPECT_TRUE((*kernel_->route_to(ip("2001:db8:1::10")))->local);
  EXPECT_FALSE((*kernel_->route_to(ip("192.0.2.61")))->local);
  EXPECT_EQ((*kernel_->route_to(ip("2001:db8:1::61")))->device, parent_);
  const auto none = kernel_->route_to(ip("2001:db8:ffff::1"));
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->has_value());
}

TEST_P(KernelContractTest, AShimIsUnfinishedUntilItIsFinished) {
  ASSERT_TRUE(kernel_->apply(CreateShim{parent_, kEth0, kShimMac}));
  ASSERT_THAT(owned().shims, SizeIs(1));
  EXPECT_EQ(owned().shims[0].role, ShimRole::kUnfinished);
  EXPECT_FALSE(owned().shims[0].configured);
  ASSERT_TRUE(kernel_->apply(FinishShim{parent_, ShimRole::kGuests}));
  const Shim shim = owned().shims.at(0);
  EXPECT_EQ(shim.name, shim_name(parent_));
  EXPECT_EQ(shim.parent, parent_);
  EXPECT_EQ(shim.mac, kShimMac);
  EXPECT_EQ(shim.role, ShimRole::kGuests);
  EXPECT_TRUE(shim.configured);
  EXPECT_THAT(*kernel_->children(), SizeIs(2));
}

TEST_P(KernelContractTest, ASecondShimOnAParentIsRefused) {
  make_shim();
  const auto again = kernel_->apply(CreateShim{parent_, kEth0, kShimMac});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::kExists);
  EXPECT_THAT(owned().shims, SizeIs(1));
}

TEST_P(KernelContractTest, ARouteNeedsAShimThatIsUp) {
  EXPECT_FALSE(kernel_->apply(AddRoute{parent_, ip("192.0.2.61"), ip("192.0.2.10"), false}));
  ASSERT_TRUE(kernel_->apply(CreateShim{parent_, kEth0, kShimMac}));
  EXPECT_FALSE(kernel_->apply(AddRoute{parent_, ip("192.0.2.61"), ip("192.0.2.10"), false}));
  EXPECT_THAT(owned().routes, IsEmpty());
}

TEST_P(KernelContractTest, WhatIsAddedIsOwnedAndInScope) {
  make_shim();
  add_web();
  const unsigned shim = owned().shims.at(0).index;
  for (const Scope& scope : {Scope{}, Scope{.parents = {{parent_}}, .addresses = {}},
                             Scope{.parents = {{parent_}}, .addresses = {{ip("192.0.2.61"), ip("2001:db8:1::61")}}}}) {
    const Owned all = owned(scope);
    ASSERT_THAT(all.routes, SizeIs(2));
    EXPECT_EQ(all.routes[0].guest, ip("192.0.2.61"));
    EXPECT_EQ(all.routes[0].source, ip("192.0.2.10"));
    EXPECT_EQ(all.routes[0].shim, shim);
    EXPECT_FALSE(all.routes[0].manual);
    EXPECT_EQ(all.routes[1].source, ip("2001:db8:1::10"));
    ASSERT_THAT(all.neighbours, SizeIs(2));
    EXPECT_EQ(all.neighbours[0].mac, kMac);
    EXPECT_EQ(all.neighbours[0].shim, shim);
  }
  const Owned one = owned({.parents = {{parent_}}, .addresses = {{ip("192.0.2.61")}}});
  EXPECT_THAT(one.routes, SizeIs(1));
  EXPECT_THAT(one.neighbours, SizeIs(1));
  EXPECT_THAT(owned({.parents = {{parent_ + 100}}, .addresses = {}}).shims, IsEmpty());
  EXPECT_EQ((*kernel_->route_to(ip("192.0.2.61")))->protocol, kGuestProtocol);
}

TEST_P(KernelContractTest, NothingIsAddedTwice) {
  make_shim();
  add_web();
  for (const Change& change : {Change{AddNeighbour{parent_, ip("192.0.2.61"), kMac}},
                               Change{AddRoute{parent_, ip("192.0.2.61"), ip("192.0.2.10"), false}}}) {
    const auto again = kernel_->apply(change);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().kind, ErrorKind::kExists);
  }
  EXPECT_THAT(owned().routes, SizeIs(2));
}

TEST_P(KernelContractTest, AMarkIsNoNeighbourAndIsFoundByItsMac) {
  make_shim();
  add_web();
  const MacAddress other = *MacAddress::parse("52:54:00:12:34:57");
  const MacAddress mark = *MacAddress::parse("06:11:22:33:44:55");
  const unsigned shim = owned().shims.at(0).index;
  ASSERT_TRUE(kernel_->apply(AddMark{parent_, mark_address(kMac), mark}));
  const auto again = kernel_->apply(AddMark{parent_, mark_address(kMac), kMac});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::kExists);
  for (const Owned& found :
       {owned(), owned({.parents = {{parent_}}, .addresses = std::vector<IpAddress>{}, .marks = {kMac, other}})}) {
    ASSERT_THAT(found.marks, SizeIs(1));
    EXPECT_EQ(found.marks[0].at, mark_address(kMac));
    EXPECT_EQ(found.marks[0].mark, mark);
    EXPECT_EQ(found.marks[0].shim, shim);
  }
  EXPECT_THAT(owned().neighbours, SizeIs(2));
  EXPECT_THAT(owned({.parents = {{parent_}}, .addresses = std::vector<IpAddress>{}, .marks = {other}}).marks,
              IsEmpty());
  EXPECT_TRUE(kernel_->apply(DeleteMark{shim, mark_address(kMac)}));
  EXPECT_THAT(owned().marks, IsEmpty());
  EXPECT_EQ(kernel_->apply(DeleteMark{shim, mark_address(kMac)}).error().kind, ErrorKind::kNotFound);
}

TEST_P(KernelContractTest, AShimServesOthersWhenTheirNeighbourOrMarkIsOnIt) {
  make_shim();
  const MacAddress other = *MacAddress::parse("52:54:00:12:34:57");
  const Shim shim = owned().shims.at(0);
  const MacAddress own[] = {kMac};
  EXPECT_FALSE(*kernel_->serves_others(shim, own));
  add_web();
  ASSERT_TRUE(kernel_->apply(AddMark{parent_, mark_address(kMac), kMac}));
  EXPECT_FALSE(*kernel_->serves_others(shim, own));
  EXPECT_TRUE(*kernel_->serves_others(shim, {}));
  ASSERT_TRUE(kernel_->apply(AddMark{parent_, mark_address(other), kMac}));
  EXPECT_TRUE(*kernel_->serves_others(shim, own));
  ASSERT_TRUE(kernel_->apply(DeleteMark{shim.index, mark_address(other)}));
  for (int i = 0; i < 200; ++i)
    ASSERT_TRUE(kernel_->apply(AddNeighbour{parent_, ip(("198.51.100." + std::to_string(i)).c_str()), other}));
  EXPECT_TRUE(*kernel_->serves_others(shim, own));
  EXPECT_THAT(owned().neighbours, SizeIs(202)) << "the next question has its own answer";
}

TEST_P(KernelContractTest, WhatIsBesideAShimIsOnItsParentAndNotTheShim) {
  make_shim();
  const Shim shim = owned().shims.at(0);
  const auto beside = [&] {
    std::vector<std::string> names;
    const auto found = kernel_->children_beside(shim);
    EXPECT_TRUE(found) << found.error().message;
    for (const auto& child : *found) names.push_back(child.name.str());
    std::ranges::sort(names);
    return names;
  };
  EXPECT_THAT(beside(), ElementsAre("macvtap0"));
  std::vector<std::string> all = {"macvtap0"};
  for (int i = 10; i < 30; ++i) {
    all.push_back("t" + std::to_string(i));
    add_macvtap(all.back(), "52:54:00:99:00:" + std::to_string(i));
    EXPECT_EQ(beside(), all);
  }
}

TEST_P(KernelContractTest, AForeignRouteIsNeitherOwnedNorReplaced) {
  make_shim();
  const auto status = kernel_->apply(AddRoute{parent_, ip("192.0.2.99"), ip("192.0.2.10"), false});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kExists);
  EXPECT_FALSE(kernel_->apply(DeleteRoute{owned().shims.at(0).index, ip("192.0.2.99"), false}));
  EXPECT_EQ((*kernel_->route_to(ip("192.0.2.99")))->device, parent_);
  EXPECT_THAT(owned().routes, IsEmpty());
}

TEST_P(KernelContractTest, AManualRouteIsToldFromAGuests) {
  make_shim();
  ASSERT_TRUE(kernel_->apply(AddRoute{parent_, ip("192.0.2.70"), ip("192.0.2.10"), true}));
  ASSERT_THAT(owned().routes, SizeIs(1));
  EXPECT_TRUE(owned().routes[0].manual);
  const unsigned shim = owned().shims.at(0).index;
  EXPECT_FALSE(kernel_->apply(DeleteRoute{shim, ip("192.0.2.70"), false}));
  EXPECT_TRUE(kernel_->apply(DeleteRoute{shim, ip("192.0.2.70"), true}));
  EXPECT_THAT(owned().routes, IsEmpty());
}

TEST_P(KernelContractTest, DeletingTwiceIsNotFound) {
  make_shim();
  add_web();
  const unsigned shim = owned().shims.at(0).index;
  for (const Change& change :
       {Change{DeleteRoute{shim, ip("192.0.2.61"), false}}, Change{DeleteNeighbour{shim, ip("192.0.2.61")}}}) {
    EXPECT_TRUE(kernel_->apply(change));
    const auto again = kernel_->apply(change);
    ASSERT_FALSE(again) << describe(change);
    EXPECT_EQ(again.error().kind, ErrorKind::kNotFound) << again.error().message;
  }
  EXPECT_THAT(owned().routes, SizeIs(1));
  EXPECT_THAT(owned().neighbours, SizeIs(1));
}

TEST_P(KernelContractTest, ProxiesAndAddressesComeAndGo) {
  make_shim();
  ASSERT_TRUE(kernel_->apply(AddProxy{parent_, ip("2001:db8:1::10")}));
  ASSERT_TRUE(kernel_->apply(AddAddress{parent_, *IpPrefix::parse("192.0.2.60/32")}));
  EXPECT_FALSE(kernel_->apply(AddAddress{parent_, *IpPrefix::parse("192.0.2.60/32")}));
  ASSERT_TRUE(kernel_->apply(AddAddress{parent_, *IpPrefix::parse("2001:db8:1::60/128")}));
  EXPECT_THAT(owned().shims.at(0).proxied, ElementsAre(ip("2001:db8:1::10")));
  EXPECT_THAT(owned().shims.at(0).addresses,
              ElementsAre(*IpPrefix::parse("192.0.2.60/32"), *IpPrefix::parse("2001:db8:1::60/128")));
  EXPECT_TRUE(kernel_->apply(DeleteProxy{parent_, ip("2001:db8:1::10")}));
  EXPECT_TRUE(kernel_->apply(DeleteAddress{parent_, *IpPrefix::parse("192.0.2.60/32")}));
  EXPECT_THAT(owned().shims.at(0).proxied, IsEmpty());
  EXPECT_THAT(owned().shims.at(0).addresses, SizeIs(1));
}

INSTANTIATE_TEST_SUITE_P(Both, KernelContractTest, ContractTest::both(), ContractTest::name);

}  // namespace
}  // namespace vmt
