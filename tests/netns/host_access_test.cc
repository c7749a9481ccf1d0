// SPDX-License-Identifier: LGPL-2.1-or-later
// Host access as packets see it: a host, a LAN peer and guests in namespaces, over the real kernel.
#include "lib/host_access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/rtnl_kernel.h"
#include "tests/netns/namespace.h"

namespace vmt {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

Guest guest(const char* name, const char* mac, std::vector<IpAddress> addresses, const char* parent = "eth0") {
  return {.name = name,
          .uuid = {},
          .id = 1,
          .nics = {{.mac = *MacAddress::parse(mac),
                    .source = DirectSource{*IfName::parse(parent), MacvlanMode::kBridge, ""},
                    .target = {},
                    .model = {}}},
          .given = {{*MacAddress::parse(mac), std::move(addresses)}}};
}

class HostAccessTest : public NamespaceTest {
 protected:
  void SetUp() override {
    NamespaceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    add_lan();
    add_guest("web", "52:54:00:12:34:56", "192.0.2.61", "2001:db8:1::61");
    add_guest("db", "52:54:00:12:34:57", "192.0.2.62", "2001:db8:1::62");
    kernel_ = std::make_unique<RtnlKernel>(std::move(*RtnlKernel::open()));
  }

  void run(const PlanResult& planned) {
    ASSERT_TRUE(planned) << planned.error().message;
    EXPECT_THAT(planned->notes, IsEmpty());
    for (const auto& error : apply_all(*kernel_, planned->changes)) ADD_FAILURE() << error.message;
  }
  void start(const Guest& g) { run(plan_start(*kernel_, g, config_)); }
  void stop(const Guest& g) { run(plan_stop(*kernel_, g)); }

  // "" is the host itself. A guest that has asked in vain asks again after a second, so an answer may take that long.
  static bool reaches(const std::string& from, const std::string& to, int seconds = 4) {
    const std::string in = from.empty() ? "" : "ip netns exec " + from + " ";
    return status_of(in + "ping -c 1 -W " + std::to_string(seconds) + " " + to + " >/dev/null 2>&1") == 0;
  }
  // The MACs that answer the LAN peer for the host's addresses, one a line, doubles kept.
  static std::string lan_view() {
    return output_of(
        "ip netns exec peer arping -c 1 -W 0.3 -w 1 -i eth0 192.0.2.10 | grep -o 'from [^ ]*';"
        "ip -n peer neigh flush dev eth0; ip netns exec peer ping -c 1 -W 1 2001:db8:1::10 >/dev/null;"
        "ip netns exec peer ping -c 1 -W 1 192.0.2.10 >/dev/null; ip -n peer neigh show to 2001:db8:1::10 | grep -o "
        "'lladdr [^ ]*';"
        "ip -n peer neigh show to 192.0.2.10 | grep -o 'lladdr [^ ]*'");
  }

