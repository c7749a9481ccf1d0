// SPDX-License-Identifier: LGPL-2.1-or-later
// The hook and `status` with guests whose device is pre-made, <target managed='no'>: the real programs, over the real
// kernel.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/netns/namespace.h"
#include "tests/netns/programs.h"

namespace vmt {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kHook = kBuild + "/virt-macvtap-hook ";
constexpr const char* kWebUuid = "6e0c3a0e-7a4b-4a3e-9c43-0ecd0a7f0001";
constexpr const char* kDbUuid = "6e0c3a0e-7a4b-4a3e-9c43-0ecd0a7f0002";

std::string domain(const std::string& direct, const std::string& device = "web0",
                   const std::string& mac = "52:54:00:12:34:56", const std::string& uuid = kWebUuid) {
  return "<domain type='kvm' id='1'><name>web</name><uuid>" + uuid +
         "</uuid><metadata><v:host-access xmlns:v='urn:virt-macvtap:host-access:1'><v:nic mac='" + mac + "'>" + direct +
         "<v:address>192.0.2.61</v:address><v:address>2001:db8:1::61</v:address></v:nic></v:host-access></metadata>"
         "<devices><interface type='ethernet'><mac address='" +
         mac + "'/><target dev='" + device +
         "' managed='no'/><model type='virtio'/><driver queues='2'/></interface></devices></domain>";
}
const std::string kBridge = "<v:direct dev='eth0' mode='bridge'/>";
const std::string kWeb = domain(kBridge);

class PremadeHookTest : public NamespaceTest {
 protected:
  void SetUp() override {
    NamespaceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    add_lan();
    // A stranger that looks like a guest's device but for its group.
    sh("ip link add link eth0 name other0 type macvtap mode vepa && ip link set other0 alias 'virt-macvtap: guest " +
       std::string(kWebUuid) + "'");
    before_ = network_state();
  }

  struct Result {
    int status;
    std::string out, err;
  };
  static Result call(const std::string& operation, const std::string& xml) {
    std::ofstream("/run/domain.xml", std::ios::binary) << xml;
    Result result;
    result.status = status_of(kHook + "web " + operation + " begin - </run/domain.xml >/run/out 2>/run/err");
    result.out = output_of("cat /run/out");
    result.err = output_of("cat /run/err");
    return result;
  }
  // In order, and each as it should be when nothing is wrong.
  static void live(const std::string& xml, std::initializer_list<const char*> operations) {
    for (const char* operation : operations) {
      const Result result = call(operation, xml);
      EXPECT_EQ(result.status, 0) << operation;
      EXPECT_THAT(result.out + result.err, IsEmpty()) << operation;
    }
  }
  static json link(const std::string& name) {
    const std::string text = output_of("ip -d -j link show " + name + " 2>/dev/null");
    return text.empty() ? json() : json::parse(text)[0];
  }

