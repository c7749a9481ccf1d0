// SPDX-License-Identifier: LGPL-2.1-or-later
// The contract about macvtaps and macvlans of our own, on the real kernel and on the fake.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/contract.h"

namespace vmt {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAreArray;

class DeviceContractTest : public ContractTest {
 protected:
  static inline const IfName kTap = *IfName::parse("tap-web");
  static inline const MacAddress kOtherMac = *MacAddress::parse("52:54:00:12:34:57");

  void furnish(FakeKernel& fake) override { fake.add_parent("eth0", kParentMac.str().c_str(), {"192.0.2.10/24"}); }

  // Somebody else's, up.
  void add_foreign(const char* name, const MacAddress& mac, const char* mode = "bridge") {
    if (fake_ != nullptr)
      fake_->add_child(parent_, name, mac.str().c_str(), *parse_mode(mode));
    else
      sh(std::string("ip link add link eth0 name ") + name + " address " + mac.str() + " type macvtap mode " + mode +
         " && ip link set " + name + " up");
  }
  // What a creation that was killed after its first request leaves.
  void add_unfinished(const char* name) {
    if (fake_ != nullptr)
      fake_->add_unfinished(parent_, name, "52:54:00:12:34:99");
    else
      sh(std::string("ip link add link eth0 name ") + name + " group " + std::to_string(kDeviceGroup) +
         " type macvtap mode bridge");
  }

  DeviceSpec spec(const IfName& name = kTap, const MacAddress& mac = kMac) const {
    return {.name = name,
            .parent = parent_,
            .parent_name = kEth0,
            .mode = MacvlanMode::kBridge,
            .mac = mac,
            .mtu = {},
            .bc_queue_length = {},
            .allowed = {},
            .owner = {}};
  }
  DeviceSpec passthru() const {
    DeviceSpec wanted = spec();
    wanted.mode = MacvlanMode::kPassthru;
    wanted.mac.reset();
    return wanted;
  }
  Status create(const DeviceSpec& wanted) { return kernel_->apply(CreateDevice{wanted, Standing{}}); }
  ChangeDevice change() { return {.index = child().index, .name = kTap, .macvtap = true}; }
  Child child(const IfName& name = kTap) {
    const auto found = kernel_->child(name);
    EXPECT_TRUE(found && *found) << name.str();
    return found && *found ? **found : Child{.name = name, .mac = kMac, .mode = MacvlanMode::kSource};
  }
  std::vector<Child> children() { return *kernel_->children(); }
};

void expect_error(const Status& status, ErrorKind kind, const char* words = "") {
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, kind) << status.error().message;
  EXPECT_THAT(status.error().message, HasSubstr(words));
}

TEST_P(DeviceContractTest, ANewDeviceIsAllThatWasAskedForAndKnowsWhomItIsFor) {
  DeviceSpec wanted = spec();
  wanted.mode = MacvlanMode::kVepa;
  wanted.mtu = 1400;
  wanted.bc_queue_length = 77;
  const ForGuest use{*Uuid::parse("11111111-2222-3333-4444-555555555555")};
  ASSERT_TRUE(kernel_->apply(CreateDevice{wanted, use}));
  const Child made = child();
  EXPECT_EQ(made.name, kTap);
  EXPECT_EQ(made.parent, parent_);
  EXPECT_EQ(made.mac, kMac);
  EXPECT_EQ(made.mode, MacvlanMode::kVepa);
  EXPECT_EQ(made.mtu, 1400U);
  EXPECT_TRUE(made.macvtap);
  EXPECT_TRUE(made.up);
  EXPECT_TRUE(made.carrier);
  EXPECT_TRUE(made.allmulticast);
  EXPECT_TRUE(made.promiscuous);
  EXPECT_EQ(made.bc_queue_length, 77U);
  EXPECT_THAT(made.allowed, IsEmpty());
  EXPECT_TRUE(made.ours);
  EXPECT_EQ(made.use, DeviceUse(use));
  EXPECT_FALSE(made.nsid);
  EXPECT_THAT(children(), SizeIs(1));
}

