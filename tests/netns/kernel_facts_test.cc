// SPDX-License-Identifier: LGPL-2.1-or-later
// What the code believes about the kernel, proven on the kernel that runs here. A failure means that a comment in lib/
// is wrong.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/tap_node.h"
#include "tests/netns/namespace.h"

namespace vmt {
namespace {

using testing::HasSubstr;
using testing::Not;

class KernelFactsTest : public NamespaceTest {
 protected:
  void SetUp() override {
    NamespaceTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) add_lan();
  }
  static int arp_answers() {
    return std::stoi(output_of("ip netns exec peer arping -c 1 -W 0.3 -w 1 -i eth0 192.0.2.10 | grep -c 'bytes from'"));
  }
};

TEST_F(KernelFactsTest, AnAliasInACreateRequestIsIgnoredAndAGroupIsNot) {
  sh("ip link add link eth0 name m0 alias hello group 77 type macvlan mode bridge");
  EXPECT_THAT(output_of("ip link show m0"), Not(HasSubstr("alias hello")));
  EXPECT_THAT(output_of("ip link show m0"), HasSubstr("group 77"));
  sh("ip link set m0 alias hello");
  EXPECT_THAT(output_of("ip link show m0"), HasSubstr("alias hello"));
}

TEST_F(KernelFactsTest, WithoutArpFilterTheLanGetsTwoAnswersAndWithItOne) {
  EXPECT_EQ(arp_answers(), 1);
  sh("ip link add link eth0 name m0 type macvlan mode bridge && ip link set m0 up");
  EXPECT_EQ(arp_answers(), 2);
  sh("echo 1 >/proc/sys/net/ipv4/conf/m0/arp_filter");
  EXPECT_EQ(arp_answers(), 1);
}

TEST_F(KernelFactsTest, ProxyNdpNeedsForwardingOnItsOwnInterfaceOnly) {
  add_guest("web", "52:54:00:12:34:56", "192.0.2.61", "2001:db8:1::61");
  sh("ip link add link eth0 name m0 type macvlan mode bridge && echo 1 >/proc/sys/net/ipv6/conf/m0/proxy_ndp");
  sh("echo 0 >/proc/sys/net/ipv6/neigh/m0/proxy_delay && ip link set m0 up && ip neigh add proxy 2001:db8:1::10 dev "
     "m0");
  sh("ip route add 2001:db8:1::61/128 dev m0 src 2001:db8:1::10");
  const std::string ping = "ip netns exec web ping -6 -c 1 -W 2 2001:db8:1::10 >/dev/null";
  EXPECT_NE(status_of(ping), 0);
  sh("echo 1 >/proc/sys/net/ipv6/conf/m0/forwarding");
  sh("ip -n web neigh flush dev g0");
  EXPECT_EQ(status_of("for i in 1 2 3 4 5; do " + ping + " && exit 0; done; exit 1"), 0);
  EXPECT_EQ(output_of("cat /proc/sys/net/ipv6/conf/all/forwarding"), "0\n");
}

// Its advertisement would need a source, which for a link-local destination has to be an address of the same link.
TEST_F(KernelFactsTest, AProxyWithoutAnAddressIsSilentWhenALinkLocalAddressAsks) {
  add_guest("web", "52:54:00:12:34:56", "192.0.2.61", "2001:db8:1::61");
  sh("ip link add link eth0 name m0 type macvlan mode bridge && echo 1 >/proc/sys/net/ipv6/conf/m0/proxy_ndp");
  sh("echo 1 >/proc/sys/net/ipv6/conf/m0/forwarding && echo 0 >/proc/sys/net/ipv6/neigh/m0/proxy_delay");
  sh("ip link set m0 addrgenmode none && ip link set m0 up && ip neigh add proxy 2001:db8:1::10 dev m0");
  sh("ip -n web addr add fe80::61/64 dev g0 nodad && ip -n web addr add 2001:db8:1::62/128 dev lo");
  const auto resolves = [](const std::string& source) {
    sh("ip -n web neigh flush dev g0");
    status_of("ip netns exec web ping -c 2 -W 1 -I " + source + " 2001:db8:1::10 >/dev/null");
    return output_of("ip -n web neigh show 2001:db8:1::10").find("lladdr") != std::string::npos;
  };
  EXPECT_TRUE(resolves("2001:db8:1::61"));
  EXPECT_FALSE(resolves("2001:db8:1::62"));
  sh("ip addr add fe80::1234/128 dev m0 nodad");
  EXPECT_TRUE(resolves("2001:db8:1::62"));
}

TEST_F(KernelFactsTest, OnlyAPermanentProxySurvivesALostCarrier) {
  sh("ip link add link eth0 name m0 type macvlan mode bridge && ip link set m0 up && ip neigh add proxy 2001:db8:1::10 "
     "dev m0 nud none");
  sh("ip neigh add proxy 2001:db8:1::11 dev m0 nud permanent");
  sh("ip -n peer link set eth0 down; for i in $(seq 300); do ip link show m0 | grep -q LOWERLAYERDOWN && break; sleep "
     "0.01; done");
  EXPECT_THAT(output_of("ip neigh show proxy dev m0"), Not(HasSubstr("::10")));
  EXPECT_THAT(output_of("ip neigh show proxy dev m0"), HasSubstr("::11"));
}

// So nobody but a `sync`, or a watcher that looks for another reason, makes one again that somebody has deleted.
TEST_F(KernelFactsTest, AProxyEntryComesAndGoesWithoutAWordAndANeighbourDoesNot) {
  sh("ip link add link eth0 name m0 type macvlan mode bridge && ip link set m0 up");
  sh(R"(
    until_told_of() {
        for i in $(seq 500); do
            ip neigh add $1 dev m0 lladdr 52:54:00:00:00:01 nud permanent && ip neigh del $1 dev m0
            grep -q "Deleted $1 " /run/news && return
            sleep 0.01
        done
        return 1
    }
    ip monitor neigh >/run/news &
    trap "kill $!" EXIT
    until_told_of 192.0.2.1 &&
        ip neigh add proxy 2001:db8:1::10 dev m0 && ip neigh del proxy 2001:db8:1::10 dev m0 &&
        ip neigh add proxy 2001:db8:1::11 dev m0 && ip -6 neigh flush proxy dev m0 &&
        until_told_of 192.0.2.2)");
  EXPECT_EQ(output_of("ip neigh show proxy dev m0"), "");
  EXPECT_THAT(output_of("cat /run/news"), Not(HasSubstr("2001:db8:1::1")));
}

TEST_F(KernelFactsTest, ASiblingWithTheSameMacCannotComeUp) {
  sh("ip link add link eth0 name m0 address 52:54:00:12:34:56 type macvlan mode bridge && ip link set m0 up");
  sh("ip link add link eth0 name m1 address 52:54:00:12:34:56 type macvlan mode bridge");
  EXPECT_THAT(output_of("ip link set m1 up"), HasSubstr("Address already in use"));
}

TEST_F(KernelFactsTest, PassthruAndAnythingElseExcludeEachOther) {
  sh("ip link add link eth0 name m0 type macvlan mode bridge");
  EXPECT_THAT(output_of("ip link add link eth0 name p0 type macvtap mode passthru"), HasSubstr("Invalid argument"));
  sh("ip link del m0 && ip link add link eth0 name p0 type macvtap mode passthru");
  EXPECT_THAT(output_of("ip link add link eth0 name m0 type macvlan mode bridge"), HasSubstr("Invalid argument"));
}

// What mac= in the access list cannot prevent.
TEST_F(KernelFactsTest, WhoHoldsATapSetsTheMacWithoutAnyCapabilityAndInPassthruTheParentsToo) {
  for (const std::string mode : {"bridge", "passthru"}) {
    const unsigned index = unique_index();  // /dev/tapN is one for all namespaces
    sh("ip link add link eth0 name m0 index " + std::to_string(index) + " type macvtap mode " + mode +
       " && ip link set m0 up");
    const int tap = open(tap_path(index).c_str(), O_RDWR);
    ASSERT_GE(tap, 0) << mode;
    const pid_t user = fork();
    if (user == 0) {
      ifreq request{};
      request.ifr_hwaddr = {.sa_family = ARPHRD_ETHER, .sa_data = {0x52, 0x54, 0, 0, 0, 0x77}};
      if (setresgid(1000, 1000, 1000) != 0 || setresuid(1000, 1000, 1000) != 0) _exit(2);
      _exit(ioctl(tap, SIOCSIFHWADDR, &request) == 0 ? 0 : 1);
    }
    int status = -1;
    waitpid(user, &status, 0);
    EXPECT_EQ(status, 0) << mode;
    close(tap);
    EXPECT_EQ(output_of("cat /sys/class/net/m0/address"), "52:54:00:00:00:77\n");
    EXPECT_EQ(output_of("cat /sys/class/net/eth0/address"),
              mode == "passthru" ? "52:54:00:00:00:77\n" : "52:54:00:ee:00:10\n");
    sh("ip link del m0");
  }
}

TEST_F(KernelFactsTest, AllmulticastOfAPassthruDeviceStaysWithTheParentUnlessSetWhileItIsDown) {
  const auto allmulti = [] { return output_of("ip -d -j link show eth0 | grep -o '\"allmulti\":[0-9]*'"); };
  sh("ip link add link eth0 name p0 type macvtap mode passthru && ip link set p0 allmulticast on && ip link set p0 up");
  sh("ip link del p0");
  EXPECT_EQ(allmulti(), "\"allmulti\":0\n");
  sh("ip link add link eth0 name p0 type macvtap mode passthru && ip link set p0 up && ip link set p0 allmulticast on");
  sh("ip link del p0");
  EXPECT_EQ(allmulti(), "\"allmulti\":1\n");
}

TEST_F(KernelFactsTest, ABridgePortCannotBeAParent) {
  sh("ip link add br0 type bridge && ip link set eth0 master br0");
  EXPECT_THAT(output_of("ip link add link eth0 name m0 type macvlan mode bridge"), HasSubstr("busy"));
}

TEST_F(KernelFactsTest, ARouteIsDeletedOnlyWithItsOwnProtocol) {
  sh("ip route add 192.0.2.99 dev eth0 proto static");
  EXPECT_NE(status_of("ip route del 192.0.2.99 dev eth0 proto 118 2>/dev/null"), 0);
  EXPECT_EQ(status_of("ip route del 192.0.2.99 dev eth0 proto static"), 0);
}

}  // namespace
}  // namespace vmt
