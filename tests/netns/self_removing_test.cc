// SPDX-License-Identifier: LGPL-2.1-or-later
// A macvtap that goes with its last tap fd: that it is the right one, and that nothing is left of it.
#include "lib/self_removing.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/rtnl_device.h"
#include "lib/tap_holders.h"
#include "tests/netns/namespace.h"
#include "tests/netns/programs.h"

namespace vmt {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kCli = kBuild + "/virt-macvtap ";
const MacAddress kMac = *MacAddress::parse("52:54:00:12:34:56");
constexpr uid_t kUser = 65534;

class SelfRemovingTest : public NamespaceTest {
 protected:
  void SetUp() override {
    NamespaceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    add_lan();
    auto socket = RtnlSocket::open();
    ASSERT_TRUE(socket) << socket.error().message;
    socket_ = std::make_unique<RtnlSocket>(std::move(*socket));
    numbers_ = numbers();
  }

  static DeviceSpec spec(std::optional<MacAddress> mac = kMac, MacvlanMode mode = MacvlanMode::kBridge) {
    return {.name = *IfName::parse("ignored"),
            .parent = if_nametoindex("eth0"),
            .parent_name = *IfName::parse("eth0"),
            .mode = mode,
            .mac = mac,
            .mtu = {},
            .bc_queue_length = {},
            .allowed = {},
            .owner = {}};
  }
  std::expected<SelfRemoving, Error> create(const DeviceSpec& wanted, unsigned queues = 1,
                                            const WhileInside& inside = {}) {
    return create_self_removing(*socket_, wanted, kUser, {.queues = queues}, inside);
  }
  std::vector<Child> elsewhere() { return *children_elsewhere(*socket_); }
  std::vector<int> numbers() { return *read_nsids(*socket_); }

  // From the parent, whose devices all take all multicast frames, and from the list of namespaces: our own has at most
  // a number more, which asking gives it (children_elsewhere).
  bool is_gone() {
    return numbers().size() <= numbers_.size() + 1 && elsewhere().empty() &&
           json::parse(output_of("ip -j -d link show eth0"))[0]["allmulti"] == 0;
  }
  // 17 ms on an idle machine; other namespaces that die at the same time are cleaned up in the same queue.
  bool gone_within(milliseconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < end) {
      if (is_gone()) return true;
      usleep(1000);
    }
    return false;
  }
  void expect_nothing_left() {
    EXPECT_TRUE(gone_within(milliseconds(1000)))
        << numbers().size() << " numbers, " << elsewhere().size() << " devices\n"
        << output_of("ip -d link show eth0; ip netns list-id");
    EXPECT_TRUE(read_links(*socket_, "macvtap")->empty());
  }
  static std::string interface_of(const Fd& tap) {
    ifreq request{};
    return ioctl(tap.get(), TUNGETIFF, &request) < 0 ? "" : request.ifr_name;
  }
  static std::string namespace_of_this() {
    std::array<char, 64> text{};
    [[maybe_unused]] const auto size = readlink("/proc/thread-self/ns/net", text.data(), text.size() - 1);
    return text.data();
  }

  std::unique_ptr<RtnlSocket> socket_;
  std::vector<int> numbers_;
};

TEST_F(SelfRemovingTest, TheFdIsTheDevicesAndTheDeviceIsOnTheParent) {
  const std::string home = namespace_of_this();
  auto device = create(spec());
  ASSERT_TRUE(device) << device.error().message;
  EXPECT_EQ(namespace_of_this(), home);
  ASSERT_EQ(device->queues.size(), 1U);
  EXPECT_EQ(interface_of(device->queues[0]), device->name.str());
  EXPECT_TRUE(fcntl(device->queues[0].get(), F_GETFD) & FD_CLOEXEC);
  const auto children = elsewhere();
  ASSERT_EQ(children.size(), 1U);
  EXPECT_EQ(children[0].name, device->name);
  EXPECT_EQ(children[0].index, device->index);
  EXPECT_EQ(children[0].mac, kMac);
  EXPECT_EQ(children[0].parent, if_nametoindex("eth0"));
  EXPECT_EQ(children[0].use, DeviceUse(ForUser{kUser}));
  EXPECT_TRUE(children[0].up);
  EXPECT_TRUE(children[0].allmulticast);
  EXPECT_TRUE(children[0].ours);
  EXPECT_EQ(output_of("ip -j link show type macvtap"), "[]\n");  // nobody else is bothered with it
}