  std::string before_;
};

TEST_F(PremadeHookTest, PrepareMakesADeviceThatAGuestCanUseAtOnceAndReleaseLeavesNothing) {
  live(kWeb, {"prepare"});
  const json device = link("web0");
  EXPECT_EQ(device["address"], "52:54:00:12:34:56");
  EXPECT_EQ(device["link"], "eth0");
  EXPECT_EQ(device["linkinfo"]["info_kind"], "macvtap");
  EXPECT_EQ(device["linkinfo"]["info_data"]["mode"], "bridge");
  EXPECT_EQ(device["ifalias"], "virt-macvtap: guest " + std::string(kWebUuid));
  EXPECT_EQ(device["mtu"], link("eth0")["mtu"]);
  EXPECT_THAT(device["flags"], testing::Contains("UP"));
  EXPECT_THAT(device["flags"], testing::Contains("ALLMULTI"));
  EXPECT_EQ(output_of("cat /proc/sys/net/ipv6/conf/web0/disable_ipv6"), "1\n");
  // What libvirt opens, once a queue.
  EXPECT_EQ(status_of("exec 3<>/dev/tap" + device["ifindex"].dump() + " 4<>/dev/tap" + device["ifindex"].dump()), 0);
  live(kWeb, {"start", "started", "reconnect"});
  EXPECT_THAT(output_of("ip route show 192.0.2.61"), HasSubstr("dev vmt-"));
  EXPECT_THAT(output_of("ip -6 route show 2001:db8:1::61"), HasSubstr("dev vmt-"));
  live(kWeb, {"stopped"});
  EXPECT_EQ(link("web0")["ifindex"], device["ifindex"]);
  live(kWeb, {"release", "release"});
  EXPECT_EQ(network_state(), before_);
}

TEST_F(PremadeHookTest, WhenTheDeviceCannotBeMadeLibvirtIsToldWhyInOneLine) {
  sh("ip link add br0 type bridge && ip link add port0 type veth peer name port1 && ip link set port0 master br0");
  const std::string before = network_state();
  const struct {
    std::string xml;
    const char* line;
  } kRows[] = {
      {domain("<v:direct dev='eth9'/>"), "guest 'web': create web0: no link is named eth9"},
      {domain("<v:direct dev='lo'/>"), "create macvtap web0 on lo in mode bridge"},
      {domain("<v:direct dev='port0'/>"), "port0 is a port of bridge br0; use br0 as the parent"},
      {domain(kBridge, "vnet3"), "guest 'web': create vnet3: names that begin with 'vnet' are libvirt's"},
      {domain("<v:direct dev='eth0' mode='passthru'/>"), "passthru needs eth0 for itself, and it has 1 device, other0"},
      {domain(kBridge, "web0", "52:54:00:ee:00:10"), "52:54:00:ee:00:10 is the MAC of eth0 itself"},
      {domain(kBridge, "web0", "52:54:00:12:34:56", "nonsense"), "no UUID"},
  };
  for (const auto& row : kRows) {
    const Result result = call("prepare", row.xml);
    EXPECT_EQ(result.status, 1) << row.line;
    EXPECT_THAT(result.out, IsEmpty()) << row.line;
    EXPECT_THAT(result.err, HasSubstr(row.line));
    EXPECT_THAT(result.err, testing::StartsWith("virt-macvtap: "));
    const std::string last = result.err.substr(0, result.err.size() - 1);
    EXPECT_THAT(last.substr(last.rfind('\n') + 1), HasSubstr(row.line));
    for (const char* operation : {"start", "started", "reconnect", "stopped", "release"})
      EXPECT_EQ(call(operation, row.xml).status, 0) << operation << " " << row.line;
    EXPECT_EQ(network_state(), before) << row.line;
  }
}

TEST_F(PremadeHookTest, WhatIsNotOursToMakeNeverFails) {
  // Not a word about where it is to be: libvirt finds out by itself.
  live(domain(""), {"prepare", "start", "release"});
  const Result bad = call("prepare", domain("<v:direct dev='eth0' mode='magic'/>"));
  EXPECT_EQ(bad.status, 0);
  EXPECT_THAT(bad.err, HasSubstr("metadata: direct of 52:54:00:12:34:56: mode 'magic'"));
  EXPECT_EQ(network_state(), before_);
}

TEST_F(PremadeHookTest, AHeldLockFailsAPrepareThatOwesADeviceAndNoOther) {
  sh("flock /run/virt-macvtap.lock sleep 8 >/dev/null 2>&1 & sleep 0.2");
  const Result owing = call("prepare", kWeb);
  EXPECT_EQ(owing.status, 1);
  EXPECT_THAT(owing.err, HasSubstr("held by another process"));
  EXPECT_EQ(status_of("flock -n /run/virt-macvtap.lock true"), 1);
  const Result other = call("start", kWeb);
  EXPECT_EQ(other.status, 0);
}

TEST_F(PremadeHookTest, TwoGuestsWithOneDeviceNameTheSecondIsRefusedAndTheFirstUntouched) {
  live(kWeb, {"prepare", "start", "started"});
  const std::string running = network_state();
  for (const char* mac : {"52:54:00:12:34:57", "52:54:00:12:34:56"}) {
    const std::string second = domain(kBridge, "web0", mac, kDbUuid);
    const Result result = call("prepare", second);
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.err, HasSubstr("web0 belongs to another guest (virt-macvtap: guest " + std::string(kWebUuid)));
    EXPECT_EQ(std::ranges::count(result.err, '\n'), 1);
    live(second, {"stopped", "release"});
    EXPECT_EQ(network_state(), running);
  }
  live(kWeb, {"stopped", "release"});
  EXPECT_EQ(network_state(), before_);
}

