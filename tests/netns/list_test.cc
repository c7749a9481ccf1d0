// SPDX-License-Identifier: LGPL-2.1-or-later
// `list`, held against what `ip -d -j link` prints and what /proc has.
#include <fcntl.h>
#include <unistd.h>

#include <fstream>

#include "lib/device.h"
#include "lib/fd.h"
#include "tests/netns/device_cli.h"
#include "tests/netns/programs.h"

namespace vmt {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST_F(DeviceCliTest, ListAgreesWithIpAboutEverybodysDevices) {
  EXPECT_EQ(output_of(kCli + "list 2>/dev/null"), "no macvtap and no macvlan\n");
  run("create tap-web --parent eth0 --mtu 1400");
  run("create lan --parent eth0 --type macvlan --mode private --down");
  run("host up eth0 --guest 192.0.2.70=52:54:00:12:34:70");
  run("create some --parent eth0 --mode source --allow-mac 52:54:00:00:00:01 --allow-mac 52:54:00:00:00:02");
  sh("ip link add link eth0 name theirs type macvtap mode vepa bcqueuelen 77");
  sh("ip link add d0 type veth peer name d1 && ip link add link d0 name whole type macvtap mode passthru nopromisc");
  const json taps = ip("link show type macvtap");
  const json vlans = ip("link show type macvlan");
  const json listed = list();
  ASSERT_EQ(listed.size(), taps.size() + vlans.size());
  for (const json* shown : {&taps, &vlans})
    for (const json& one : *shown) {
      const auto found = std::ranges::find_if(listed, [&](const json& d) { return d["name"] == one["ifname"]; });
      ASSERT_NE(found, listed.end()) << one["ifname"];
      const json& ours = *found;
      EXPECT_EQ(ours["ifindex"], one["ifindex"]);
      EXPECT_EQ(ours["kind"], one["linkinfo"]["info_kind"]);
      EXPECT_EQ(ours["parent"], one["link"]);
      const json& data = one["linkinfo"]["info_data"];
      EXPECT_EQ(ours["mode"], data["mode"]);
      EXPECT_EQ(ours["mac"], one["address"]);
      EXPECT_EQ(ours["mtu"], one["mtu"]);
      EXPECT_EQ(ours["state"] == "up", has_flag(one, "UP"));
      EXPECT_EQ(ours["allmulticast"], has_flag(one, "ALLMULTI"));
      EXPECT_EQ(ours["nopromisc"], data.value("nopromisc", false));
      EXPECT_EQ(ours["bcqueuelen"], data["bcqueuelen"]);
      EXPECT_EQ(ours["macaddr_data"], data.value("macaddr_data", json::array()));
      EXPECT_EQ(ours["nsid"], nullptr);
      EXPECT_EQ(ours["queues"], 0);
      EXPECT_THAT(ours["holders"], IsEmpty());
      const json use = (one["ifname"] == "theirs" || one["ifname"] == "whole") ? json(nullptr)
                       : one["ifalias"] == "virt-macvtap: standing"            ? json("standing")
                                                                               : json("host access");
      EXPECT_EQ(ours["use"], use);
      EXPECT_EQ(ours["ours"], use != nullptr);
    }
}

// Looking into all namespaces that have a number must not show ours twice.
TEST_F(DeviceCliTest, ListShowsADeviceOnceWhereOurOwnNamespaceHasANumber) {
  run("create tap-web --parent eth0");
  sh("mkdir -p /run/netns && touch /run/netns/own && mount --bind /proc/self/ns/net /run/netns/own && "
     "ip netns set own 77");
  ASSERT_EQ(list().size(), 1U);
  EXPECT_EQ(list()[0]["nsid"], nullptr);
}

TEST_F(DeviceCliTest, ListShowsOneParentsDevicesAndWhoHoldsThem) {
  sh("ip link add d0 type veth peer name d1");
  run("create tap-web --parent eth0");
  // Its node is one for all namespaces, those of other tests included.
  sh("ip link add link d0 name theirs index " + std::to_string(unique_index()) + " type macvtap mode bridge");
  ASSERT_EQ(list("eth0").size(), 1U);
  EXPECT_EQ(list("eth0")[0]["name"], "tap-web");
  EXPECT_EQ(list("d0")[0]["name"], "theirs");
  EXPECT_THAT(list("d1"), IsEmpty());
  EXPECT_THAT(refusal("list nosuch0"), HasSubstr("nosuch0"));
  const Fd first = open_tap("theirs");
  const Fd second = open_tap("theirs");
  ASSERT_TRUE(first && second);
  const json held = list("d0")[0];
  EXPECT_EQ(held["queues"], 2);
  ASSERT_EQ(held["holders"].size(), 1U);
  EXPECT_EQ(held["holders"][0]["pid"], getpid());
  EXPECT_EQ(held["holders"][0]["fds"], 2);
  EXPECT_THAT(list("eth0")[0]["holders"], IsEmpty());
}

TEST_F(DeviceCliTest, ListKnowsAGuestsDevicesByMacAndByName) {
  std::ofstream("/run/node.xml")
      << "<node><domain type='test'><name>web</name><uuid>11111111-2222-3333-4444-555555555555</uuid><memory>1024"
         "</memory><os><type arch='i686'>hvm</type></os><devices><interface type='direct'><mac address='"
         "52:54:00:12:34:56'/><source dev='eth0' mode='bridge'/></interface><interface type='ethernet'><mac address='"
         "52:54:00:12:34:57'/><target dev='tap-web' managed='no'/></interface></devices></domain><cpu><mhz>1</mhz>"
         "<model>x</model><active>1</active><nodes>1</nodes><sockets>1</sockets><cores>1</cores><threads>1</threads>"
         "</cpu><memory>1000000</memory></node>";
  run("create tap-web other --parent eth0");
  sh("ip link add link eth0 name theirs address 52:54:00:12:34:56 type macvtap mode bridge");
  const json listed = list("--connect test:///run/node.xml");
  ASSERT_EQ(listed.size(), 3U);
  EXPECT_EQ(listed[0]["name"], "other");
  EXPECT_EQ(listed[0]["domain"], nullptr);
  for (const int which : {1, 2}) {
    EXPECT_EQ(listed[which]["domain"]["name"], "web");
    EXPECT_EQ(listed[which]["domain"]["uuid"], "11111111-2222-3333-4444-555555555555");
  }
  EXPECT_THAT(output_of(kCli + "list --connect test:///run/node.xml"), HasSubstr("standing, guest 'web'"));
}

// A tap is called after its ifindex, which devices in other namespaces may have, too.
TEST_F(DeviceCliTest, ATapOfOursIsNotTakenForThatOfAForeignContainersDevice) {
  run("create tap-web --parent eth0");
  const Fd tap = open_tap("tap-web");
  ASSERT_TRUE(tap);
  sh("ip netns add box && ip netns set box 40 && ip -n box link add d0 type veth peer name d1 && ip -n box link add "
     "link d0 name theirs index " +
     std::to_string(link("tap-web")["ifindex"].get<unsigned>()) + " type macvtap mode bridge");
  const json all = list();
  ASSERT_EQ(all.size(), 2U);
  for (const json& device : all) {
    const bool ours = device["name"] == "tap-web";
    EXPECT_EQ(device["holders"].size(), ours ? 1U : 0U) << device;
    EXPECT_EQ(device["queues"], ours ? 1 : 0) << device;
  }
}

TEST_F(DeviceCliTest, ListSaysWhoseADeviceIs) {
  sh(kBuild + "/virt-macvtap-hook placed prepare begin - <" VMT_TEST_DATA "/domain/placed/prepare.xml");
  const json guests = list();
  ASSERT_EQ(guests.size(), 1U);
  EXPECT_EQ(guests[0]["use"], "guest");
  EXPECT_EQ(guests[0]["guest"], "7c0c2d5e-0d4c-4b7e-8f57-525400123458");
  EXPECT_EQ(guests[0]["user"], nullptr);
  // In a namespace of its own, and held.
  const json users = json::parse(output_of("{ " + kCli + "exec --nic parent=eth0 -- sh -c '" + kCli +
                                           "list --json' sh {0.fd} 2>/dev/null; }"))["devices"];
  ASSERT_EQ(users.size(), 2U);
  for (const json& device : users)
    if (device["name"] != "guest6") {
      EXPECT_EQ(device["use"], "user");
      EXPECT_EQ(device["user"], "root");
      EXPECT_EQ(device["guest"], nullptr);
      EXPECT_TRUE(device["nsid"].is_number());
    }
  const Fd tap = open_tap("guest6");
  ASSERT_TRUE(tap);
  std::string comm = output_of("cat /proc/" + std::to_string(getpid()) + "/comm");
  comm.pop_back();
  EXPECT_EQ(list()[0]["holders"][0]["command"], comm);
}

// A name counts in our own namespace only.
TEST_F(DeviceCliTest, ADeviceElsewhereWithTheNameOfAGuestsIsNotTheGuests) {
  std::ofstream("/run/node.xml")
      << "<node><domain type='test'><name>web</name><uuid>11111111-2222-3333-4444-555555555555</uuid><memory>1024"
         "</memory><os><type arch='i686'>hvm</type></os><devices><interface type='ethernet'><mac address='"
         "52:54:00:12:34:57'/><target dev='tap-web' managed='no'/></interface></devices></domain><cpu><mhz>1</mhz>"
         "<model>x</model><active>1</active><nodes>1</nodes><sockets>1</sockets><cores>1</cores><threads>1</threads>"
         "</cpu><memory>1000000</memory></node>";
  run("create tap-web --parent eth0");
  sh("ip netns add box && ip netns set box 40 && ip -n box link add d0 type veth peer name d1 && ip -n box link add "
     "link d0 name tap-web type macvtap mode bridge");
  const json all = list("--connect test:///run/node.xml");
  ASSERT_EQ(all.size(), 2U);
  for (const json& device : all) EXPECT_EQ(device["domain"].is_null(), device["nsid"] == 40) << device;
}

TEST_F(DeviceCliTest, ListOpensNoTapAndReadsProcOnce) {
  run("create $(seq -f t%g 10) --parent eth0");
  const Fd tap = open_tap("t3");
  ASSERT_TRUE(tap);
  sh("strace -o /run/trace -e trace=open,openat " + kCli + "list >/dev/null 2>&1");
  EXPECT_EQ(output_of("grep -c '\"/proc\"' /run/trace"), "1\n");
  EXPECT_THAT(output_of("cat /run/trace"), Not(HasSubstr("/dev/tap")));
}

// The kernel may have no memory for any of the questions. Then it is said, and nothing is taken for not being there.
TEST_F(DeviceCliTest, AQuestionThatCannotBeAskedNowHasNoAnswerAtAny) {
  sh("mkdir -p /run/netns && touch /run/netns/own && mount --bind /proc/self/ns/net /run/netns/own && "
     "ip netns set own 77");
  add_guest("web", "52:54:00:12:34:61", "192.0.2.61", "2001:db8:1::61");
  sh("ip netns set web 40 && ip link add d0 type veth peer name d1 && ip addr add 192.0.2.99/32 dev d0 && ip link set "
     "d0 up");
  run("create tap-web --parent eth0");
  run("host up eth0 --guest 192.0.2.61=52:54:00:12:34:61");
  const auto outcome_of = [](const std::string& command) {
    const int status = status_of(command + " >/run/out 2>/run/err");
    return std::pair(status, status == 0 ? output_of("cat /run/out") : "");
  };
  for (const std::string words : {"list --json", "status --json", "addresses --json", "host up eth0 --guest 192.0.2.99",
                                  "host up eth0 --guest 192.0.2.61 --dry-run"}) {
    const auto undisturbed = outcome_of(kCli + words);
    int asked = 0;
    for (bool injected = true; injected; ++asked) {
      const auto disturbed =
          outcome_of("strace -qq -o /run/trace -e trace=sendmsg -e inject=sendmsg:error=ENOBUFS:when=" +
                     std::to_string(asked + 1) + " " + kCli + words);
      injected = status_of("grep -q INJECTED /run/trace") == 0;
      if (disturbed.first == 0) {
        EXPECT_EQ(disturbed, undisturbed) << words << ", question " << asked + 1;
      }
    }
    EXPECT_GT(asked, 5) << words;
  }
}

TEST_F(DeviceCliTest, AForeignContainersDeviceIsShownAndNotAsOneOnOurParent) {
  const std::string index = std::to_string(link("eth0")["ifindex"].get<int>());
  sh("ip netns add box && ip netns set box 40 && ip -n box link add d0 index " + index +
     " type veth peer name d1 index 4711");
  sh("ip -n box link add link d0 name theirs type macvtap mode bridge");
  EXPECT_THAT(list("eth0"), IsEmpty());
  const json all = list();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0]["name"], "theirs");
  EXPECT_EQ(all[0]["nsid"], 40);
  EXPECT_EQ(all[0]["parent"], nullptr);
  EXPECT_EQ(all[0]["ours"], false);
}

}  // namespace
}  // namespace vmt