  Guest web_ = guest("web", "52:54:00:12:34:56", {ip("192.0.2.61"), ip("2001:db8:1::61")});
  Guest db_ = guest("db", "52:54:00:12:34:57", {ip("192.0.2.62"), ip("2001:db8:1::62")});
  Config config_;
  std::unique_ptr<RtnlKernel> kernel_;
};

TEST_F(HostAccessTest, HostAndGuestsTalkBothWaysAndTheLanSeesNoDifference) {
  const std::string before = network_state();
  const std::string view = lan_view();
  EXPECT_EQ(view, "from 52:54:00:ee:00:10\nlladdr 52:54:00:ee:00:10\nlladdr 52:54:00:ee:00:10\n");
  EXPECT_TRUE(reaches("peer", "192.0.2.61"));
  EXPECT_FALSE(reaches("", "192.0.2.61", 1));
  EXPECT_FALSE(reaches("web", "2001:db8:1::10", 1));
  start(web_);
  start(db_);
  for (const char* address : {"192.0.2.61", "2001:db8:1::61", "192.0.2.62", "2001:db8:1::62"})
    EXPECT_TRUE(reaches("", address)) << address;
  for (const char* name : {"web", "db", "peer"})
    for (const char* address : {"192.0.2.10", "2001:db8:1::10"})
      EXPECT_TRUE(reaches(name, address)) << name << " " << address;
  EXPECT_TRUE(reaches("web", "192.0.2.62"));
  EXPECT_TRUE(reaches("web", "2001:db8:1::1"));
  EXPECT_TRUE(reaches("peer", "2001:db8:1::61"));
  EXPECT_EQ(lan_view(), view);
  stop(web_);
  EXPECT_FALSE(reaches("", "192.0.2.61", 1));
  EXPECT_TRUE(reaches("", "192.0.2.62"));
  EXPECT_EQ(lan_view(), view);
  stop(db_);
  EXPECT_EQ(network_state(), before);
}

TEST_F(HostAccessTest, TheHostSpeaksFromItsUsualAddress) {
  start(web_);
  EXPECT_THAT(output_of("ip route get 192.0.2.61"), HasSubstr("src 192.0.2.10"));
  EXPECT_THAT(output_of("ip route get 2001:db8:1::61"), HasSubstr("src 2001:db8:1::10"));
  EXPECT_THAT(output_of("ip addr show dev vmt-$(cat /sys/class/net/eth0/ifindex) | grep inet"), IsEmpty());
}

TEST_F(HostAccessTest, ALostCarrierAndAParentThatWasDownChangeNothing) {
  start(web_);
  for (const char* trouble : {"ip -n peer link set eth0 down; for i in $(seq 300); do ip link show eth0 | grep -q "
                              "NO-CARRIER && break; sleep 0.01; done;"
                              "sleep 0.1; ip -n peer link set eth0 up",
                              "ip link set eth0 down && ip link set eth0 up"}) {
    sh(trouble);
    wait_until_up("eth0");
    sh("ip -6 addr replace 2001:db8:1::10/64 dev eth0 nodad");  // which the kernel drops with the parent
    start(web_);
    EXPECT_TRUE(reaches("", "192.0.2.61")) << trouble;
    EXPECT_TRUE(reaches("web", "192.0.2.10")) << trouble;
    EXPECT_TRUE(reaches("web", "2001:db8:1::10")) << trouble;
    EXPECT_TRUE(reaches("", "2001:db8:1::61")) << trouble;
  }
}

TEST_F(HostAccessTest, RouterAdvertisementsAreTheParentsBusinessWhateverTheDefault) {
  sh("echo 2 >/proc/sys/net/ipv6/conf/default/accept_ra");
  start(web_);
  EXPECT_EQ(output_of("cat /proc/sys/net/ipv6/conf/vmt-*/accept_ra"), "0\n");
  EXPECT_EQ(output_of("cat /proc/sys/net/ipv6/neigh/vmt-*/proxy_delay"), "0\n") << "guests would wait for answers";
  EXPECT_TRUE(plan_start(*kernel_, web_, config_)->changes.empty());
}

TEST_F(HostAccessTest, AForwardingHostsShimAnswersTheLanForNobodyElse) {
  sh("for i in all default eth0; do echo 1 >/proc/sys/net/ipv4/conf/$i/proxy_arp; done; echo 1 "
     ">/proc/sys/net/ipv4/ip_forward");
  sh("echo 1 >/proc/sys/net/ipv4/conf/default/arp_ignore");
  start(web_);
  // Else the answer comes up to 0.8 s later, when nobody listens any more.
  sh("for file in /proc/sys/net/ipv4/neigh/vmt-*/proxy_delay; do echo 0 >$file; done");
  EXPECT_EQ(output_of("ip netns exec peer arping -c 1 -W 0.3 -w 1 -i eth0 192.0.2.99 | grep -c 'bytes from'"), "0\n");
  EXPECT_TRUE(reaches("web", "192.0.2.10"));
}

TEST_F(HostAccessTest, AParentMayBeNamedByAnAltname) {
  sh("ip link property add dev eth0 altname uplink");
  start(guest("web", "52:54:00:12:34:56", {ip("192.0.2.61")}, "uplink"));
  EXPECT_TRUE(reaches("", "192.0.2.61"));
  config_.parents[*IfName::parse("eth0")].host_access = false;
  EXPECT_TRUE(
      plan_start(*kernel_, guest("db", "52:54:00:12:34:57", {ip("192.0.2.62")}, "uplink"), config_)->changes.empty());
}

TEST_F(HostAccessTest, ARouteThatAPolicyRuleHidesIsStillOurs) {
  start(web_);
  sh("ip rule add pref 100 lookup 100 && ip route add default via 192.0.2.1 table 100");
  EXPECT_TRUE(plan_start(*kernel_, web_, config_)->changes.empty());
}

TEST_F(HostAccessTest, AShimWhoseParentHasMovedAwayIsCleanedUp) {
  start(web_);
  sh("ip link set eth0 netns db");
  EXPECT_EQ(plan_sync(*kernel_, {}, config_, {})->changes.size(), 1U);
  run(plan_clean(*kernel_));
  EXPECT_THAT(output_of("ip link show type macvlan"), IsEmpty());
}

TEST_F(HostAccessTest, AHostWithoutIpv6HasIpv4) {
  sh("echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 && echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6");
  start(guest("web", "52:54:00:12:34:56", {ip("192.0.2.61")}));
  EXPECT_TRUE(reaches("", "192.0.2.61"));
  EXPECT_TRUE(reaches("web", "192.0.2.10"));
}

// The kernel tells a LAN's multicast routers which groups the shim is in, from no address of anybody's.
TEST_F(HostAccessTest, TheLanHearsNothingButItsGroupsFromTheShimWhenItComesUp) {
  sh("ip netns exec peer timeout 30 tcpdump -l -i eth0 -n -e ether src " +
     shim_mac(*MacAddress::parse("52:54:00:ee:00:10")).str() +
     " >/run/heard 2>/run/tcpdump & for i in $(seq 100); do grep -q listening /run/tcpdump && break; sleep 0.02; done");
  start(web_);
  EXPECT_TRUE(reaches("", "192.0.2.61"));
  EXPECT_TRUE(reaches("web", "2001:db8:1::10"));
  sh("sleep 2.5");  // longer than the kernel's delays for reports and duplicate detection
  const std::string kReport = "ethertype IPv6 .* :: > ff02::16: .*multicast listener report v2";
  EXPECT_NE(output_of("grep -c '" + kReport + "' /run/heard"), "0\n") << "the ear is deaf";
  EXPECT_THAT(output_of("grep -v '" + kReport + "' /run/heard"), IsEmpty());
}

// A mark is a neighbour that is nowhere, at a MAC that nobody has: a kernel that looked for it would ask the LAN.
TEST_F(HostAccessTest, NothingIsEverSentBecauseOfAMark) {
  sh("ip netns exec peer timeout 6 tcpdump -i eth0 -U -w /run/heard.pcap 2>/run/tcpdump & for i in $(seq 100); do "
     "grep -q listening /run/tcpdump && break; sleep 0.02; done");
  const auto heard = [](const std::string& filter) {
    return output_of("{ tcpdump -n -e -r /run/heard.pcap '" + filter + "' 2>/dev/null; }");
  };
  web_.uuid = *Uuid::parse("6d4bd1b3-6b4e-4f0a-9d3f-2a4f0c8f5a01");
  db_.uuid = *Uuid::parse("6d4bd1b3-6b4e-4f0a-9d3f-2a4f0c8f5a02");
  start(web_);
  start(db_);
  const Owned owned = *kernel_->owned({});
  ASSERT_EQ(owned.marks.size(), 2U);
  std::string filter = "arp net 240.0.0.0/4 or net 240.0.0.0/4";
  for (const auto& mark : owned.marks) filter += " or ether host " + mark.mark.str();
  start(web_);        // what it finds is its own
  usleep(1'500'000);  // a neighbour that is looked for is asked for each second
  stop(web_);
  stop(db_);
  EXPECT_THAT(kernel_->owned({})->marks, IsEmpty());
  EXPECT_TRUE(reaches("peer", "192.0.2.10"));
  for (int i = 0; i < 200 && heard("icmp").empty(); ++i) usleep(20'000);
  EXPECT_THAT(heard("icmp"), HasSubstr("192.0.2.1 > 192.0.2.10"));
  EXPECT_THAT(heard(filter), IsEmpty());
  EXPECT_THAT(heard("arp and ether src " + shim_mac(*MacAddress::parse("52:54:00:ee:00:10")).str()), IsEmpty());
}

TEST_F(HostAccessTest, ANumberedShimIsReachedAtItsAddressAndOnlyGuestsSeeItsMac) {
  config_.parents[*IfName::parse("eth0")].addresses = {*IpPrefix::parse("192.0.2.60/32"),
                                                       *IpPrefix::parse("2001:db8:1::60")};
  const std::string before = network_state();
  const std::string view = lan_view();
  start(web_);
  for (const char* address : {"192.0.2.60", "2001:db8:1::60"}) EXPECT_TRUE(reaches("web", address)) << address;
  EXPECT_TRUE(reaches("", "192.0.2.61"));
  EXPECT_TRUE(reaches("", "2001:db8:1::61"));
  EXPECT_THAT(output_of("ip route get 192.0.2.61"), HasSubstr("src 192.0.2.60"));
  EXPECT_EQ(lan_view(), view);
  stop(web_);
  EXPECT_EQ(network_state(), before);
}

TEST_F(HostAccessTest, AManualShimNeedsNoLibvirtAndGoesAway) {
  const std::string before = network_state();
  const ManualRequest request{*IfName::parse("eth0"), {{ip("192.0.2.61")}, {ip("2001:db8:1::62")}}, {}};
  run(plan_host_up(*kernel_, request));
  EXPECT_TRUE(reaches("", "192.0.2.61"));
  EXPECT_TRUE(reaches("db", "2001:db8:1::10"));
  run(plan_host_down(*kernel_, {request.parent, {}, {}}));
  EXPECT_EQ(network_state(), before);
}

TEST_F(HostAccessTest, AManualRouteGivesWayToNobodyAndAGuestTakesOverTheResolvedNeighbour) {
  run(plan_host_up(*kernel_, {*IfName::parse("eth0"), {{ip("192.0.2.61")}}, {}}));
  EXPECT_TRUE(reaches("", "192.0.2.61"));  // leaves a neighbour that the kernel resolved by itself
  run(plan_host_down(*kernel_, {*IfName::parse("eth0"), {{ip("192.0.2.61")}}, {}}));
  start(web_);
  EXPECT_TRUE(reaches("", "192.0.2.61"));
  EXPECT_THAT(output_of("ip neigh show 192.0.2.61"), HasSubstr("PERMANENT"));
}

TEST_F(HostAccessTest, ARenamedParentAndARenamedShimAreFoundAgain) {
  const std::string before = network_state();
  start(web_);
  sh("ip link set eth0 down && ip link set eth0 name lan0 && ip link set lan0 up && ip link property add dev lan0 "
     "altname uplink");
  sh("ip link set vmt-$(cat /sys/class/net/lan0/ifindex) name other0");
  Guest renamed = guest("db", "52:54:00:12:34:57", {ip("192.0.2.62")}, "lan0");
  start(renamed);
  EXPECT_TRUE(reaches("", "192.0.2.62"));
  EXPECT_EQ(kernel_->owned({})->shims.size(), 1U);
  stop(renamed);
  Guest forgotten = web_;
  forgotten.nics[0].source = NetworkSource{"lan", ""};
  stop(forgotten);
  EXPECT_THAT(kernel_->owned({})->shims, IsEmpty());
}

TEST_F(HostAccessTest, AGuestWhoseParentWasRenamedLeavesNothingBehind) {
  start(web_);
  sh("ip link set eth0 name lan0");
  stop(web_);  // the XML of a running guest keeps the name that its start has seen
  EXPECT_THAT(kernel_->owned({})->shims, IsEmpty());
}

TEST_F(HostAccessTest, AMeddledWithShimIsRepaired) {
  start(web_);
  const std::string shim = shim_name(**kernel_->index_of(*IfName::parse("eth0"))).str();
  for (const std::string& meddling : std::initializer_list<std::string>{
           "echo 0 >/proc/sys/net/ipv4/conf/" + shim + "/arp_filter",
           "echo 0 >/proc/sys/net/ipv6/conf/" + shim + "/proxy_ndp",
           "echo 0 >/proc/sys/net/ipv6/conf/" + shim + "/forwarding", "ip link set " + shim + " down",
           "ip link set " + shim + " type macvlan mode private", "ip route flush proto 118",
           "ip neigh flush nud permanent dev " + shim, "ip link set " + shim + " alias ''"}) {
    sh(meddling);
    start(web_);
    EXPECT_TRUE(plan_start(*kernel_, web_, config_)->changes.empty()) << meddling;
    EXPECT_TRUE(reaches("", "192.0.2.61")) << meddling;
    EXPECT_TRUE(reaches("web", "2001:db8:1::10")) << meddling;
  }
}

// Whoever put it there will not look for our protocol.
TEST_F(HostAccessTest, ARouteOfSomebodyElsesOnTheShimIsNotOurs) {
  start(web_);
  const std::string shim = shim_name(**kernel_->index_of(*IfName::parse("eth0"))).str();
  sh("ip route add 192.0.2.87 dev " + shim + " proto static; ip route add 192.0.2.88 dev " + shim);
  const auto owned = kernel_->owned({});
  ASSERT_TRUE(owned);
  for (const auto& route : owned->routes) EXPECT_THAT(route.guest.str(), testing::EndsWith("61"));
}

TEST_F(HostAccessTest, AShimIsFoundOnItsOwnParentOnly) {
  sh("ip link add d0 type veth peer name d1");
  const unsigned eth0 = **kernel_->index_of(*IfName::parse("eth0"));
  sh("ip link add link d0 name odd index " + std::to_string(shim_index(eth0)) + " group " + std::to_string(kShimGroup) +
     " type macvlan mode bridge");
  const auto owned = kernel_->owned({.parents = std::vector<unsigned>{eth0}, .addresses = std::nullopt});
  ASSERT_TRUE(owned);
  EXPECT_THAT(owned->shims, IsEmpty());
}

// What the shim needs could not be set: it is not shown as finished, and not passed over as on a host without IPv6.
TEST_F(HostAccessTest, ASettingThatCannotBeWrittenIsAnError) {
  sh("mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys");
  const auto planned = plan_start(*kernel_, web_, config_);
  ASSERT_TRUE(planned);
  const auto errors = apply_all(*kernel_, planned->changes);
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_THAT(errors[0].message, HasSubstr("Read-only file system"));
  ASSERT_EQ(kernel_->owned({})->shims.size(), 1U);
  EXPECT_EQ(kernel_->owned({})->shims[0].role, ShimRole::kUnfinished);
}

TEST_F(HostAccessTest, ErrorsNameTheObjectAndTheCure) {
  const auto error_of = [&](const std::string& set_up, const char* parent) {
    sh(set_up);
    const auto planned = plan_start(*kernel_, guest("x", "52:54:00:12:34:58", {}, parent), config_);
    EXPECT_TRUE(planned) << planned.error().message;
    if (!planned) return planned.error().message;
    const auto errors = apply_all(*kernel_, planned->changes);
    if (errors.size() == 1) return errors[0].message;
    return planned->notes.empty() ? std::string("nothing went wrong") : planned->notes[0];
  };
  EXPECT_THAT(
      error_of("ip link add br0 type bridge && ip link add v0 type veth peer name v1 && ip link set v0 master br0",
               "v0"),
      testing::AllOf(HasSubstr("create shim"), HasSubstr("on v0"), HasSubstr("busy"),
                     HasSubstr("v0 is a port of bridge br0; use br0")));
  EXPECT_THAT(
      error_of("ip link add p0 type veth peer name p1 && ip link add link p0 name tap0 type macvtap mode passthru",
               "p0"),
      HasSubstr("tap0 is in passthru mode and has p0 for itself"));
  EXPECT_THAT(error_of("ip link add d0 type veth peer name d1", "d0"), HasSubstr("parent d0 is down"));
  EXPECT_THAT(error_of("ip link add link eth0 name mv0 type macvlan mode bridge", "mv0"),
              HasSubstr("parent mv0 is a macvlan itself"));
  EXPECT_THAT(error_of("true", "lo"), HasSubstr("parent lo: not an Ethernet link"));
  EXPECT_THAT(error_of("true", "nosuch0"), HasSubstr("look up parent nosuch0: No such device"));
  EXPECT_THAT(error_of("ip link add f0 type veth peer name f1 && ip link set f0 up && "
                       "ip link add vmt-$(cat /sys/class/net/f0/ifindex) type veth peer name f2",
                       "f0"),
              HasSubstr("exists that is not ours"));
}

}  // namespace
}  // namespace vmt
