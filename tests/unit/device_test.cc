// SPDX-License-Identifier: LGPL-2.1-or-later
// What a device is to be like, and the plans for standing ones, against the honest fake.
#include "lib/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "lib/devices.h"
#include "tests/fake_kernel.h"

namespace vmt {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const Uuid kWebUuid = *Uuid::parse("11111111-2222-3333-4444-555555555555");
const Uuid kDbUuid = *Uuid::parse("66666666-7777-8888-9999-aaaaaaaaaaaa");

IfName name(const char* text) {
  return *IfName::parse(text);
}
MacAddress mac(const char* text) {
  return *MacAddress::parse(text);
}

TEST(DeviceUseTest, AnAliasSaysWhomADeviceIsForAndNothingElsePassesForOne) {
  for (const DeviceUse& use : {DeviceUse(Standing{}), DeviceUse(ForGuest{kWebUuid})}) {
    EXPECT_EQ(use_of_alias(alias_of(use)), use) << alias_of(use);
    EXPECT_FALSE(use_of_alias(alias_of(use) + " ")) << alias_of(use);
  }
  for (const char* alias : {"", "virt-macvtap", "virt-macvtap: standin", "virt-macvtap: guest ", "virt-macvtap: user ",
                            "virt-macvtap: guest 1111", "virt-macvtap: user -1", "virt-macvtap: user 4294967296",
                            "virt-macvtap: user alice", "virt-macvtap: host access for guests"})
    EXPECT_FALSE(use_of_alias(alias)) << alias;
}

TEST(DeviceMacTest, ARandomMacIsLocalUnicastAndAnotherEachTime) {
  std::set<MacAddress> seen;
  for (int i = 0; i < 1000; ++i) {
    const MacAddress one = random_mac();
    EXPECT_EQ(one.bytes()[0] & 0x03, 0x02) << one.str();
    EXPECT_TRUE(seen.insert(one).second) << one.str();
  }
}

TEST(DeviceMacTest, AMacFromATextIsTheSameEverywhereAndForever) {
  // FNV-1a by its definition; the least significant byte comes first.
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : {'w', 'e', 'b'}) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  const auto made = mac_from_text("web");
  EXPECT_EQ(made.bytes()[0], ((hash & 0xff) & 0xfc) | 0x02);
  for (unsigned i = 1; i < MacAddress::kSize; ++i) EXPECT_EQ(made.bytes()[i], (hash >> (8 * i)) & 0xff);
  EXPECT_NE(mac_from_text("web"), mac_from_text("wec"));
}

TEST(DeviceNameTest, UniqueNamesAndIndicesAreWhatTheyAreCalled) {
  std::set<IfName> names;
  std::set<unsigned> indices;
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(names.insert(unique_name(1000)).second);
    const unsigned index = unique_index();
    EXPECT_TRUE(indices.insert(index).second);
    EXPECT_GE(index, 0x20000000U);
    EXPECT_LT(index, shim_index(0));  // where the shims' begin
  }
  EXPECT_EQ(names.begin()->str().size(), 15U);
}

TEST(DeviceNameTest, IndicesOfOneCallAreNeighbours) {
  const auto some = unique_indices(300);
  ASSERT_EQ(some.size(), 300U);
  std::size_t steps_of_one = 0;
  for (std::size_t i = 0; i < some.size(); ++i) {
    EXPECT_TRUE(is_unique_index(some[i])) << some[i];
    if (i > 0 && some[i] == some[i - 1] + 1) ++steps_of_one;
  }
  EXPECT_EQ(std::set(some.begin(), some.end()).size(), 300U);
  EXPECT_GE(steps_of_one, 298U);  // once the range may end
  EXPECT_NE(unique_indices(1), unique_indices(1));
  EXPECT_TRUE(unique_indices(0).empty());
}

TEST(DeviceNameTest, AUniqueNameSaysWhoseItIs) {
  for (const uid_t user : {0U, 1U, 1000U, 65534U, 0xfffffffeU}) EXPECT_EQ(user_of_name(unique_name(user)), user);
  for (const char* other :
       {"eth0", "vmtaaaaaaaaaaa", "vmuaaaaaaaaaaaa", "vmtaaaaaa1aaaaa", "vmtAAAAAAAaaaaa", "vmt7777777aaaaa"})
    EXPECT_FALSE(user_of_name(*IfName::parse(other))) << other;
}

