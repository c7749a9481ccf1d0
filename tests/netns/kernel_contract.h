// SPDX-License-Identifier: LGPL-2.1-or-later
// The contract about the host's shims and what is on them, which two files hold both kernels to.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/netns/contract.h"

namespace vmt {

class KernelContractTest : public ContractTest {
 protected:
  static inline const MacAddress kShimMac = shim_mac(kParentMac);

  void furnish(FakeKernel& fake) override {
    fake.add_parent("eth0", kParentMac.str().c_str(), {"192.0.2.10/24", "2001:db8:1::10/64"}, "192.0.2.1");
    fake.add_child(fake.parent(kEth0)->index, "macvtap0", kMac.str().c_str(), MacvlanMode::kBridge);
    fake.add_foreign_route("192.0.2.99", fake.parent(kEth0)->index);
  }
  void furnish() override {
    sh("ip -6 route del default");
    sh("ip link add link eth0 name macvtap0 address " + kMac.str() +
       " type macvtap mode bridge && ip link set macvtap0 up");
    sh("ip route add 192.0.2.99 dev eth0");
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
};

}  // namespace vmt