TEST_F(PremadeHookTest, ADeviceOfTheUsersIsUsedAsItIs) {
  sh("ip link add link eth0 name web0 address 52:54:00:12:34:56 type macvtap mode bridge && ip link set web0 up");
  const std::string made = network_state();
  for (const std::string& xml : {domain(""), domain(kBridge)}) {
    EXPECT_EQ(call("prepare", xml).status, 0);
    live(xml, {"start", "started"});
    EXPECT_THAT(output_of("ip route show 192.0.2.61"), HasSubstr("dev vmt-"));
    live(xml, {"stopped", "release"});
    EXPECT_EQ(network_state(), made);
  }
}

TEST_F(PremadeHookTest, APassthruDeviceTakesTheParentFromAnIdleShim) {
  sh("ip link del other0");
  const std::string before = network_state();
  live(kWeb, {"prepare", "start"});
  sh("ip link del web0 && ip neigh flush nud permanent dev vmt-$(cat /sys/class/net/eth0/ifindex)");
  const std::string passthru = domain("<v:direct dev='eth0' mode='passthrough'/>");
  live(passthru, {"prepare"});
  EXPECT_EQ(link("web0")["linkinfo"]["info_data"]["mode"], "passthru");
  EXPECT_THAT(call("start", passthru).err, HasSubstr("no host access in mode passthru"));
  live(passthru, {"stopped", "release"});
  EXPECT_EQ(network_state(), before);
}

// libvirt's test driver runs guests, none of them ours.
TEST_F(PremadeHookTest, ASyncTakesAwayADeviceThatNobodyNeedsAndNoneThatIsOpen) {
  sh("printf '%s' "
     "'<node><cpu><mhz>1</mhz><model>x</model><active>1</active><nodes>1</nodes><sockets>1</sockets><cores>1</cores>"
     "<threads>1</threads></cpu><memory>1000000</memory></node>' >/run/node.xml");
  const std::string sync = kBuild + "/virt-macvtap sync --connect test:///run/node.xml";
  live(kWeb, {"prepare"});
  const std::string held = output_of("exec 3<>/dev/tap" + link("web0")["ifindex"].dump() + "; " + sync);
  EXPECT_THAT(held, HasSubstr("web0 stays: PID "));
  EXPECT_THAT(held, HasSubstr("nothing to do"));
  EXPECT_FALSE(link("web0").empty());
  EXPECT_EQ(output_of(sync), "delete web0\n");
  EXPECT_EQ(network_state(), before_);
}

TEST_F(PremadeHookTest, KilledAtAnySystemCallTheNextPrepareRepairsIt) {
  std::ofstream("/run/web.xml") << kWeb;
  for (const char* operation : {"prepare", "release"}) {
    for (const char* syscall : {"sendmsg", "openat"}) {
      bool survived = false;
      for (int n = 1; n < 60 && !survived; ++n) {
        if (std::string(operation) == "release") live(kWeb, {"prepare", "start"});
        survived = status_of("strace -qq -o /dev/null -e trace=" + std::string(syscall) + " -e inject=" + syscall +
                             ":signal=KILL:when=" + std::to_string(n) + " " + kHook + "web " + operation +
                             " begin - </run/web.xml 2>/dev/null") == 0;
        live(kWeb, {"prepare"});
        EXPECT_THAT(link("web0")["flags"], testing::Contains("UP")) << operation << " " << syscall << " " << n;
        live(kWeb, {"start"});
        EXPECT_THAT(output_of("ip route show 192.0.2.61"), HasSubstr("dev vmt-"));
        live(kWeb, {"release"});
        ASSERT_EQ(network_state(), before_) << operation << " killed at " << syscall << " " << n;
      }
      EXPECT_TRUE(survived) << operation << " " << syscall;
    }
  }
}

}  // namespace
}  // namespace vmt