class DevicePlanTest : public testing::Test {
 protected:
  DevicePlanTest() { eth0_ = kernel_.add_parent("eth0", "52:54:00:ee:00:10", {"192.0.2.10/24"}); }

  static DeviceSpec spec(const char* device, const char* its_mac, const char* parent = "eth0") {
    return {.name = name(device),
            .parent_name = name(parent),
            .mode = MacvlanMode::kBridge,
            .mac = mac(its_mac),
            .mtu = {},
            .bc_queue_length = {},
            .allowed = {},
            .owner = {}};
  }
  static Guest guest(const Uuid& uuid, const char* device, std::optional<Placement> wanted) {
    return {.name = "web",
            .uuid = uuid,
            .id = 1,
            .nics = {{.mac = mac("52:54:00:12:34:56"),
                      .source = PremadeSource{name(device), std::move(wanted)},
                      .target = {},
                      .model = {}}},
            .given = {}};
  }
  static Placement on_eth0(MacvlanMode mode = MacvlanMode::kBridge) { return {name("eth0"), mode}; }

  std::vector<std::string> run(const PlanResult& planned) {
    EXPECT_TRUE(planned) << planned.error().message;
    std::vector<std::string> lines;
    for (const auto& change : planned->changes) lines.push_back(describe(change));
    notes_ = planned->notes;
    EXPECT_THAT(apply_all(kernel_, planned->changes), IsEmpty());
    return lines;
  }
  std::string refusal(const PlanResult& planned) {
    EXPECT_FALSE(planned);
    return planned ? "" : planned.error().message;
  }
  PlanResult create(std::vector<DeviceSpec> specs) { return plan_create(kernel_, specs); }
  bool exists(const char* device) { return kernel_.child(name(device))->has_value(); }

  FakeKernel kernel_;
  unsigned eth0_ = 0;
  std::vector<std::string> notes_;
};

