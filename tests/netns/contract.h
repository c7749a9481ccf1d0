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

enum class WhichKernel { kFake, kReal };

// On both there is the parent eth0, and what `furnish` adds.
class ContractTest : public NamespaceTest, public testing::WithParamInterface<WhichKernel> {
 public:
  static auto both() { return testing::Values(WhichKernel::kFake, WhichKernel::kReal); }
  static std::string name(const testing::TestParamInfo<WhichKernel>& which) {
    return which.param == WhichKernel::kFake ? "Fake" : "Real";
  }

 protected:
  static inline const IfName kEth0 = *IfName::parse("eth0");
  static inline const MacAddress kMac = *MacAddress::parse("52:54:00:12:34:56");
  static inline const MacAddress kParentMac = *MacAddress::parse("52:54:00:ee:00:10");  // add_lan()'s
  static IpAddress ip(const char* text) { return *IpAddress::parse(text); }

  void SetUp() override {
    if (GetParam() == WhichKernel::kFake) {
      auto fake = std::make_unique<FakeKernel>();
      fake_ = fake.get();
      kernel_ = std::move(fake);
      furnish(*fake_);
    } else {
      NamespaceTest::SetUp();
      if (IsSkipped() || HasFatalFailure()) return;
      add_lan();
      furnish();
      auto real = RtnlKernel::open();
      ASSERT_TRUE(real) << real.error().message;
      kernel_ = std::make_unique<RtnlKernel>(std::move(*real));
    }
    parent_ = kernel_->parent(kEth0)->index;
  }
  virtual void furnish(FakeKernel& fake) = 0;
  virtual void furnish() {}

  std::unique_ptr<Kernel> kernel_;
  FakeKernel* fake_ = nullptr;
  unsigned parent_ = 0;
};

}  // namespace vmt
