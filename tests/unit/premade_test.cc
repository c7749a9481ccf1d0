// SPDX-License-Identifier: LGPL-2.1-or-later
// Guests that wait for a device, <target managed='no'>, against the honest fake: who makes it, who takes it away, and
// does host access find it?
#include "lib/premade.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/devices.h"
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
const Uuid kWeb = *Uuid::parse("6e0c3a0e-7a4b-4a3e-9c43-0ecd0a7f0001");
const Uuid kDb = *Uuid::parse("6e0c3a0e-7a4b-4a3e-9c43-0ecd0a7f0002");

IfName name(const char* text) {
  return *IfName::parse(text);
}

Guest guest(const char* guest_name, const Uuid& uuid, const char* mac, std::optional<Placement> wanted,
            const char* device = "web0", const char* address = "192.0.2.61") {
  return {.name = guest_name,
          .uuid = uuid,
          .id = 1,
          .nics = {{.mac = *MacAddress::parse(mac),
                    .source = PremadeSource{name(device), std::move(wanted)},
                    .target = {},
                    .model = {}}},
          .given = {{*MacAddress::parse(mac), {*IpAddress::parse(address)}}}};
}
Placement on(const char* parent, MacvlanMode mode = MacvlanMode::kBridge) {
  return {name(parent), mode};
}

class PremadeTest : public testing::Test {
 protected:
  PremadeTest() {
    eth0_ = kernel_.add_parent("eth0", "52:54:00:ee:00:10", {"192.0.2.10/24"});
    eth1_ = kernel_.add_parent("eth1", "52:54:00:ee:00:11", {"198.51.100.10/24"});
  }

  // Applies a plan; what it consisted of.
  std::vector<std::string> run(const PlanResult& planned) {
    EXPECT_TRUE(planned) << planned.error().message;
    std::vector<std::string> lines;
    if (!planned) return lines;
    for (const auto& change : planned->changes) lines.push_back(describe(change));
    notes_ = planned->notes;
    errors_ = apply_all(kernel_, planned->changes);
    return lines;
  }
  // As the hook does.
  std::vector<std::string> prepare(const Guest& g) {
    run(plan_make_way(kernel_, g));
    return run(plan_devices_for(kernel_, g));
  }
  std::vector<std::string> start(const Guest& g) { return run(plan_start(kernel_, g, {})); }
  void release(const Guest& g) {
    run(plan_stop(kernel_, g));
    run(plan_devices_gone(kernel_, g));
  }

  std::optional<Child> device(const char* text) { return *kernel_.child(name(text)); }
  std::vector<unsigned> indices() {
    std::vector<unsigned> result;
    const auto children = kernel_.children();
    for (const auto& child : *children) result.push_back(child.index);
    return result;
  }
  void make_by_hand(const char* text, unsigned parent, const char* parent_name, const DeviceUse& use) {
    const CreateDevice creation{.spec = {.name = name(text),
                                         .parent = parent,
                                         .parent_name = name(parent_name),
                                         .mac = *MacAddress::parse(kWebMac),
                                         .mtu = {},
                                         .bc_queue_length = {},
                                         .allowed = {},
                                         .owner = {}},
                                .use = use};
    ASSERT_TRUE(kernel_.apply(creation));
  }

  FakeKernel kernel_;
  unsigned eth0_ = 0;
  unsigned eth1_ = 0;
  std::vector<std::string> notes_;
  std::vector<Error> errors_;
};

TEST_F(PremadeTest, PrepareMakesTheDeviceStartGivesHostAccessAndReleaseTakesBothAway) {
  const Guest web = guest("web", kWeb, kWebMac, on("eth0"));
  EXPECT_THAT(prepare(web), ElementsAre("create macvtap web0 on eth0 in mode bridge with 52:54:00:12:34:56"));
  EXPECT_THAT(errors_, IsEmpty());
  const auto made = device("web0");
  ASSERT_TRUE(made);
  EXPECT_EQ(made->use, DeviceUse(ForGuest{kWeb}));
  EXPECT_TRUE(made->up && made->allmulticast && made->macvtap);
  EXPECT_EQ(made->mac.str(), kWebMac);
  EXPECT_THAT(start(web), Contains("add route 192.0.2.61 dev vmt-2 src 192.0.2.10"));
  EXPECT_THAT(start(web), IsEmpty());
  release(web);
  EXPECT_THAT(indices(), IsEmpty());
  EXPECT_THAT(kernel_.owned({})->routes, IsEmpty());
  release(web);
  EXPECT_THAT(errors_, IsEmpty());
}

TEST_F(PremadeTest, WhatAKilledCallOrALostReleaseHasLeftIsMadeAnew) {
  const Guest web = guest("web", kWeb, kWebMac, on("eth0"));
  prepare(web);
  const unsigned first = device("web0")->index;
  const Guest moved = guest("web", kWeb, kWebMac, on("eth1"));
  for (const auto& again : {web, moved, web}) {
    EXPECT_THAT(prepare(again), ElementsAre("delete web0", HasSubstr("create macvtap web0 on ")));
    EXPECT_THAT(errors_, IsEmpty());
    EXPECT_NE(device("web0")->index, first);
  }
  EXPECT_EQ(device("web0")->parent, eth0_);
}