TEST_F(DevicePlanTest, CreatingFindsTheParentAndMakesEach) {
  EXPECT_THAT(run(create({spec("a", "52:54:00:00:00:01"), spec("b", "52:54:00:00:00:02")})),
              ElementsAre("create macvtap a on eth0 in mode bridge with 52:54:00:00:00:01",
                          "create macvtap b on eth0 in mode bridge with 52:54:00:00:00:02"));
  EXPECT_EQ((*kernel_.child(name("b")))->parent, eth0_);
  EXPECT_EQ((*kernel_.child(name("b")))->use, DeviceUse(Standing{}));
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(DevicePlanTest, ADeviceOfOursIsNotMadeTwice) {
  const auto mine = spec("mine", "52:54:00:00:00:01");
  run(create({mine}));
  EXPECT_THAT(refusal(create({mine})), HasSubstr("a link of this name exists"));
}

TEST_F(DevicePlanTest, WhatCannotBeMadeIsRefusedBeforeAnythingIs) {
  const auto good = spec("good", "52:54:00:00:00:01");
  for (const char* reserved : {"vnet0", "macvtap7", "macvlan0"})
    EXPECT_THAT(refusal(create({good, spec(reserved, "52:54:00:00:00:02")})), HasSubstr("libvirt's"));
  EXPECT_THAT(refusal(create({good, good})), HasSubstr("good: named twice"));
  EXPECT_THAT(refusal(create({spec("a", "52:54:00:00:00:01", "eth9")})), HasSubstr("eth9"));
  EXPECT_THAT(refusal(create({good, spec("eth0", "52:54:00:00:00:02")})), HasSubstr("a link of this name exists"));
  DeviceSpec bad = good;
  bad.mode = MacvlanMode::kPassthru;
  EXPECT_THAT(refusal(create({bad})), HasSubstr("takes its parent's MAC"));
  bad.mac.reset();
  EXPECT_TRUE(create({bad}));
  bad.mode = MacvlanMode::kVepa;
  EXPECT_THAT(refusal(create({bad})), HasSubstr("no MAC"));
  bad = good;
  bad.promiscuous = false;
  EXPECT_THAT(refusal(create({bad})), HasSubstr("passthru only"));
  bad = good;
  bad.allowed = {mac("52:54:00:00:00:09")};
  EXPECT_THAT(refusal(create({bad})), HasSubstr("source only"));
  bad.mode = MacvlanMode::kSource;
  EXPECT_TRUE(create({bad}));
  bad.allowed.resize(kMaxAllowed + 1, mac("52:54:00:00:00:09"));
  EXPECT_THAT(refusal(create({bad})), HasSubstr("at most 256"));
  bad = good;
  bad.macvtap = false;
  bad.owner = NodeOwner{.user = 1000};
  EXPECT_THAT(refusal(create({bad})), HasSubstr("no tap node"));
  EXPECT_THAT(*kernel_.children(), IsEmpty());
}

TEST_F(DevicePlanTest, AParentThatLeadsNowhereIsNotedOnce) {
  const std::vector specs{spec("a", "52:54:00:00:00:01"), spec("b", "52:54:00:00:00:02")};
  kernel_.set_parent_state(eth0_, false, false, false);
  EXPECT_THAT(create(specs)->notes, ElementsAre(HasSubstr("eth0 is down")));
  kernel_.set_parent_state(eth0_, true, false, true);
  EXPECT_THAT(create(specs)->notes, ElementsAre(HasSubstr("no carrier"), HasSubstr("wireless")));
}

TEST_F(DevicePlanTest, AFailureUndoesWhatThisCallHasMadeAndNothingElse) {
  run(create({spec("before", "52:54:00:00:00:09")}));
  kernel_.add_child(eth0_, "theirs", "52:54:00:00:00:03", MacvlanMode::kBridge);
  const auto planned = create({spec("a", "52:54:00:00:00:01"), spec("b", "52:54:00:00:00:02"),
                               spec("c", "52:54:00:00:00:03"), spec("d", "52:54:00:00:00:04")});
  ASSERT_TRUE(planned);
  const auto errors = create_all_or_none(kernel_, planned->changes);
  ASSERT_THAT(errors, SizeIs(1));
  EXPECT_EQ(errors[0].kind, ErrorKind::kInUse);
  for (const char* device : {"a", "b", "c", "d"}) EXPECT_FALSE(exists(device)) << device;
  EXPECT_TRUE(exists("before"));
  EXPECT_TRUE(exists("theirs"));
}

TEST_F(DevicePlanTest, DeletingIsOneChangeAndOnlyOfOurs) {
  run(create({spec("a", "52:54:00:00:00:01"), spec("b", "52:54:00:00:00:02")}));
  kernel_.add_child(eth0_, "theirs", "52:54:00:00:00:03", MacvlanMode::kBridge);
  EXPECT_THAT(refusal(plan_delete(kernel_, std::vector{name("a"), name("theirs")})), HasSubstr("not made by"));
  EXPECT_THAT(refusal(plan_delete(kernel_, std::vector{name("a"), name("eth0")})), HasSubstr("not made by"));
  EXPECT_THAT(refusal(plan_delete(kernel_, std::vector{name("a"), name("none")})), HasSubstr("no such device"));
  EXPECT_TRUE(exists("a"));
  EXPECT_THAT(run(plan_delete(kernel_, std::vector{name("a"), name("b"), name("a")})), ElementsAre("delete a b"));
  EXPECT_FALSE(exists("a"));
}

TEST_F(DevicePlanTest, ChangingIsOfOursOnly) {
  run(create({spec("a", "52:54:00:00:00:01")}));
  kernel_.add_child(eth0_, "theirs", "52:54:00:00:00:03", MacvlanMode::kBridge);
  EXPECT_THAT(refusal(plan_change(kernel_, {.name = name("theirs"), .mtu = 1400})), HasSubstr("not made by"));
  EXPECT_THAT(run(plan_change(kernel_, {.name = name("a"), .mtu = 1400})), ElementsAre("set a mtu 1400"));
  EXPECT_EQ((*kernel_.child(name("a")))->mtu, 1400U);
}

TEST_F(DevicePlanTest, AMacOfAPassthruDeviceIsItsParentsToo) {
  DeviceSpec whole = spec("a", "52:54:00:00:00:01");
  whole.mode = MacvlanMode::kPassthru;
  whole.mac.reset();
  run(create({whole}));
  EXPECT_THAT(plan_change(kernel_, {.name = name("a"), .mac = mac("52:54:00:00:00:05")})->notes,
              ElementsAre(HasSubstr("the parent gets this MAC, too")));
  EXPECT_THAT(refusal(plan_change(kernel_, {.name = name("a"), .allmulticast = false})), HasSubstr("stays on"));
}

TEST_F(DevicePlanTest, CleaningTakesAllThatIsOursButWhatSomebodyHolds) {
  run(create({spec("a", "52:54:00:00:00:01"), spec("held", "52:54:00:00:00:02")}));
  run(plan_devices_for(kernel_, guest(kWebUuid, "tap-web", on_eth0())));
  kernel_.add_child(eth0_, "theirs", "52:54:00:00:00:03", MacvlanMode::kBridge);
  kernel_.add_unfinished(eth0_, "half", "52:54:00:00:00:04");
  const FindHolder holder = [](const Child& device) {
    // Whoever has opened a half-made one knows nothing of us.
    const bool held = device.name == name("held") || device.name == name("half");
    return held ? std::optional<std::string>("PID 7, 'qemu'") : std::nullopt;
  };
  EXPECT_THAT(run(plan_clean_devices(kernel_, holder)), ElementsAre("delete a tap-web half"));
  EXPECT_THAT(notes_, ElementsAre(testing::AllOf(HasSubstr("held stays: PID 7, 'qemu' holds it"),
                                                 HasSubstr("`virt-macvtap delete held`"))));
  EXPECT_TRUE(exists("held"));
  EXPECT_TRUE(exists("theirs"));
  EXPECT_THAT(run(plan_clean_devices(kernel_, holder)), IsEmpty());
}

TEST_F(DevicePlanTest, AnUnfinishedDeviceIsInNobodysWay) {
  kernel_.add_unfinished(eth0_, "tap-web", "52:54:00:00:00:04");
  EXPECT_THAT(run(plan_devices_for(kernel_, guest(kWebUuid, "tap-web", on_eth0()))), SizeIs(2));
  kernel_.add_unfinished(eth0_, "a", "52:54:00:00:00:04");
  EXPECT_THAT(run(create({spec("a", "52:54:00:00:00:01")})), SizeIs(1));
  EXPECT_EQ((*kernel_.child(name("a")))->mac, mac("52:54:00:00:00:01"));
}

TEST_F(DevicePlanTest, StaleIsWhoseGuestDoesNotRunOrNobodys) {
  run(create({spec("a", "52:54:00:00:00:01")}));
  run(plan_devices_for(kernel_, guest(kWebUuid, "tap-web", on_eth0())));
  Guest db = guest(kDbUuid, "tap-db", on_eth0());
  db.nics[0].mac = mac("52:54:00:12:34:57");
  run(plan_devices_for(kernel_, db));
  kernel_.add_unfinished(eth0_, "half", "52:54:00:00:00:04");
  kernel_.add_child(eth0_, "theirs", "52:54:00:00:00:03", MacvlanMode::kBridge);
  std::vector<unsigned> before;
  const auto children = kernel_.children();
  for (const auto& child : *children) before.push_back(child.index);
  const auto holds_web = [](const Child& device) {
    return device.name.str() == "tap-web" ? std::optional<std::string>("PID 7, 'qemu'") : std::nullopt;
  };
  EXPECT_THAT(run(plan_stale_devices(kernel_, std::vector{db}, before, holds_web)), ElementsAre("delete half"));
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("tap-web stays: PID 7, 'qemu' holds it")));
  const auto nobody = [](const Child&) { return std::nullopt; };
  EXPECT_THAT(run(plan_stale_devices(kernel_, std::vector{db}, before, nobody)), ElementsAre("delete tap-web"));
  EXPECT_TRUE(exists("tap-db"));
  EXPECT_TRUE(exists("a"));
}

}  // namespace
}  // namespace vmt