TEST_F(SelfRemovingTest, ItGoesWithItsLastFd) {
  auto device = create(spec(), 2);
  ASSERT_TRUE(device) << device.error().message;
  const std::string node = "/dev/tap" + std::to_string(device->index);
  EXPECT_EQ(access(node.c_str(), F_OK), 0);
  device->queues.pop_back();
  EXPECT_EQ(elsewhere().size(), 1U);
  device->queues.pop_back();
  expect_nothing_left();
  for (int tries = 0; tries < 100 && access(node.c_str(), F_OK) == 0; ++tries) usleep(10'000);
  EXPECT_NE(access(node.c_str(), F_OK), 0);
}

TEST_F(SelfRemovingTest, FramesPassBothWays) {
  auto device = create(spec());
  ASSERT_TRUE(device) << device.error().message;
  // An ARP request of the guest's: who has 192.0.2.1, tell 192.0.2.61. Behind 10 bytes of virtio_net_hdr.
  std::array<std::uint8_t, 10 + 42> frame{};
  const std::uint8_t request[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x08, 0x06,
                                  0,    1,    8,    0,    6,    4,    0,    1,    0x52, 0x54, 0x00, 0x12, 0x34, 0x56,
                                  192,  0,    2,    61,   0,    0,    0,    0,    0,    0,    192,  0,    2,    1};
  std::copy(std::begin(request), std::end(request), frame.begin() + 10);
  const int tap = device->queues[0].get();
  ASSERT_EQ(write(tap, frame.data(), frame.size()), static_cast<ssize_t>(frame.size()));
  ASSERT_EQ(fcntl(tap, F_SETFL, O_NONBLOCK), 0);
  bool answered = false;
  for (int tries = 0; tries < 1000 && !answered; ++tries) {
    std::array<std::uint8_t, 2048> answer{};
    const ssize_t size = read(tap, answer.data(), answer.size());
    answered = size >= 52 && answer[10 + 12] == 8 && answer[10 + 13] == 6 && answer[10 + 21] == 2;
    if (size < 0) usleep(1000);
  }
  EXPECT_TRUE(answered);
}

TEST_F(SelfRemovingTest, ItsMacIsFreeForTheNextRightAfterTheClose) {
  for (int times = 0; times < 5; ++times) {
    auto device = create(spec());
    ASSERT_TRUE(device) << times << ": " << device.error().message;
  }
}

TEST_F(SelfRemovingTest, ATakenMacIsRefusedWithItsHolderAndLeavesNothing) {
  auto first = create(spec());
  ASSERT_TRUE(first) << first.error().message;
  const auto before = std::chrono::steady_clock::now();
  const auto second = create(spec());
  ASSERT_FALSE(second);
  EXPECT_LT(std::chrono::steady_clock::now() - before, 3 * kPatienceWithTheGoing);
  EXPECT_EQ(second.error().kind, ErrorKind::kInUse);
  EXPECT_THAT(second.error().message, AllOf(HasSubstr(first->name.str() + " in namespace "), HasSubstr(kMac.str())));
  const auto children = elsewhere();
  ASSERT_EQ(children.size(), 1U);
  EXPECT_EQ(children[0].name, first->name);
  first->queues.clear();
  expect_nothing_left();
}

TEST_F(SelfRemovingTest, WithoutAMacEachGetsOneOfItsOwn) {
  const auto a = create(spec(std::nullopt));
  const auto b = create(spec(std::nullopt));
  ASSERT_TRUE(a && b);
  ASSERT_TRUE(a->mac && b->mac);
  EXPECT_NE(*a->mac, *b->mac);
  for (const auto& child : elsewhere()) EXPECT_EQ(child.mac, child.name == a->name ? *a->mac : *b->mac);
}

TEST_F(SelfRemovingTest, AsManyQueuesAsTheKernelHasAndNotOneMore) {
  for (const unsigned queues : {4U, kMaxQueues}) {
    auto device = create(spec(), queues);
    ASSERT_TRUE(device) << device.error().message;
    EXPECT_EQ(device->queues.size(), queues);
    for (const auto& queue : device->queues) EXPECT_EQ(interface_of(queue), device->name.str());
  }
  for (const unsigned queues : {kMaxQueues + 1, 0U}) {
    const auto refused = create(spec(), queues);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr(std::to_string(queues) + " queues"));
  }
  expect_nothing_left();
}

