// SPDX-License-Identifier: LGPL-2.1-or-later
// What both kernels take along with what goes, and refuse without what has to be there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "tests/netns/kernel_contract.h"

namespace vmt {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

TEST_P(KernelContractTest, DeletingTheShimTakesEverythingOnItAlong) {
  make_shim();
  add_web();
  const Shim shim = owned().shims.at(0);
  ASSERT_TRUE(kernel_->apply(DeleteShim{shim.index, shim.name}));
  EXPECT_THAT(owned().shims, IsEmpty());
  EXPECT_THAT(owned().routes, IsEmpty());
  EXPECT_THAT(owned().neighbours, IsEmpty());
  EXPECT_EQ((*kernel_->route_to(ip("192.0.2.61")))->device, parent_);
  EXPECT_THAT(*kernel_->children(), SizeIs(1));
  const auto again = kernel_->apply(DeleteShim{shim.index, shim.name});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::kNotFound);
}

TEST_P(KernelContractTest, TheParentTakesItsShimAlong) {
  make_shim();
  add_web();
  remove_link("eth0", parent_);
  EXPECT_THAT(owned().shims, IsEmpty());
  EXPECT_THAT(owned().routes, IsEmpty());
}

TEST_P(KernelContractTest, AParentTakenByPassthruIsRefused) {
  if (fake_ != nullptr) {
    fake_->remove_link((*kernel_->children())[0].index);
    fake_->add_child(parent_, "macvtap1", "52:54:00:12:34:99", MacvlanMode::kPassthru);
  } else {
    sh("ip link del macvtap0 && ip link add link eth0 name macvtap1 type macvtap mode passthru");
  }
  EXPECT_FALSE(kernel_->apply(CreateShim{parent_, kEth0, kShimMac}));
  EXPECT_THAT(owned().shims, IsEmpty());
}

TEST_P(KernelContractTest, ARouteNeedsASourceThatTheHostHas) {
  make_shim();
  for (const auto& [guest, source] : {std::pair{"192.0.2.61", "192.0.2.9"}, {"2001:db8:1::61", "2001:db8:1::9"}})
    EXPECT_FALSE(kernel_->apply(AddRoute{parent_, ip(guest), ip(source), false})) << guest;
  ASSERT_TRUE(kernel_->apply(AddAddress{parent_, *IpPrefix::parse("192.0.2.9")}));
  EXPECT_TRUE(kernel_->apply(AddRoute{parent_, ip("192.0.2.61"), ip("192.0.2.9"), false}));
}

TEST_P(KernelContractTest, ALastIpv4AddressTakesAllOfIpv4AlongAndNothingOfIpv6) {
  make_shim();
  add_web();
  for (const char* address : {"192.0.2.8", "192.0.2.9", "2001:db8:1::9"})
    ASSERT_TRUE(kernel_->apply(AddAddress{parent_, *IpPrefix::parse(address)}));
  ASSERT_TRUE(kernel_->apply(AddRoute{parent_, ip("192.0.2.62"), ip("192.0.2.9"), true}));
  ASSERT_TRUE(kernel_->apply(AddRoute{parent_, ip("2001:db8:1::62"), ip("2001:db8:1::9"), true}));
  ASSERT_TRUE(kernel_->apply(DeleteAddress{parent_, *IpPrefix::parse("192.0.2.9")}));
  EXPECT_THAT(owned().routes, SizeIs(3));  // the one whose source it was is gone
  EXPECT_THAT(owned().neighbours, SizeIs(2));
  ASSERT_TRUE(kernel_->apply(DeleteAddress{parent_, *IpPrefix::parse("192.0.2.8")}));
  ASSERT_TRUE(kernel_->apply(DeleteAddress{parent_, *IpPrefix::parse("2001:db8:1::9")}));
  const Owned left = owned();
  ASSERT_THAT(left.routes, SizeIs(2));
  for (const auto& route : left.routes)
    EXPECT_EQ(route.source, route.guest == ip("2001:db8:1::61") ? std::optional(ip("2001:db8:1::10")) : std::nullopt);
  ASSERT_THAT(left.neighbours, SizeIs(1));
  EXPECT_EQ(left.neighbours[0].guest, ip("2001:db8:1::61"));
}

TEST_P(KernelContractTest, AShimAndAnIpv4RouteWorkOnAParentThatIsDown) {
  if (fake_ != nullptr)
    fake_->set_parent_state(parent_, false, false, false);
  else
    sh("ip link set eth0 down");
  make_shim();
  EXPECT_TRUE(owned().shims.at(0).configured);
  EXPECT_TRUE(kernel_->apply(AddRoute{parent_, ip("192.0.2.61"), ip("192.0.2.10"), false}));
}

}  // namespace
}  // namespace vmt
