// SPDX-License-Identifier: LGPL-2.1-or-later
// The watcher on the real kernel: shims follow guests, guests are learned, and what others change is repaired.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "lib/lock.h"
#include "tests/netns/programs.h"
#include "tests/netns/watch_fixture.h"

namespace vmt {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kWeb = "52:54:00:12:34:61";
constexpr const char* kDb = "52:54:00:12:34:62";

TEST_F(WatchTest, AShimFollowsTheGuestsOfAParent) {
  const std::string before = network_state();
  start();
  EXPECT_THAT(shims(), IsEmpty());
  sh("ip link add link eth0 name tap1 index 536870999 address 52:54:00:12:34:61 type macvtap mode bridge");
  EXPECT_TRUE(eventually([] { return !shims().empty(); }));
  sh("ip link del tap1");
  EXPECT_TRUE(never([] { return shims().empty(); })) << "it waits for the guest to come back";
  EXPECT_TRUE(eventually([] { return shims().empty(); }));
  EXPECT_EQ(network_state(), before);
}

// Nobody else would take it away before the next guest.
TEST_F(WatchTest, AShimThatWaitsForAGuestGoesWithTheWatcher) {
  const std::string before = network_state();
  start();
  sh("ip link add link eth0 name tap1 index 536870999 address 52:54:00:12:34:61 type macvtap mode bridge");
  ASSERT_TRUE(eventually([] { return !shims().empty(); }));
  stop();
  EXPECT_FALSE(shims().empty()) << "its guest is there";
  start();
  sh("ip link del tap1");
  stop();
  EXPECT_EQ(network_state(), before);
}

TEST_F(WatchTest, OtherModesAndMacvlansGetNoShim) {
  start();
  sh("ip link add link eth0 name tap1 type macvtap mode vepa && ip link set tap1 up && ip link add link eth0 name tap2 "
     "type macvtap mode "
     "private && ip link add link eth0 name lan3 type macvlan mode bridge");
  EXPECT_TRUE(never([] { return !shims().empty(); }));
  sh("ip link set tap1 type macvtap mode bridge");
  EXPECT_TRUE(eventually([] { return !shims().empty(); }));
}

TEST_F(WatchTest, AGuestThatAsksForTheHostFirstIsAnsweredAtOnce) {
  add_tap_guest("web", kWeb);
  start();
  sh("ip -n web addr add 192.0.2.61/24 dev g0 && ip -n web addr add 2001:db8:1::61/64 dev g0 nodad");
  EXPECT_TRUE(reaches("web", "192.0.2.10"));
  // The shim answers a neighbour solicitation before the guest is known, so that the very first packet is lost. Guests
  // with duplicate detection are known by then.
  EXPECT_TRUE(eventually([] { return reaches("web", "2001:db8:1::10"); }));
  EXPECT_TRUE(reaches("", "192.0.2.61"));
  EXPECT_TRUE(reaches("", "2001:db8:1::61"));
  EXPECT_THAT(output_of("ip neigh show nud permanent"), HasSubstr("192.0.2.61 dev vmt-"));
  EXPECT_THAT(log(), IsEmpty());
}

// As one with two NICs on the LAN does, or one that forwards for others: the source of its packet is none of the NIC's
// own addresses, so that it asks from the link-local one. So does any guest that checks whether the host is still
// there.
TEST_F(WatchTest, AGuestThatAsksFromItsLinkLocalAddressIsAnswered) {
  add_tap_guest("web", kWeb);
  start();
  sh("ip -n web addr add 2001:db8:1::61/64 dev g0 nodad && ip -n web addr add 2001:db8:1::62/128 dev lo");
  ASSERT_TRUE(eventually([] { return reaches("web", "2001:db8:1::10"); }));
  sh("ip -n web neigh flush dev g0");
  EXPECT_TRUE(eventually([] {
    reaches("web", "-I 2001:db8:1::62 2001:db8:1::10");
    return output_of("ip -n web neigh show 2001:db8:1::10").find("lladdr") != std::string::npos;
  }));
  EXPECT_EQ(output_of("ip -n web -br neigh show 2001:db8:1::10 | tr -s ' ' | cut -d ' ' -f 3"),
            output_of("ip -br link show group 1986884609 | tr -s ' ' | cut -d ' ' -f 3"));
}

TEST_F(WatchTest, DuplicateDetectionTellsOfASilentGuest) {
  add_tap_guest("web", kWeb);
  sh("ip netns exec web sysctl -qw net.ipv6.conf.g0.accept_dad=1 net.ipv6.conf.g0.dad_transmits=1");
  start();
  sh("ip -n web addr add 2001:db8:1::61/64 dev g0");
  EXPECT_TRUE(eventually([] { return has_route("2001:db8:1::61"); }));
  EXPECT_TRUE(eventually([] { return reaches("", "2001:db8:1::61"); }));
}

TEST_F(WatchTest, TheHostFindsASilentGuestThatItLooksFor) {
  add_tap_guest("web", kWeb);
  start();
  sh("ip -n web addr add 192.0.2.61/24 dev g0");
  EXPECT_FALSE(has_route("192.0.2.61"));
  // The kernel gives up after three seconds, and the watcher asks the guests then.
  status_of("ping -c 5 -W 1 192.0.2.61 >/dev/null");
  EXPECT_TRUE(eventually([] { return has_route("192.0.2.61"); }));
  EXPECT_TRUE(reaches("", "192.0.2.61"));
}

TEST_F(WatchTest, NothingIsLostWhenItIsKilled) {
  add_tap_guest("web", kWeb);
  start();
  sh("ip -n web addr add 192.0.2.61/24 dev g0 && ip -n web addr add 2001:db8:1::61/64 dev g0 nodad");
  ASSERT_TRUE(reaches("web", "192.0.2.10") && eventually([] { return reaches("web", "2001:db8:1::10"); }));
  const std::string before = ours();
  stop(SIGKILL);
  EXPECT_EQ(ours(), before);
  EXPECT_TRUE(reaches("", "192.0.2.61"));
  start();
  EXPECT_EQ(ours(), before);
  // A guest that leaves while nobody watches is found missing by the next one.
  stop(SIGKILL);
  remove_tap_guest("web");
  start();
  EXPECT_FALSE(has_route("192.0.2.61"));
}

TEST_F(WatchTest, WhatOthersTakeAwayReturns) {
  add_tap_guest("web", kWeb);
  start();
  sh("ip -n web addr add 192.0.2.61/24 dev g0 && ip -n web addr add 2001:db8:1::61/64 dev g0 nodad");
  ASSERT_TRUE(reaches("web", "192.0.2.10") && eventually([] { return reaches("web", "2001:db8:1::10"); }));
  const std::string before = ours();
  for (const char* harm :
       {"ip route flush proto 118", "ip -6 route flush proto 118", "ip neigh flush nud permanent dev $shim",
        "ip link del $shim", "ip link set $shim down",
        "ip link set eth0 down; ip link set eth0 up; ip -6 addr add 2001:db8:1::10/64 dev eth0 nodad; ip route add "
        "default via 192.0.2.1; ip -6 route add default via 2001:db8:1::1",
        "ip -n peer link set eth0 down; ip -n peer link set eth0 up"}) {
    SCOPED_TRACE(harm);
    sh(std::string("shim=$(ip -o link show group 1986884609 | grep -o 'vmt-[0-9]*'); ") + harm);
    EXPECT_TRUE(eventually([&] { return ours() == before; })) << ours();
    EXPECT_TRUE(eventually([] { return reaches("", "192.0.2.61") && reaches("web", "2001:db8:1::10"); }));
  }
}

TEST_F(WatchTest, TheHostsAddressMayChange) {
  add_tap_guest("web", kWeb);
  start();
  sh("ip -n web addr add 192.0.2.61/24 dev g0 && ip -n web addr add 2001:db8:1::61/64 dev g0 nodad");
  ASSERT_TRUE(reaches("web", "192.0.2.10") && eventually([] { return reaches("web", "2001:db8:1::10"); }));
  sh("ip addr add 192.0.2.11/24 dev eth0 && ip addr del 192.0.2.10/24 dev eth0 && ip addr replace 192.0.2.11/24 dev "
     "eth0; ip -6 addr add 2001:db8:1::11/64 dev eth0 nodad && ip -6 addr del 2001:db8:1::10/64 dev eth0");
  EXPECT_TRUE(eventually([] {
    return output_of("ip route show 192.0.2.61; ip -6 route show 2001:db8:1::61").find("192.0.2.11") !=
           std::string::npos;
  }));
  EXPECT_TRUE(eventually([] { return reaches("web", "192.0.2.11") && reaches("web", "2001:db8:1::11"); }));
}

TEST_F(WatchTest, AParentMayBeRenamedAndMayGoAndComeBack) {
  add_tap_guest("web", kWeb);
  start();
  sh("ip -n web addr add 192.0.2.61/24 dev g0");
  ASSERT_TRUE(reaches("web", "192.0.2.10"));
  sh("ip link set eth0 name lan0");
  EXPECT_TRUE(reaches("", "192.0.2.61"));
  sh("ip -n web addr add 192.0.2.71/24 dev g0");
  announce("web", kWeb, "192.0.2.71");
  EXPECT_TRUE(eventually([] { return has_route("192.0.2.71"); }));
  sh("ip link del lan0; ip netns del web; ip netns del peer");
  EXPECT_TRUE(eventually([] { return !has_route("192.0.2.61"); }));
  add_lan();
  add_tap_guest("db", kDb);
  sh("ip -n db addr add 192.0.2.62/24 dev g0");
  EXPECT_TRUE(eventually([] { return reaches("db", "192.0.2.10"); }));
}

TEST_F(WatchTest, AParentMayGetAnotherMac) {
  add_tap_guest("web", kWeb);
  start();
  sh("ip -n web addr add 192.0.2.61/24 dev g0");
  ASSERT_TRUE(reaches("web", "192.0.2.10"));
  sh("ip link set eth0 address 52:54:00:ee:00:99");
  sh("ip -n web addr add 192.0.2.71/24 dev g0");
  announce("web", kWeb, "192.0.2.71");
  ASSERT_TRUE(eventually([] { return has_route("192.0.2.71"); }));
  // What the host has asked the guest since then came from the shim that is there.
  EXPECT_EQ(output_of("ip -n web -o neigh show to 192.0.2.10 dev g0 | grep -o 'lladdr [^ ]*'"),
            output_of("ip -o link show group 1986884609 | sed 's,.*link/ether \\([^ ]*\\).*,lladdr \\1,'"));
  EXPECT_TRUE(reaches("web", "192.0.2.10"));
}

TEST_F(WatchTest, AParentWithoutAnAddressIsNamedAndServedWhenItGetsOne) {
  sh("ip addr flush dev eth0");
  add_tap_guest("web", kWeb);
  start();
  EXPECT_THAT(shims(), IsEmpty());
  sh("ip link set eth0 mtu 1400 && ip link set eth0 mtu 1500");
  EXPECT_TRUE(never([] { return std::ranges::count(log(), '\n') != 1; })) << "each look finds the same";
  EXPECT_THAT(log(), HasSubstr("parent eth0 has no address"));
  sh("ip addr add 192.0.2.10/24 dev eth0; ip -n web addr add 192.0.2.61/24 dev g0");
  EXPECT_TRUE(eventually([] { return reaches("web", "192.0.2.10"); }));
}

// What libvirt's daemon keeps about a running guest.
void write_status(const std::string& name, const std::string& metadata) {
  std::filesystem::create_directories("/run/libvirt/qemu");
  std::ofstream("/run/libvirt/qemu/new")
      << "<domstatus state='running'><domain type='kvm' id='1'><name>" << name
      << "</name><uuid>6d4bd1b3-6b4e-4f0a-9d3f-2a4f0c8f5a01</uuid><metadata>" << metadata
      << "</metadata><devices><interface type='direct'><mac address='" << kWeb
      << "'/><source dev='eth0' mode='bridge'/></interface></devices></domain></domstatus>";
  std::filesystem::rename("/run/libvirt/qemu/new", "/run/libvirt/qemu/" + name + ".xml");
}

TEST_F(WatchTest, AGuestWhoseMetadataSaysNoGetsNothing) {
  start();
  add_tap_guest("db", kDb);
  add_tap_guest("web", kWeb);
  ASSERT_TRUE(eventually([] { return !shims().empty(); }));
  // As libvirt does when a NIC is plugged in: it makes the macvtap first, and writes down afterwards whose it is.
  write_status("web", "<h:host-access xmlns:h='urn:virt-macvtap:host-access:1' enabled='no'/>");
  announce("web", kWeb, "192.0.2.61");
  EXPECT_TRUE(never([] { return has_route("192.0.2.61"); }));
  announce("db", kDb, "192.0.2.62");
  EXPECT_TRUE(eventually([] { return has_route("192.0.2.62"); }));
}

// It may be all that a guest without an address has.
TEST_F(WatchTest, AMarkThatSomebodyDeletesIsMadeAgain) {
  const auto marked = [] { return status_of("ip neigh show nud permanent | grep -q 'proto 121'") == 0; };
  write_status("web", "");
  add_tap_guest("web", kWeb);
  start();
  ASSERT_TRUE(eventually(marked));
  sh("sleep 1");  // the news of the start are past
  sh("ip neigh flush nud permanent dev $(ls /sys/class/net | grep vmt-)");
  EXPECT_TRUE(eventually(marked));
}

// No hook hears of a hot-plugged NIC, but its addresses may be written down.
TEST_F(WatchTest, AHotPluggedNicGetsWhatItsDomainsMetadataGivesIt) {
  start();
  add_tap_guest("web", kWeb);
  ASSERT_TRUE(eventually([] { return listens_on() == 1; }));
  write_status("web", std::string("<h:host-access xmlns:h='urn:virt-macvtap:host-access:1'><h:nic mac='") + kWeb +
                          "'><h:address>192.0.2.61</h:address></h:nic></h:host-access>");
  announce("web", kWeb, "192.0.2.71");
  EXPECT_TRUE(eventually([] { return has_route("192.0.2.61") && has_route("192.0.2.71"); }));
  EXPECT_THAT(output_of("ip neigh show 192.0.2.61 nud permanent"), HasSubstr("proto 118"));
}

// Nothing tells of the file, and a guest with an address of its own need not say anything for a long time.
TEST_F(WatchTest, AHotPluggedNicThatIsSilentGetsIt) {
  start();
  add_tap_guest("web", kWeb);
  ASSERT_TRUE(eventually([] { return listens_on() == 1; }));
  sh("sleep 2");  // the kernel's news of the new link are past
  write_status("web", std::string("<h:host-access xmlns:h='urn:virt-macvtap:host-access:1'><h:nic mac='") + kWeb +
                          "'><h:address>192.0.2.61</h:address></h:nic></h:host-access>");
  EXPECT_TRUE(eventually([] { return has_route("192.0.2.61"); }));
}

// The look that finds out whose it is sets the address up, and the guest is prompted all the same.
TEST_F(WatchTest, AGuestOfWhichLibvirtHasJustWrittenIsAnsweredAtOnceToo) {
  start();
  add_tap_guest("web", kWeb);
  ASSERT_TRUE(eventually([] { return !shims().empty(); }));
  write_status("web", "");
  sh("ip -n web addr add 192.0.2.61/24 dev g0");
  EXPECT_TRUE(reaches("web", "192.0.2.10"));
}

TEST_F(WatchTest, NothingIsChangedWhileSomebodyElseHasTheLock) {
  start();
  add_tap_guest("web", kWeb);
  ASSERT_TRUE(eventually([] { return listens_on() == 1; }));
  announce("web", kWeb, "192.0.2.61");
  ASSERT_TRUE(eventually([] { return has_route("192.0.2.61"); }));
  {
    const auto lock = Lock::take(std::chrono::seconds(5));
    ASSERT_TRUE(lock) << lock.error().message;
    sh("ip route del 192.0.2.61");
    EXPECT_TRUE(never([] { return has_route("192.0.2.61"); }));
  }
  EXPECT_TRUE(eventually([] { return has_route("192.0.2.61"); }));
}

TEST_F(WatchTest, ASecondOneSaysWhoIsThereAndLeaves) {
  start();
  const std::string said = output_of("{ " + kBuild + "/virt-macvtap watch; echo status $?; }");
  EXPECT_THAT(said, HasSubstr("PID " + std::to_string(watcher())));
  EXPECT_THAT(said, HasSubstr("status 1"));
}

// Nothing is ever started by it now; what once is must not hear a guest's frames, nor hold its lock. Other files may be
// those of whoever runs the tests.
TEST_F(WatchTest, NoneOfItsSocketsCanBeInheritedNorItsLock) {
  add_tap_guest("web", kWeb);
  start();
  ASSERT_TRUE(eventually([] { return listens_on() == 1; }));
  const std::string pid = std::to_string(watcher());
  const std::string flags = output_of("cd /proc/" + pid +
                                      "/fd; for fd in $(ls | grep -v '^[012]$'); do case $(readlink "
                                      "$fd) in socket:*|*.lock) grep ^flags: ../fdinfo/$fd;; esac; done");
  EXPECT_THAT(flags, HasSubstr("flags:"));
  std::istringstream lines(flags);
  std::string name;
  for (unsigned value = 0; lines >> name >> std::oct >> value;) EXPECT_TRUE(value & O_CLOEXEC) << std::oct << value;
}

TEST_F(WatchTest, EitherOfItsTwoCapabilitiesIsMissed) {
  for (const std::string missing : {"net_admin", "net_raw"}) {
    const std::string said = output_of("{ timeout 5 setpriv --inh-caps -" + missing + " --bounding-set -" + missing +
                                       " " + kBuild + "/virt-macvtap watch; echo status $?; }");
    EXPECT_THAT(said, HasSubstr("CAP_NET_RAW")) << missing;
    EXPECT_THAT(said, HasSubstr("status 1")) << missing;
  }
}

TEST_F(WatchTest, WithoutPermissionItSaysSo) {
  const std::string said =
      output_of("{ setpriv --reuid 65534 --clear-groups " + kBuild + "/virt-macvtap watch; echo status $?; }");
  EXPECT_THAT(said, HasSubstr("status 1"));
  EXPECT_THAT(said, HasSubstr("root"));
}

}  // namespace
}  // namespace vmt