TEST_F(PremadeTest, ADeviceThatWasMadeByHandIsTakenAsItIsAndStays) {
  for (const char* device_name : {"web0", "db0"}) {  // of `virt-macvtap create`, of `ip`
    if (device_name == std::string_view("web0"))
      make_by_hand(device_name, eth0_, "eth0", Standing{});
    else
      kernel_.add_child(eth0_, device_name, kWebMac, MacvlanMode::kBridge);
    const Guest one = guest("web", kWeb, kWebMac, on("eth1"), device_name);
    EXPECT_THAT(prepare(one), IsEmpty());
    EXPECT_THAT(notes_, ElementsAre(HasSubstr("is there already and was not made for a guest; taken as it is")));
    // Where it is counts, not where the metadata would have it.
    EXPECT_THAT(start(one), Contains("add route 192.0.2.61 dev vmt-2 src 192.0.2.10"));
    release(one);
    EXPECT_TRUE(device(device_name));
    EXPECT_THAT(kernel_.owned({})->shims, IsEmpty()) << device_name;
    EXPECT_THAT(kernel_.owned({})->neighbours, IsEmpty()) << device_name;
    kernel_.remove_link(device(device_name)->index);
  }
}

TEST_F(PremadeTest, WithoutMetadataTheKernelSaysWhereTheDeviceIs) {
  kernel_.add_child(eth0_, "web0", kWebMac, MacvlanMode::kBridge);
  kernel_.add_child(eth1_, "db0", kDbMac, MacvlanMode::kVepa);
  EXPECT_THAT(start(guest("web", kWeb, kWebMac, {})), Contains(HasSubstr("add route 192.0.2.61 dev vmt-2")));
  EXPECT_THAT(start(guest("db", kDb, kDbMac, {}, "db0")), IsEmpty());
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("52:54:00:12:34:57 on eth1): no host access in mode vepa")));
  EXPECT_THAT(start(guest("none", kDb, kDbMac, {}, "none0")), IsEmpty());
}

TEST_F(PremadeTest, APlainTapOrAMacvlanIsNoneOfOurBusiness) {
  kernel_.add_foreign_link("tap0");
  kernel_.add_child(eth0_, "lan0", kWebMac, MacvlanMode::kBridge, false);
  for (const char* device_name : {"lan0", "eth1"}) {
    const Guest web = guest("web", kWeb, kWebMac, on("eth0"), device_name);
    EXPECT_THAT(prepare(web), IsEmpty()) << device_name;
    EXPECT_THAT(start(web), IsEmpty()) << device_name;
  }
}

TEST_F(PremadeTest, AnotherGuestsDeviceIsRefusedAndNotTakenAway) {
  const Guest web = guest("web", kWeb, kWebMac, on("eth0"));
  prepare(web);
  start(web);
  for (const char* mac : {kDbMac, kWebMac}) {  // the second is a clone that kept its MAC
    const Guest clone = guest("clone", kDb, mac, on("eth0"));
    const auto refused = plan_devices_for(kernel_, clone);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("guest 'clone': web0 belongs to another guest (virt-macvtap: guest "
                                                   "6e0c3a0e-7a4b-4a3e-9c43-0ecd0a7f0001)"));
    release(clone);
    EXPECT_TRUE(device("web0")) << mac;
    EXPECT_THAT(kernel_.owned({})->routes, SizeIs(1)) << mac;
  }
}

TEST_F(PremadeTest, ACloneWithADeviceOfItsOwnIsRefusedByTheKernel) {
  const Guest web = guest("web", kWeb, kWebMac, on("eth0"));
  prepare(web);
  start(web);
  const Guest clone = guest("clone", kDb, kWebMac, on("eth0"), "clone0");
  prepare(clone);
  ASSERT_THAT(errors_, SizeIs(1));
  EXPECT_EQ(errors_[0].kind, ErrorKind::kInUse);
  release(clone);
  EXPECT_TRUE(device("web0"));
  EXPECT_THAT(kernel_.owned({})->routes, SizeIs(1));
}

TEST_F(PremadeTest, WhatCannotBeIsAnErrorThatNamesGuestAndDevice) {
  const struct {
    const char* device;
    const char* parent;
    const char* why;
  } kRows[] = {{"vnet7", "eth0", "guest 'web': create vnet7: names that begin with 'vnet' are libvirt's"},
               {"macvtap0", "eth0", "guest 'web': create macvtap0: names that begin with 'macvtap' are libvirt's"},
               {"macvlan0", "eth0", "guest 'web': create macvlan0: names that begin with 'macvlan' are libvirt's"},
               {"web0", "eth9", "guest 'web': create web0: no link is named eth9"}};
  for (const auto& row : kRows) {
    const auto planned = plan_devices_for(kernel_, guest("web", kWeb, kWebMac, on(row.parent), row.device));
    ASSERT_FALSE(planned) << row.device;
    EXPECT_THAT(planned.error().message, HasSubstr(row.why));
  }
  Guest nameless = guest("web", kWeb, kWebMac, on("eth0"));
  nameless.uuid.reset();
  EXPECT_THAT(plan_devices_for(kernel_, nameless).error().message,
              HasSubstr("guest 'web': web0: the guest has no UUID"));
}