TEST_P(DeviceContractTest, WhatIsOfOneModeOnlyCanBeReadBack) {
  DeviceSpec wanted = spec();
  wanted.mode = MacvlanMode::kSource;
  wanted.allowed = {*MacAddress::parse("52:54:00:00:00:01"), *MacAddress::parse("52:54:00:00:00:02")};
  ASSERT_TRUE(create(wanted));
  EXPECT_THAT(child().allowed, UnorderedElementsAreArray(wanted.allowed));
  EXPECT_EQ(child().bc_queue_length, 1000U);
  ASSERT_TRUE(kernel_->apply(DeleteDevices{{{child().index, kTap}}}));
  wanted.mode = MacvlanMode::kPassthru;
  wanted.allowed = {};
  wanted.promiscuous = false;
  ASSERT_TRUE(create(wanted));
  EXPECT_FALSE(child().promiscuous);
}

TEST_P(DeviceContractTest, ADeviceMayStayDownAndBeAMacvlan) {
  DeviceSpec wanted = spec();
  wanted.macvtap = false;
  wanted.up = false;
  ASSERT_TRUE(create(wanted));
  EXPECT_FALSE(child().macvtap);
  EXPECT_FALSE(child().up);
  EXPECT_EQ(child().use, DeviceUse(Standing{}));
}

TEST_P(DeviceContractTest, OtherLinksAreNoChildrenAndOthersDevicesAreNotOurs) {
  EXPECT_EQ(*kernel_->child(kEth0), std::nullopt);
  EXPECT_EQ(*kernel_->child(kTap), std::nullopt);
  add_foreign("tap-web", kMac);
  EXPECT_FALSE(child().ours);
  EXPECT_FALSE(child().use);
}

TEST_P(DeviceContractTest, AMacThatIsUpOnTheParentIsInUse) {
  add_foreign("theirs", kMac);
  expect_error(create(spec()), ErrorKind::kInUse);
  expect_error(create(spec(kTap, kParentMac)), ErrorKind::kInUse);
  EXPECT_EQ(*kernel_->child(kTap), std::nullopt);
  EXPECT_TRUE(create(spec(kTap, kOtherMac)));
}

TEST_P(DeviceContractTest, ANameThatIsTakenStaysWhoseItIs) {
  add_foreign("tap-web", kOtherMac);
  const unsigned index = child().index;
  expect_error(create(spec()), ErrorKind::kExists, "tap-web");
  EXPECT_EQ(child().index, index);
  expect_error(create(spec(kEth0)), ErrorKind::kExists);
  EXPECT_THAT(children(), SizeIs(1));
}

TEST_P(DeviceContractTest, PassthruNeedsTheParentForItselfAndKeepsIt) {
  add_foreign("theirs", kOtherMac);
  expect_error(create(passthru()), ErrorKind::kFailed, "tap-web");
  ASSERT_TRUE(kernel_->apply(DeleteDevices{{{child(*IfName::parse("theirs")).index, *IfName::parse("theirs")}}}));
  ASSERT_TRUE(create(passthru()));
  EXPECT_EQ(child().mode, MacvlanMode::kPassthru);
  EXPECT_EQ(child().mac, kParentMac);
  expect_error(create(spec(*IfName::parse("tap-db"))), ErrorKind::kFailed, "tap-db");
  EXPECT_THAT(children(), SizeIs(1));
}

TEST_P(DeviceContractTest, AnMtuAboveTheParentsAndAMissingParentAreRefused) {
  DeviceSpec wanted = spec();
  wanted.mtu = 1501;
  expect_error(create(wanted), ErrorKind::kFailed);
  wanted = spec();
  wanted.parent += 100;
  expect_error(create(wanted), ErrorKind::kNotFound);
  EXPECT_THAT(children(), IsEmpty());
}

TEST_P(DeviceContractTest, AnUnfinishedDeviceIsReplaced) {
  add_unfinished("tap-web");
  const Child before = child();
  EXPECT_TRUE(before.ours);
  EXPECT_FALSE(before.use);
  ASSERT_TRUE(create(spec()));
  EXPECT_NE(child().index, before.index);
  EXPECT_EQ(child().use, DeviceUse(Standing{}));
  expect_error(create(spec()), ErrorKind::kExists);
}

