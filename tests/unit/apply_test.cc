// SPDX-License-Identifier: LGPL-2.1-or-later
// A plan of which one change fails, and a kernel that cannot be asked: what is left is for the next call, whichever
// that is, to repair or take away, and nobody is told that all is well.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/devices.h"
#include "lib/host_access.h"
#include "tests/fake_kernel.h"

namespace vmt {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

// As the fake, but for one kind of change.
template <typename Refused>
class RefusingKernel : public FakeKernel {
 public:
  Status apply(const Change& change) override {
    if (refusing && std::holds_alternative<Refused>(change))
      return fail(Error{ErrorKind::kFailed, describe(change) + ": Cannot allocate memory"});
    return FakeKernel::apply(change);
  }

  bool refusing = true;
};

Guest web() {
  const auto mac = *MacAddress::parse("52:54:00:12:34:56");
  return {.name = "web",
          .uuid = {},
          .id = 1,
          .nics = {{.mac = mac,
                    .source = DirectSource{*IfName::parse("eth0"), MacvlanMode::kBridge, ""},
                    .target = {},
                    .model = {}}},
          .given = {{mac, {*IpAddress::parse("192.0.2.61"), *IpAddress::parse("2001:db8:1::61")}}}};
}

std::vector<Error> carry_out(Kernel& kernel, const PlanResult& planned) {
  EXPECT_TRUE(planned);
  return apply_all(kernel, planned->changes);
}

// Also where another guest keeps the shim, which would take all with it.
void expect_nothing(Kernel& kernel) {
  const auto owned = kernel.owned(Scope{});
  ASSERT_TRUE(owned);
  EXPECT_THAT(owned->routes, IsEmpty());
  EXPECT_THAT(owned->neighbours, IsEmpty());
}

TEST(ApplyAllTest, ARouteThatCannotBeDeletedKeepsItsNeighbourSoThatTheNextStopFindsBoth) {
  RefusingKernel<DeleteRoute> kernel;
  const unsigned parent = kernel.add_parent("eth0", "52:54:00:ee:00:10", {"192.0.2.10/24", "2001:db8:1::10/64"});
  kernel.add_child(parent, "macvtap1", "52:54:00:12:34:57", MacvlanMode::kBridge);
  EXPECT_THAT(carry_out(kernel, plan_start(kernel, web(), {})), IsEmpty());
  EXPECT_THAT(carry_out(kernel, plan_stop(kernel, web(), IdleShims::kStay)), SizeIs(2));
  kernel.refusing = false;
  EXPECT_THAT(carry_out(kernel, plan_stop(kernel, web(), IdleShims::kStay)), IsEmpty());
  expect_nothing(kernel);
}

TEST(ApplyAllTest, WithoutItsNeighbourARouteIsNotMadeAndAStopLeavesNothing) {
  RefusingKernel<AddNeighbour> kernel;
  const unsigned parent = kernel.add_parent("eth0", "52:54:00:ee:00:10", {"192.0.2.10/24", "2001:db8:1::10/64"});
  kernel.add_child(parent, "macvtap1", "52:54:00:12:34:57", MacvlanMode::kBridge);
  EXPECT_THAT(carry_out(kernel, plan_start(kernel, web(), {})), SizeIs(2));
  EXPECT_THAT(carry_out(kernel, plan_stop(kernel, web(), IdleShims::kStay)), IsEmpty());
  expect_nothing(kernel);
}

// As the fake, but out of memory when it is asked for a link.
class UnansweringKernel : public FakeKernel {
 public:
  using FakeKernel::parent;
  std::expected<Parent, Error> parent(const IfName& name, const Suspects& suspects) override {
    if (answers) return FakeKernel::parent(name, suspects);
    return fail(Error{ErrorKind::kFailed, "look up parent " + name.str() + ": Out of memory"});
  }
  std::expected<std::optional<unsigned>, Error> index_of(const IfName& name) override {
    if (answers) return FakeKernel::index_of(name);
    return fail(Error{ErrorKind::kFailed, "look up " + name.str() + ": Out of memory"});
  }

  bool answers = true;
};

TEST(UnansweredTest, AParentThatCannotBeReadIsNoParentThatIsGone) {
  UnansweringKernel kernel;
  kernel.add_parent("eth0", "52:54:00:ee:00:10", {"192.0.2.10/24", "2001:db8:1::10/64"});
  EXPECT_THAT(carry_out(kernel, plan_start(kernel, web(), {})), IsEmpty());
  kernel.answers = false;
  const Guest guests[] = {web()};
  // A sync that goes on without it would take away what the guest has, and say that all is well.
  EXPECT_FALSE(plan_sync(kernel, guests, {}, {}));
  EXPECT_FALSE(plan_start(kernel, web(), {}));
  // A stop that goes on without it would leave everything, and say so of nothing.
  EXPECT_FALSE(plan_stop(kernel, web()));
}

TEST(InterruptedTest, AReleaseTakesAwayWhatAKilledPrepareHasLeft) {
  FakeKernel kernel;
  const unsigned parent = kernel.add_parent("eth0", "52:54:00:ee:00:10", {"192.0.2.10/24"});
  kernel.add_unfinished(parent, "web0", "52:54:00:12:34:56");
  kernel.add_unfinished(parent, "db0", "52:54:00:12:34:57");
  Guest guest = web();
  guest.uuid = Uuid::parse("7c0c2d5e-0d4c-4b7e-8f57-525400123458").value();
  guest.nics.front().source =
      PremadeSource{*IfName::parse("web0"), Placement{*IfName::parse("eth0"), MacvlanMode::kBridge}};
  EXPECT_THAT(carry_out(kernel, plan_devices_gone(kernel, guest)), IsEmpty());
  const auto left = kernel.children();
  ASSERT_TRUE(left);
  ASSERT_THAT(*left, SizeIs(1));
  EXPECT_EQ(left->front().name.str(), "db0");
}

}  // namespace
}  // namespace vmt