TEST_F(PremadeTest, APassthruDeviceGetsAnIdleShimOutOfItsWay) {
  const Guest db = guest("db", kDb, kDbMac, on("eth1"), "db0", "198.51.100.62");
  prepare(db);
  start(db);
  run(plan_devices_gone(kernel_, db));  // half a release: its shim is left, and idle
  const auto owned = *kernel_.owned({});
  ASSERT_THAT(owned.shims, SizeIs(1));
  for (const auto& route : owned.routes) ASSERT_TRUE(kernel_.apply(DeleteRoute{route.shim, route.guest, false}));
  for (const auto& neighbour : owned.neighbours)
    ASSERT_TRUE(kernel_.apply(DeleteNeighbour{neighbour.shim, neighbour.guest}));
  const Guest web = guest("web", kWeb, kWebMac, on("eth1", MacvlanMode::kPassthru));
  EXPECT_THAT(prepare(web), ElementsAre("create macvtap web0 on eth1 in mode passthru"));
  EXPECT_THAT(errors_, IsEmpty());
  EXPECT_THAT(kernel_.owned({})->shims, IsEmpty());
  EXPECT_THAT(start(web), IsEmpty());
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("no host access in mode passthru")));
  release(web);
  EXPECT_THAT(indices(), IsEmpty());
}

TEST_F(PremadeTest, ASyncKnowsWhichDevicesAreStale) {
  const Guest web = guest("web", kWeb, kWebMac, on("eth0"));
  const Guest db = guest("db", kDb, kDbMac, on("eth0"), "db0", "192.0.2.62");
  prepare(web);
  start(web);
  prepare(db);
  make_by_hand("hand0", eth1_, "eth1", Standing{});
  kernel_.add_child(eth1_, "macvtap0", kDbMac, MacvlanMode::kBridge);
  const auto before = indices();
  const auto stale = [&](std::vector<Guest> running) {
    return run(plan_stale_devices(kernel_, running, before, [](const Child&) { return std::nullopt; }));
  };
  EXPECT_THAT(stale({web, db}), IsEmpty());
  EXPECT_THAT(stale({web}), ElementsAre("delete db0"));
  prepare(db);
  EXPECT_THAT(stale({web}), IsEmpty()) << "db has started since libvirt was asked";
  EXPECT_THAT(stale({}), ElementsAre("delete web0"));
  EXPECT_TRUE(device("hand0") && device("macvtap0"));
}

// It was killed, nobody called a hook, and somebody gave it another NIC before it was started again.
TEST_F(PremadeTest, WhatARunningGuestHasNoNicForAnyMoreIsStaleToo) {
  prepare(guest("web", kWeb, kWebMac, on("eth0")));
  const auto before = indices();
  const Guest web = guest("web", kWeb, kWebMac, on("eth0"), "web1");
  const auto nobody = [](const Child&) { return std::nullopt; };
  EXPECT_THAT(run(plan_stale_devices(kernel_, std::vector{web}, before, nobody)), ElementsAre("delete web0"));
}

TEST_F(PremadeTest, ASyncGivesItHostAccessAsItDoesADirectOne) {
  const Guest web = guest("web", kWeb, kWebMac, on("eth0"));
  prepare(web);
  EXPECT_THAT(run(plan_sync(kernel_, std::span(&web, 1), {}, *kernel_.children())),
              Contains(HasSubstr("add route 192.0.2.61 dev vmt-2")));
  EXPECT_THAT(run(plan_sync(kernel_, std::span(&web, 1), {}, *kernel_.children())), IsEmpty());
  EXPECT_THAT(run(plan_sync(kernel_, {}, {}, {})), ElementsAre(HasSubstr("delete shim vmt-2")));
}

TEST_F(PremadeTest, AParentOrGuestThatIsSwitchedOffHasItsDevicesAllTheSame) {
  Guest web = guest("web", kWeb, kWebMac, on("eth0"));
  Config config;
  config.parents[name("eth0")].host_access = false;
  EXPECT_THAT(prepare(web), SizeIs(1));
  EXPECT_THAT(run(plan_start(kernel_, web, config)), IsEmpty());
  EXPECT_TRUE(device("web0"));
  release(web);
  web.host_access = false;
  EXPECT_THAT(prepare(web), SizeIs(1));
  EXPECT_THAT(start(web), IsEmpty());
  EXPECT_TRUE(device("web0"));
}

}  // namespace
}  // namespace vmt
