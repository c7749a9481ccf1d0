// SPDX-License-Identifier: LGPL-2.1-or-later
// The watcher on the real kernel, when there is too much of something: guests, parents, news; or too little.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <random>
#include <sstream>

#include "tests/netns/watch_trouble_fixture.h"

namespace vmt {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::IsEmpty;
using Clock = std::chrono::steady_clock;

constexpr const char* kWeb = kMac;
constexpr const char* kDb = "52:54:00:12:34:62";

TEST_F(WatchTroubleTest, GuestsOnTwoParentsClaimTheSameAddress) {
  sh("ip netns add peer1 && ip link add eth1 address 52:54:00:ee:01:10 type veth peer name eth0 netns peer1 && ip addr "
     "add 192.0.2.11/24 dev eth1 && ip link set eth1 up && ip -n peer1 link set eth0 up");
  add_tap_guest("web", kWeb);
  add_tap_guest("db", kDb, "eth1");
  start();
  sh("ip -n web addr add 192.0.2.61/24 dev g0; ip -n db addr add 192.0.2.61/24 dev g0");
  ASSERT_TRUE(learning_time("web", kWeb, "192.0.2.61"));
  EXPECT_TRUE(never([] {
    announce("db", kDb, "192.0.2.61");
    return output_of("ip neigh show 192.0.2.61 nud permanent").find(kWeb) == std::string::npos;
  }));
  EXPECT_THAT(log(), testing::AllOf(HasSubstr(kWeb), HasSubstr(kDb)));
  EXPECT_EQ(std::ranges::count(log(), '\n'), 1);
  EXPECT_TRUE(reaches("", "192.0.2.61"));
  remove_tap_guest("web");
  ASSERT_TRUE(eventually([] { return !has_route("192.0.2.61"); }));
  announce("db", kDb, "192.0.2.61");
  EXPECT_FALSE(never([] { return has_route("192.0.2.61"); })) << "within a second";
  EXPECT_THAT(output_of("ip neigh show 192.0.2.61 nud permanent"), HasSubstr(kDb));
  EXPECT_TRUE(reaches("", "192.0.2.61"));
}

TEST_F(WatchTroubleTest, SixtyFourParents) {
  {
    std::ofstream batch("/run/batch");
    for (int i = 0; i < 64; ++i)
      batch << fmt::format(
          "link add v{0} type veth peer name w{0}\nlink set v{0} up\nlink set w{0} up\naddr add 10.0.{0}.1/24 dev "
          "v{0}\n",
          i);
  }
  sh("ip -batch /run/batch");
  start();
  const auto begin = Clock::now();
  add_many(64, [](unsigned i) { return fmt::format("v{}", i); });
  EXPECT_TRUE(eventually([] { return std::ranges::count(shims(), '\n') == 64; })) << shims();
  const auto ready = Clock::now();
  EXPECT_TRUE(eventually([] { return listens_on() == 64; })) << listens_on();
  announce_all(64, [](unsigned i) { return fmt::format("10.0.{}.61", i); });
  EXPECT_TRUE(eventually([] { return routes() == 64; })) << routes();
  print(fmt::format("64 parents: shims after {} ms, their guests after {} more, {:.1f} MiB",
                    std::chrono::duration_cast<milliseconds>(ready - begin).count(),
                    std::chrono::duration_cast<milliseconds>(Clock::now() - ready).count(), resident_mib()));
  EXPECT_THAT(log(), IsEmpty());
  sh("ip netns del many");
  EXPECT_TRUE(eventually([] { return routes() == 0; }));
}

TEST_F(WatchTroubleTest, FiveHundredGuestsAtOnce) {
  sh("ip addr add 10.1.0.1/16 dev eth0");
  start();
  add_many(500, [](unsigned) { return "eth0"; });
  ASSERT_TRUE(eventually([] { return !shims().empty(); }));
  const auto begin = Clock::now();
  // Each broadcast goes to all 500, which is more at a time than the kernel's backlog takes; guests repeat what they
  // say.
  const auto all_learned = [&] {
    announce_all(500, [](unsigned i) { return fmt::format("10.1.{}.{}", 1 + i / 250, 1 + i % 250); });
    return !never([] { return routes() == 500; });
  };
  EXPECT_TRUE(eventually(all_learned)) << routes();
  print(fmt::format("500 guests: announced and learned in {} ms, {:.2f} s CPU, {:.1f} MiB",
                    std::chrono::duration_cast<milliseconds>(Clock::now() - begin).count(), used(), resident_mib()));
  EXPECT_LT(resident_mib(), 12);
  EXPECT_THAT(log(), IsEmpty());
  const auto end = Clock::now();
  sh("ip netns del many");
  EXPECT_TRUE(eventually([] { return routes() == 0; }));
  print(fmt::format("gone {} ms after the command",
                    std::chrono::duration_cast<milliseconds>(Clock::now() - end).count()));
}

// ---- lost and gone --------------------------------------------------------------------------------------------------

// The wall clock is nobody's business here (scripts/check-layers). The steady one is near zero when the machine has
// just started, which must not be "a moment ago" to what has never happened.
TEST_F(WatchTroubleTest, AMachineThatHasJustStartedIsLikeAnyOther) {
  add_tap_guest("web", "52:54:00:12:34:61");
  start({}, "unshare --time --monotonic -$(($(cut -d . -f 1 /proc/uptime) - 1))");
  EXPECT_NE(output_of(fmt::format("readlink /proc/{}/ns/time", watcher())), output_of("readlink /proc/self/ns/time"));
  sh("ip -n web addr add 192.0.2.61/24 dev g0");
  announce("web", "52:54:00:12:34:61", "192.0.2.61");
  EXPECT_TRUE(eventually([] { return has_route("192.0.2.61"); }));
  sh("ip route flush proto 118");
  EXPECT_TRUE(eventually([] { return reaches("", "192.0.2.61"); }));
  remove_tap_guest("web");
  EXPECT_TRUE(eventually([] { return !has_route("192.0.2.61"); }));
  EXPECT_TRUE(eventually([] { return shims().empty(); }));
}

TEST_F(WatchTroubleTest, NewsThatAreLostAreNoLoss) {
  add_tap_guest("web", kWeb);
  start();
  ASSERT_TRUE(learning_time("web", kWeb, "192.0.2.61"));
  kill(watcher(), SIGSTOP);
  {
    std::ofstream batch("/run/batch");
    for (int i = 0; i < 40'000; ++i) batch << "link set lo mtu " << 60'000 + i % 2 << '\n';
  }
  sh("ip -batch /run/batch");
  EXPECT_NE(
      output_of(fmt::format("awk '$3 == {} && $9 > 0' /proc/net/netlink; awk '$9 > 0' /proc/net/netlink", watcher())),
      "")
      << output_of("cat /proc/net/netlink");
  sh("ip route flush proto 118");
  add_tap_guest("db", kDb);
  kill(watcher(), SIGCONT);
  EXPECT_TRUE(eventually([] { return has_route("192.0.2.61"); }));
  EXPECT_TRUE(learning_time("db", kDb, "192.0.2.62"));
  remove_tap_guest("web");
  EXPECT_TRUE(eventually([] { return !has_route("192.0.2.61"); }));
  EXPECT_THAT(log(), IsEmpty());
}

// Nothing that matters to it happens when the name becomes free.
TEST_F(WatchTroubleTest, WhatCouldNotBeDoneIsTriedAgain) {
  const std::string name = "vmt-" + output_of("tr -d '\\n' </sys/class/net/eth0/ifindex");
  sh("ip link add " + name + " type bridge");
  start();
  add_tap_guest("web", kWeb);
  ASSERT_TRUE(eventually([] { return log().find("create shim") != std::string::npos; }));
  EXPECT_TRUE(never([] { return !shims().empty(); }));
  sh("ip link del " + name);
  EXPECT_TRUE(eventually([] { return !shims().empty(); }));
  EXPECT_TRUE(learning_time("web", kWeb, "192.0.2.61"));
}

TEST_F(WatchTroubleTest, NamespacesVanishAtAnyTime) {
  start();
  for (int i = 0; i < 40; ++i) {
    // Of its own, as the last one's may still be dying.
    const std::string mac = fmt::format("52:54:00:12:35:{:02x}", i);
    add_tap_guest("web", mac);
    if (i % 4 == 1) usleep(static_cast<unsigned>(i) * 200);
    if (i % 4 == 2) announce("web", mac, "192.0.2.61");
    sh(i % 2 == 0 ? "ip netns del web" : "ip -n web link del g0; ip netns del web");
  }
  EXPECT_TRUE(eventually([] { return !has_route("192.0.2.61"); }));
  add_tap_guest("web", kWeb);
  EXPECT_TRUE(eventually([] { return !shims().empty(); }));
  EXPECT_TRUE(learning_time("web", kWeb, "192.0.2.61"));
  EXPECT_THAT(log(), IsEmpty());
}

TEST_F(WatchTroubleTest, ParentsGoWhileFramesCome) {
  start();
  for (int i = 0; i < 15; ++i) {
    add_tap_guest("web", kWeb);
    ASSERT_TRUE(eventually([] { return !shims().empty(); }));
    Flood flood("web", "g0", {claims(kWeb, "192.0.2.61")[0], claims(kDb, "192.0.2.62")[0]}, 1'000);
    usleep(20'000 + 3'000 * static_cast<unsigned>(i));
    sh("ip link del eth0; ip netns del peer");
    flood.stop();
    sh("ip netns del web");
    add_lan();
  }
  add_tap_guest("db", kDb);
  ASSERT_TRUE(eventually([] { return !shims().empty(); }));
  EXPECT_TRUE(learning_time("db", kDb, "192.0.2.62"));
}

TEST_F(WatchTroubleTest, WhoeverDeletesAShimDoesNotMakeItDeaf) {
  add_tap_guest("web", kWeb);
  start();
  ASSERT_TRUE(learning_time("web", kWeb, "192.0.2.61"));
  sh("ip link del $(ip -o link show group 1986884609 | grep -o 'vmt-[0-9]*')");
  ASSERT_TRUE(eventually([] { return has_route("192.0.2.61"); }));
  EXPECT_TRUE(learning_time("web", kWeb, "192.0.2.71"));
  EXPECT_THAT(log(), IsEmpty());
}

// ---- little ---------------------------------------------------------------------------------------------------------

TEST_F(WatchTroubleTest, ThreeCapabilitiesAreEnough) {
  start({}, "setpriv --bounding-set=-all,+net_admin,+net_raw,+net_broadcast --inh-caps=-all --no-new-privs");
  EXPECT_THAT(status("CapEff"), HasSubstr("0000000000003800"));
  add_tap_guest("web", kWeb);
  EXPECT_TRUE(eventually([] { return !shims().empty(); }));
  sh("ip -n web addr add 192.0.2.61/24 dev g0 && ip -n web addr add 2001:db8:1::61/64 dev g0 nodad");
  EXPECT_TRUE(eventually([] { return reaches("web", "192.0.2.10") && reaches("web", "2001:db8:1::10"); }));
  EXPECT_EQ(output_of("cat /proc/sys/net/ipv4/conf/vmt-*/forwarding /proc/sys/net/ipv6/conf/vmt-*/proxy_ndp"),
            "0\n1\n");
  remove_tap_guest("web");
  EXPECT_TRUE(eventually([] { return shims().empty(); }));
  EXPECT_THAT(log(), IsEmpty());
}

TEST_F(WatchTroubleTest, NothingHappensAndNothingWakesIt) {
  start();
  add_many(10, [](unsigned) { return "eth0"; });
  // Before there is a shim nobody hears them.
  const auto all_learned = [&] {
    announce_all(10, [](unsigned i) { return fmt::format("192.0.2.{}", 100 + i); });
    return !never([] { return routes() == 10; });
  };
  ASSERT_TRUE(eventually(all_learned));
  // The host's and the peer's own neighbour checks end some time, which takes longer on a busy machine.
  bool silent = false;
  for (int tries = 0; tries < 15 && !silent; ++tries) {
    const auto before = wake_ups();
    usleep(3'000'000);
    silent = wake_ups() == before;
  }
  EXPECT_TRUE(silent);
}

}  // namespace
}  // namespace vmt