TEST_F(SelfRemovingTest, WhereDevHasNoNodesItMakesOneOfItsOwn) {
  ASSERT_EQ(mount("tmpfs", "/dev", "tmpfs", 0, nullptr), 0);
  auto device = create(spec(), 2);
  ASSERT_TRUE(device) << device.error().message;
  for (const auto& queue : device->queues) EXPECT_EQ(interface_of(queue), device->name.str());
  EXPECT_EQ(output_of("ls /dev"), "");
  device->queues.clear();
  expect_nothing_left();
}

TEST_F(SelfRemovingTest, AFileInTheNodesPlaceIsNotOpenedForIt) {
  ASSERT_EQ(mount("tmpfs", "/dev", "tmpfs", 0, nullptr), 0);
  auto device = create(spec());
  ASSERT_TRUE(device) << device.error().message;
  // The same for a standing one, whose index can be known beforehand.
  const unsigned index = unique_index();
  sh("echo trap >" + tap_path(index));
  sh("ip link add link eth0 name tap-web index " + std::to_string(index) + " type macvtap mode bridge");
  const auto queues = open_queues(*IfName::parse("tap-web"), index, {});
  ASSERT_TRUE(queues) << queues.error().message;
  EXPECT_EQ(interface_of(queues->front()), "tap-web");
  const auto refused = prepare_tap_node(*IfName::parse("tap-web"), index, {}, true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kExists);
  // Nor a node that an earlier device of this index has left.
  sh("rm " + tap_path(index) + " && mknod " + tap_path(index) + " c 1 3");
  const auto stale = prepare_tap_node(*IfName::parse("tap-web"), index, {}, true);
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().kind, ErrorKind::kExists);
}

TEST_F(SelfRemovingTest, AParentThatIsDownIsNoObstacleAndOneThatIsTakenIs) {
  sh("ip link set eth0 down");
  {
    const auto device = create(spec());
    ASSERT_TRUE(device) << device.error().message;
    EXPECT_FALSE(elsewhere().at(0).carrier);
    sh("ip link set eth0 up");
    for (int tries = 0; tries < 300 && !elsewhere().at(0).carrier; ++tries) usleep(10'000);
    EXPECT_TRUE(elsewhere().at(0).carrier);
  }
  expect_nothing_left();
  sh("ip link add br0 type bridge && ip link set eth0 master br0");
  const auto refused = create(spec());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("eth0 is a port of bridge br0; use br0 as the parent"));
  DeviceSpec nowhere = spec();
  nowhere.parent = 4711;
  EXPECT_FALSE(create(nowhere));
  sh("ip link del br0");  // it takes the parent's multicast frames, too
  expect_nothing_left();
}

TEST_F(SelfRemovingTest, APassthruDeviceHasTheParentsMacAndTheParentForItself) {
  auto device = create(spec(std::nullopt, MacvlanMode::kPassthru));
  ASSERT_TRUE(device) << device.error().message;
  EXPECT_FALSE(device->mac);
  EXPECT_EQ(elsewhere().at(0).mac.str(), "52:54:00:ee:00:10");
  const auto refused = create(spec());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message,
              HasSubstr(device->name.str() + " in namespace " + std::to_string(*elsewhere().at(0).nsid) +
                        " is in passthru mode and has eth0 for itself"));
}

