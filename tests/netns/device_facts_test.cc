// SPDX-License-Identifier: LGPL-2.1-or-later
// What the code believes about the kernel's macvtaps, their nodes and their namespaces, proven on the kernel that runs
// here; and that a device of ours is made accordingly.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <nlohmann/json.hpp>

#include "lib/rtnl_device.h"
#include "lib/rtnl_kernel.h"
#include "lib/tap_node.h"
#include "tests/netns/namespace.h"
#include "tests/netns/programs.h"

namespace vmt {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kCli = kBuild + "/virt-macvtap ";

class DeviceFactsTest : public NamespaceTest {
 protected:
  void SetUp() override {
    NamespaceTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) add_lan();
  }
  static void run_cli(const std::string& words) { sh(kCli + words + " >/dev/null"); }
  static int arp_answers() {
    return std::stoi(output_of("ip netns exec peer arping -c 1 -W 0.3 -w 1 -i eth0 192.0.2.10 | grep -c 'bytes from'"));
  }
  // Frames to a group that nobody has joined here, one of which is sent: what duplicate address detection for a guest
  // looks like. Broadcasts and multicasts pass through one queue, so a broadcast tells when the other has been through.
  static long frames_got_by(const std::string& device) {
    const std::string count = "cat /sys/class/net/" + device + "/statistics/rx_packets";
    const long before = std::stol(output_of(count));
    status_of("ip netns exec peer ping -6 -q -c 1 -W 1 ff02::1:ff12:3456%eth0 >/dev/null 2>&1");
    sh("ip netns exec peer arping -q -c 1 -w 1 -i eth0 192.0.2.10 >/dev/null 2>&1 || true");
    long got = 0;
    for (int tries = 0; tries < 300 && got == 0; ++tries) {
      usleep(10'000);
      got = std::stol(output_of(count)) - before;
    }
    usleep(100'000);
    return std::stol(output_of(count)) - before - 1;
  }
  static std::string interface_of(const Fd& tap) {
    ifreq request{};
    return ioctl(tap.get(), TUNGETIFF, &request) < 0 ? "" : request.ifr_name;
  }
  static std::string numbers() { return output_of("ip netns list-id | sort"); }
};

TEST_F(DeviceFactsTest, ATapsNodeIsOneForAllNamespaces) {
  const unsigned index = unique_index();
  const std::string common = " index " + std::to_string(index) + " type macvtap mode bridge";
  sh("ip -n peer link add link eth0 name theirs" + common + " && ip link add link eth0 name mine" + common);
  struct stat node {};
  ASSERT_EQ(stat(tap_path(index).c_str(), &node), 0);
  const IfName mine = *IfName::parse("mine");
  const auto number = tap_number(mine, index);
  ASSERT_TRUE(number) << number.error().message;
  EXPECT_EQ(output_of("cat /sys/class/net/mine/tap" + std::to_string(index) + "/dev"),
            std::to_string(major(*number)) + ":" + std::to_string(minor(*number)) + "\n");
  EXPECT_NE(node.st_rdev, *number);
  // So it is refused, and what is opened is a node of our own.
  const auto refused = prepare_tap_node(mine, index, NodeOwner{.user = 65534}, true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kExists);
  ASSERT_EQ(stat(tap_path(index).c_str(), &node), 0);
  EXPECT_EQ(node.st_uid, 0U);
  const auto queues = open_queues(mine, index, {});
  ASSERT_TRUE(queues) << queues.error().message;
  EXPECT_EQ(interface_of(queues->front()), "mine");
}

TEST_F(DeviceFactsTest, ADeviceWhoseNodeIsAnothersIsNotMadeAndTheNodeNotGivenAway) {
  const unsigned index = unique_index();
  sh("ip -n peer link add link eth0 name theirs index " + std::to_string(index) + " type macvtap mode bridge");
  auto socket = *RtnlSocket::open();
  const DeviceSpec spec{.name = *IfName::parse("mine"),
                        .index = index,
                        .parent = if_nametoindex("eth0"),
                        .parent_name = *IfName::parse("eth0"),
                        .allowed = {},
                        .owner = NodeOwner{.user = 65534}};
  const auto status = create_standing(socket, spec, Standing{});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kExists) << status.error().message;
  EXPECT_EQ(if_nametoindex("mine"), 0U);
  struct stat node {};
  ASSERT_EQ(stat(tap_path(index).c_str(), &node), 0);
  EXPECT_EQ(node.st_uid, 0U);
}

TEST_F(DeviceFactsTest, ADeviceOfOursHasAnIfindexThatNoNamespaceCountsUpTo) {
  sh(kCli + "create tap-web --parent eth0 >/dev/null");
  const unsigned index = if_nametoindex("tap-web");
  EXPECT_GE(index, 0x20000000U);
  struct stat node {};
  ASSERT_EQ(stat(tap_path(index).c_str(), &node), 0);
  EXPECT_EQ(node.st_rdev, *tap_number(*IfName::parse("tap-web"), index));
}

TEST_F(DeviceFactsTest, AGroupThatNobodyHereJoinedNeedsAllmulticast) {
  sh("ip link add link eth0 name plain type macvtap mode bridge && echo 1 >/proc/sys/net/ipv6/conf/plain/disable_ipv6 "
     "&& ip link set plain up");
  // The peer may say something more by itself, but not each time.
  EXPECT_EQ(std::min({frames_got_by("plain"), frames_got_by("plain"), frames_got_by("plain")}), 0);
  sh("ip link set plain allmulticast on");
  EXPECT_GE(frames_got_by("plain"), 1);  // the peer may say more by itself
  sh(kCli + "create tap-web --parent eth0 >/dev/null");
  EXPECT_GE(frames_got_by("tap-web"), 1);
}

TEST_F(DeviceFactsTest, AllmulticastOfAPassthruDeviceThatIsUpStaysWithTheParentForGood) {
  const auto parents_share = [] { return nlohmann::json::parse(output_of("ip -j -d link show eth0"))[0]["allmulti"]; };
  run_cli("create whole --parent eth0 --mode passthru");
  EXPECT_THAT(output_of("ip link show whole"), HasSubstr("ALLMULTI"));
  EXPECT_GE(frames_got_by("whole"), 1);
  run_cli("delete whole");
  EXPECT_EQ(parents_share(), 0);
  sh("ip link add link eth0 name plain type macvtap mode passthru && ip link set plain up && ip link set plain "
     "allmulticast on && ip link del plain");
  EXPECT_EQ(parents_share(), 1);
}

TEST_F(DeviceFactsTest, WithoutAQueueTheHostAnswersOnAMacvtapUnlessItIsSilenced) {
  EXPECT_EQ(arp_answers(), 1);
  sh(kCli + "create tap-web --parent eth0 >/dev/null");
  EXPECT_EQ(arp_answers(), 1);
  sh("ip link add link eth0 name plain type macvtap mode bridge && ip link set plain up");
  EXPECT_EQ(arp_answers(), 2);
}

TEST_F(DeviceFactsTest, AMacvtapHasAnIpv6AddressOfTheHostsUnlessItIsSwitchedOff) {
  sh(kCli + "create tap-web --parent eth0 >/dev/null");
  sh("ip link add link eth0 name plain type macvtap mode bridge && ip link set plain up");
  EXPECT_THAT(output_of("ip -6 addr show dev plain"), HasSubstr("fe80::"));
  EXPECT_EQ(output_of("ip -6 addr show dev tap-web"), "");
  EXPECT_EQ(output_of("cat /proc/sys/net/ipv6/conf/tap-web/disable_ipv6"), "1\n");
}

TEST_F(DeviceFactsTest, AParentElsewhereHasNoNumberWhenItIsInTheDevicesOwnNamespace) {
  // A container whose own parent has the same ifindex as ours.
  const std::string index = std::to_string(if_nametoindex("eth0"));
  sh("ip netns add box && ip -n box link add d0 index " + index + " type veth peer name d1 index 4711");
  sh("ip -n box link add link d0 name theirs type macvtap mode bridge && ip netns set box 40");
  const std::string before = numbers();
  auto socket = RtnlSocket::open();
  ASSERT_TRUE(socket);
  const auto links = read_links(*socket, "macvtap", 40);
  ASSERT_TRUE(links) << links.error().message;
  ASSERT_EQ(links->size(), 1U);
  EXPECT_EQ(std::to_string((*links)[0].lower), index);
  EXPECT_FALSE((*links)[0].lower_nsid);
  const auto children = children_elsewhere(*socket);
  ASSERT_TRUE(children);
  ASSERT_EQ(children->size(), 1U);
  EXPECT_EQ((*children)[0].name.str(), "theirs");
  EXPECT_EQ((*children)[0].parent, 0U);
  EXPECT_EQ((*children)[0].nsid, 40);
  EXPECT_EQ(numbers(), before);
}

TEST_F(DeviceFactsTest, AParentOfOursHasOurOwnNumberAndAskingForItGivesUsOne) {
  sh("ip netns add box && ip netns set box 40");
  sh("ip link add link eth0 name moved type macvlan mode bridge && ip link set moved netns box");
  const auto before = nlohmann::json::parse(output_of("ip -j netns list-id"));
  auto socket = RtnlSocket::open();
  ASSERT_TRUE(socket);
  for (int times = 1; times <= 2; ++times) {
    const auto children = children_elsewhere(*socket);
    ASSERT_TRUE(children);
    ASSERT_EQ(children->size(), 1U) << times;  // our own namespace, which has a number now, is not elsewhere
    EXPECT_EQ((*children)[0].name.str(), "moved");
    EXPECT_EQ((*children)[0].parent, if_nametoindex("eth0"));
  }
  const auto after = nlohmann::json::parse(output_of("ip -j netns list-id"));
  EXPECT_EQ(after.size(), before.size() + 1);
  const auto links = read_links(*socket, "macvlan", 40);
  ASSERT_EQ(links->size(), 1U);
  ASSERT_TRUE((*links)[0].lower_nsid);
  // The one that is new is ours: what it has is what we have.
  sh("ip link add link eth0 name here type macvlan mode bridge");
  const auto ours = read_links(*socket, "macvlan", *(*links)[0].lower_nsid);
  ASSERT_TRUE(ours) << ours.error().message;
  ASSERT_EQ(ours->size(), 1U);
  EXPECT_EQ((*ours)[0].name.str(), "here");
}

TEST_F(DeviceFactsTest, AParentInAThirdNamespaceIsNotTakenForOneOfOurs) {
  sh("ip netns add box && ip netns add third && ip netns set box 40");
  sh("ip -n third link add d0 index " + std::to_string(if_nametoindex("eth0")) + " type veth peer name d1 index 4711");
  sh("ip -n third link add link d0 name guest type macvlan mode bridge && ip -n third link set guest netns box");
  auto socket = RtnlSocket::open();
  ASSERT_TRUE(socket);
  const auto children = children_elsewhere(*socket);
  ASSERT_TRUE(children);
  ASSERT_EQ(children->size(), 1U);
  EXPECT_EQ((*children)[0].name.str(), "guest");
  EXPECT_EQ((*children)[0].parent, 0U);
}

}  // namespace
}  // namespace vmt