TEST_P(DeviceContractTest, EverySettingChangesAloneAndAllTogether) {
  ASSERT_TRUE(create(spec()));
  ChangeDevice one = change();
  one.mac = kOtherMac;
  ASSERT_TRUE(kernel_->apply(one));
  EXPECT_EQ(child().mac, kOtherMac);
  EXPECT_EQ(child().mode, MacvlanMode::kBridge);
  one = change();
  one.mode = MacvlanMode::kPrivate;
  ASSERT_TRUE(kernel_->apply(one));
  EXPECT_EQ(child().mode, MacvlanMode::kPrivate);
  one = change();
  one.allmulticast = false;
  ASSERT_TRUE(kernel_->apply(one));
  EXPECT_FALSE(child().allmulticast);
  EXPECT_TRUE(child().up);
  ChangeDevice all = change();
  all.mac = kMac;
  all.mode = MacvlanMode::kVepa;
  all.mtu = 1300;
  all.up = false;
  all.allmulticast = true;
  ASSERT_TRUE(kernel_->apply(all));
  EXPECT_EQ(child().mac, kMac);
  EXPECT_EQ(child().mode, MacvlanMode::kVepa);
  EXPECT_EQ(child().mtu, 1300U);
  EXPECT_FALSE(child().up);
  EXPECT_TRUE(child().allmulticast);
  EXPECT_EQ(child().use, DeviceUse(Standing{}));
}

TEST_P(DeviceContractTest, AChangeThatIsRefusedInOnePointChangesNothing) {
  add_foreign("theirs", kOtherMac);
  ASSERT_TRUE(create(spec()));
  ChangeDevice wrong = change();
  wrong.mac = *MacAddress::parse("52:54:00:12:34:58");
  wrong.mode = MacvlanMode::kVepa;
  wrong.mtu = 9000;
  expect_error(kernel_->apply(wrong), ErrorKind::kFailed, "mtu 9000");
  EXPECT_EQ(child().mac, kMac);
  EXPECT_EQ(child().mode, MacvlanMode::kBridge);
  EXPECT_EQ(child().mtu, 1500U);
  wrong = change();
  wrong.mode = MacvlanMode::kPassthru;
  expect_error(kernel_->apply(wrong), ErrorKind::kFailed);
  wrong = change();
  wrong.mac = kOtherMac;
  expect_error(kernel_->apply(wrong), ErrorKind::kInUse);
  EXPECT_EQ(child().mac, kMac);
  wrong = change();
  wrong.index += 1;
  expect_error(kernel_->apply(wrong), ErrorKind::kNotFound);
}

TEST_P(DeviceContractTest, ADeviceWithATakenMacCannotBeSetUpLaterEither) {
  DeviceSpec wanted = spec();
  wanted.up = false;
  ASSERT_TRUE(create(wanted));
  add_foreign("theirs", kMac);
  ChangeDevice up = change();
  up.up = true;
  // The kernel has changed these by the time it refuses that.
  up.mode = MacvlanMode::kVepa;
  up.mtu = 1400;
  up.allmulticast = false;
  expect_error(kernel_->apply(up), ErrorKind::kInUse);
  EXPECT_FALSE(child().up);
  EXPECT_EQ(child().mode, MacvlanMode::kBridge);
  EXPECT_EQ(child().mtu, 1500U);
  EXPECT_TRUE(child().allmulticast);
}

TEST_P(DeviceContractTest, DeletingTakesWhatIsNamedAndNothingElse) {
  add_foreign("theirs", kOtherMac);
  const IfName second = *IfName::parse("tap-db");
  const IfName third = *IfName::parse("tap-c");
  ASSERT_TRUE(create(spec()));
  ASSERT_TRUE(create(spec(second, *MacAddress::parse("52:54:00:12:34:58"))));
  ASSERT_TRUE(create(spec(third, *MacAddress::parse("52:54:00:12:34:59"))));
  const DeleteDevices change{{{child(kTap).index, kTap}, {child(second).index, second}}};
  ASSERT_TRUE(kernel_->apply(change));
  EXPECT_EQ(*kernel_->child(kTap), std::nullopt);
  EXPECT_EQ(*kernel_->child(second), std::nullopt);
  EXPECT_EQ(child(third).use, DeviceUse(Standing{}));
  EXPECT_THAT(children(), SizeIs(2));
  // What has vanished is what was wanted, alone or among others.
  EXPECT_TRUE(kernel_->apply(change));
  EXPECT_TRUE(kernel_->apply(DeleteDevices{{{change.devices[0]}, {child(third).index, third}}}));
  EXPECT_EQ(*kernel_->child(third), std::nullopt);
  EXPECT_FALSE(child(*IfName::parse("theirs")).ours);
}

INSTANTIATE_TEST_SUITE_P(Both, DeviceContractTest, ContractTest::both(), ContractTest::name);

}  // namespace
}  // namespace vmt