TEST_F(SelfRemovingTest, WhatFailsInsideLeavesNothing) {
  const std::string home = namespace_of_this();
  std::string inside_name;
  const auto device = create(spec(), 1, [&](const SelfRemoving& made) -> Status {
    EXPECT_NE(namespace_of_this(), home);
    EXPECT_NE(if_nametoindex(made.name.str().c_str()), 0U);
    inside_name = made.name.str();
    return fail(Error{ErrorKind::kFailed, "no, thanks"});
  });
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().message, "no, thanks");
  EXPECT_NE(inside_name, "");
  EXPECT_EQ(namespace_of_this(), home);
  expect_nothing_left();
}

TEST_F(SelfRemovingTest, ListShowsItWithItsHolderAndItsUser) {
  auto device = create(spec(), 3);
  ASSERT_TRUE(device) << device.error().message;
  for (const char* parent : {"", "eth0 "}) {
    const json listed = json::parse(output_of(kCli + "list " + parent + "--json 2>/dev/null"))["devices"];
    ASSERT_EQ(listed.size(), 1U);
    const json& one = listed[0];
    EXPECT_EQ(one["name"], device->name.str());
    EXPECT_EQ(one["nsid"], *elsewhere().at(0).nsid);
    EXPECT_EQ(one["parent"], "eth0");
    EXPECT_EQ(one["mac"], kMac.str());
    EXPECT_EQ(one["use"], "user");
    EXPECT_EQ(one["user"], "nobody");
    EXPECT_EQ(one["queues"], 3);
    ASSERT_EQ(one["holders"].size(), 1U);
    EXPECT_EQ(one["holders"][0]["pid"], getpid());
    EXPECT_EQ(one["holders"][0]["command"].get<std::string>() + "\n",
              output_of("cat /proc/" + std::to_string(getpid()) + "/comm"));
  }
  EXPECT_THAT(output_of(kCli + "list"), AllOf(HasSubstr(device->name.str()), HasSubstr("user nobody"),
                                              HasSubstr("PID " + std::to_string(getpid()))));
  device->queues.clear();
  expect_nothing_left();
  EXPECT_THAT(json::parse(output_of(kCli + "list --json 2>/dev/null"))["devices"], IsEmpty());
}

TEST_F(SelfRemovingTest, CleanLeavesItToItsHolder) {
  const auto device = create(spec());
  ASSERT_TRUE(device) << device.error().message;
  EXPECT_THAT(output_of(kCli + "clean"), HasSubstr("nothing to do"));
  EXPECT_EQ(elsewhere().size(), 1U);
}

// Linux 6.18's own list of namespaces ends with the first full buffer.
TEST_F(SelfRemovingTest, HundredsAreAllFoundEvenWithAGapAmongThem) {
  std::vector<SelfRemoving> devices;
  for (int i = 0; i < 600; ++i) {
    auto device = create(spec(std::nullopt));
    ASSERT_TRUE(device) << device.error().message;
    devices.push_back(std::move(*device));
  }
  std::set<unsigned> found_ones;
  const auto found = [&] {
    found_ones.clear();
    const auto children = children_elsewhere(*socket_);
    EXPECT_TRUE(children) << children.error().message;
    if (!children) return found_ones.size();
    for (const auto& child : *children)
      if (child.ours) found_ones.insert(child.index);
    return found_ones.size();
  };
  EXPECT_EQ(found(), 600U);
  devices.erase(devices.begin() + 100, devices.begin() + 400);
  for (int tries = 0; tries < 500 && found() != 300; ++tries) usleep(10'000);
  EXPECT_EQ(found_ones.size(), 300U);
  for (const auto& device : devices) EXPECT_TRUE(found_ones.contains(device.index)) << device.name.str();
}

}  // namespace
}  // namespace vmt
