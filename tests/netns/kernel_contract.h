// SPDX-License-Identifier: LGPL-2.1-or-later
// One contract, two kernels: the real one in a private namespace and the fake that the unit tests decide with.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "lib/rtnl_kernel.h"
#include "tests/fake_kernel.h"
#include "tests/netns/namespace.h"

namespace vmt {

inline IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}
inline const MacAddress kMac = *MacAddress::parse("52:54:00:12:34:56");
inline const MacAddress kShimMac = shim_mac(*MacAddress::parse("52:54:00:ee:00:10"));
inline const IfName kEth0 = *IfName::parse("eth0");

enum class Which { kFake, kReal };

class KernelContractTest : public NamespaceTest, public testing::WithParamInterface<Which> {
 protected:
  void SetUp() override {
    if (GetParam() == Which::kFake) {
      auto fake = std::make_unique<FakeKernel>();
      fake->add_parent("eth0", "52:54:00:ee:00:10", {"192.0.2.10/24", "2001:db8:1::10/64"}, "192.0.2.1");
      fake->add_child(fake->parent(kEth0)->index, "macvtap0", kMac.str().c_str(), MacvlanMode::kBridge);
      fake->add_foreign_route("192.0.2.99", fake->parent(kEth0)->index);
      fake_ = fake.get();
      kernel_ = std::move(fake);
    } else {
      NamespaceTest::SetUp();
      if (IsSkipped() || HasFatalFailure()) return;
      add_lan();
      sh("ip -6 route del default");
      sh("ip link add link eth0 name macvtap0 address " + kMac.str() +
         " type macvtap mode bridge && ip link set macvtap0 up");
      sh("ip route add 192.0.2.99 dev eth0");
      auto real = RtnlKernel::open();
      ASSERT_TRUE(real) << real.error().message;
      kernel_ = std::make_unique<RtnlKernel>(std::move(*real));
    }
    parent_ = kernel_->parent(kEth0)->index;
  }

  void remove_link(const char* name, unsigned index) {
    if (fake_ != nullptr)
      fake_->remove_link(index);
    else
      sh(std::string("ip link del ") + name);
  }

  void add_macvtap(const std::string& name, const std::string& mac) {
    if (fake_ != nullptr)
      fake_->add_child(parent_, name.c_str(), mac.c_str(), MacvlanMode::kBridge);
    else
      sh("ip link add link eth0 name " + name + " address " + mac + " type macvtap mode bridge");
  }
  void make_shim() {
    ASSERT_TRUE(kernel_->apply(CreateShim{parent_, kEth0, kShimMac}));
    ASSERT_TRUE(kernel_->apply(FinishShim{parent_, ShimRole::kGuests}));
  }
  void add_web() {
    ASSERT_TRUE(kernel_->apply(AddNeighbour{parent_, ip("192.0.2.61"), kMac}));
    ASSERT_TRUE(kernel_->apply(AddNeighbour{parent_, ip("2001:db8:1::61"), kMac}));
    ASSERT_TRUE(kernel_->apply(AddRoute{parent_, ip("192.0.2.61"), ip("192.0.2.10"), false}));
    ASSERT_TRUE(kernel_->apply(AddRoute{parent_, ip("2001:db8:1::61"), ip("2001:db8:1::10"), false}));
  }
  Owned owned(const Scope& scope = {}) {
    auto found = kernel_->owned(scope);
    EXPECT_TRUE(found) << found.error().message;
    return found.value_or(Owned{});
  }

  std::unique_ptr<Kernel> kernel_;
  FakeKernel* fake_ = nullptr;
  unsigned parent_ = 0;
};

}  // namespace vmt
