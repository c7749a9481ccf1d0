// SPDX-License-Identifier: LGPL-2.1-or-later
// What of a parent's addresses and routes counts, read from the kernel where it writes them in an unusual way, and what
// is on it?
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "lib/algorithm.h"
#include "lib/host_access.h"
#include "lib/rtnl_decode.h"
#include "lib/rtnl_kernel.h"
#include "lib/rtnl_request.h"
#include "lib/watch_plan.h"
#include "tests/netns/namespace.h"

namespace vmt {
namespace {

class ParentTest : public NamespaceTest {
 protected:
  void SetUp() override {
    NamespaceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    add_lan();
  }
  static Parent eth0() {
    auto kernel = RtnlKernel::open();
    return *kernel->parent(*IfName::parse("eth0"));
  }
};

TEST_F(ParentTest, EveryGatewayOfARouteWithSeveralIsOne) {
  sh("ip route replace default nexthop via 192.0.2.2 dev eth0 nexthop via 192.0.2.3 dev eth0");
  EXPECT_THAT(eth0().gateways, testing::IsSupersetOf({*IpAddress::parse("192.0.2.2"), *IpAddress::parse("192.0.2.3")}));
}

// Whether the kernel is asked for a few addresses, or for all that it has.
TEST_F(ParentTest, ASuspectIsAGatewayByADefaultRouteOrWhenItHasBeenUsed) {
  sh("ip route add 198.51.100.0/24 via 192.0.2.3 && ip -6 route add 2001:db8:9::/64 via 2001:db8:1::3");
  const auto among = [](std::initializer_list<const char*> suspects) {
    std::vector<IpAddress> addresses;
    for (const char* suspect : suspects) addresses.push_back(*IpAddress::parse(suspect));
    std::vector<std::string> found;
    auto kernel = RtnlKernel::open();
    const Parent parent = *kernel->parent(*IfName::parse("eth0"), addresses);
    for (const auto& gateway : parent.gateways)
      if (contains(addresses, gateway)) found.push_back(gateway.str());
    return found;
  };
  EXPECT_THAT(among({"192.0.2.1", "2001:db8:1::1"}), testing::UnorderedElementsAre("192.0.2.1", "2001:db8:1::1"));
  EXPECT_THAT(among({"192.0.2.61", "2001:db8:1::61"}), testing::IsEmpty());
  sh("ip route add blackhole 240.0.0.0/4 && ip -6 route add 2000::/3 via 2001:db8:1::4");
  EXPECT_THAT(among({"192.0.2.1", "2001:db8:1::4"}), testing::UnorderedElementsAre("192.0.2.1", "2001:db8:1::4"));
  sh("ip -6 route del 2000::/3");
  EXPECT_THAT(eth0().gateways,
              testing::IsSupersetOf({*IpAddress::parse("192.0.2.3"), *IpAddress::parse("2001:db8:1::3")}));
  // Neither is a default route's.
  EXPECT_THAT(among({"192.0.2.3", "2001:db8:1::3"}), testing::IsEmpty());
  for (const char* beyond : {"198.51.100.1", "2001:db8:9::1"})
    status_of(std::string("ping -c 1 -W 0.1 ") + beyond + " >/dev/null");
  EXPECT_THAT(among({"192.0.2.3"}), testing::ElementsAre("192.0.2.3"));
  EXPECT_THAT(among({"2001:db8:1::3"}), testing::ElementsAre("2001:db8:1::3"));
  // And no neighbour is a gateway for being known.
  status_of("ping -c 1 -W 0.1 192.0.2.77 >/dev/null");
  EXPECT_THAT(among({"192.0.2.77"}), testing::IsEmpty());
  // The entry goes with the carrier, the route stays.
  sh("ip -n peer link set eth0 down; for i in $(seq 300); do ip link show eth0 | grep -q NO-CARRIER && break; sleep "
     "0.01; "
     "done");
  EXPECT_THAT(among({"192.0.2.3"}), testing::IsEmpty());
  EXPECT_THAT(eth0().gateways, testing::Contains(*IpAddress::parse("192.0.2.3")));
  sh("ip -n peer link set eth0 up");
  wait_until_up("eth0");
  // A second default route is not told.
  sh("ip route add default via 192.0.2.9 metric 500");
  EXPECT_THAT(among({"192.0.2.9"}), testing::IsEmpty());
  EXPECT_THAT(eth0().gateways, testing::Contains(*IpAddress::parse("192.0.2.9")));
  EXPECT_THAT(output_of("ip route get fibmatch 0.0.0.0"), testing::Not(testing::HasSubstr("192.0.2.1 ")));
  // One that another link's default route has is not this one's.
  sh("ip link add v0 type veth peer name v1 && ip addr add 203.0.113.1/24 dev v0 && ip link set v0 up && ip link set "
     "v1 up");
  sh("ip route replace default via 203.0.113.2 dev v0");
  EXPECT_THAT(among({"203.0.113.2"}), testing::IsEmpty());
}

TEST_F(ParentTest, WhatAGuestSaysItHasIsHeldAgainstEveryGateway) {
  sh("ip route add 198.51.100.0/24 via 192.0.2.3");
  auto kernel = *RtnlKernel::open();
  const Parent parent = eth0();
  const auto mac = *MacAddress::parse("52:54:00:12:34:56");
  const auto plan_for = [&](const char* address) {
    const auto planned = plan_learned(kernel, {parent.index, mac, *IpAddress::parse(address)}, {parent, {}}, {});
    std::string text;
    for (const auto& change : planned->changes) text += describe(change) + "\n";
    for (const auto& note : planned->notes) text += note + "\n";
    return text;
  };
  EXPECT_THAT(plan_for("192.0.2.61"), testing::HasSubstr("add route 192.0.2.61"));
  EXPECT_THAT(plan_for("192.0.2.3"), testing::Not(testing::HasSubstr("add route")));
  EXPECT_THAT(plan_for("192.0.2.3"), testing::HasSubstr("is a gateway's address"));
}

// Nothing takes away again what is made by hand.
TEST_F(ParentTest, ARouteByHandIsHeldAgainstEveryGateway) {
  sh("ip route add 198.51.100.0/24 via 192.0.2.3");
  auto kernel = *RtnlKernel::open();
  const auto planned = plan_host_up(kernel, {*IfName::parse("eth0"), {{*IpAddress::parse("192.0.2.3"), {}}}, {}});
  ASSERT_FALSE(planned);
  EXPECT_THAT(planned.error().message, testing::HasSubstr("is a gateway's address"));
}

TEST_F(ParentTest, APointToPointAddressIsTheHostsAndNotItsPeers) {
  sh("ip addr add 198.51.100.5 peer 198.51.100.6/32 dev eth0");
  const auto addresses = eth0().addresses;
  const auto is = [&](const char* text) {
    return std::ranges::any_of(addresses, [&](const HostAddress& a) { return a.prefix.address.str() == text; });
  };
  EXPECT_TRUE(is("198.51.100.5"));
  EXPECT_FALSE(is("198.51.100.6"));
}

TEST_F(ParentTest, WhatIsOnItIsFoundWhateverElseIsThereAndWhateverSysfsTells) {
  auto kernel = *RtnlKernel::open();
  const Parent parent = eth0();
  sh("ip link add link eth0 name macvtap0 type macvtap mode bridge");
  ASSERT_TRUE(kernel.apply(CreateShim{parent.index, parent.name, shim_mac(parent.mac)}));
  const Shim shim = kernel.owned({})->shims.at(0);
  const auto beside = [&] {
    std::vector<std::string> names;
    const auto found = kernel.children_beside(shim);
    EXPECT_TRUE(found) << found.error().message;
    for (const auto& child : *found) names.push_back(child.name.str());
    return names;
  };
  EXPECT_THAT(beside(), testing::ElementsAre("macvtap0"));
  sh("ip link add v0 type veth peer name v1 && ip link add link v0 name other type macvtap mode bridge");
  EXPECT_THAT(beside(), testing::ElementsAre("macvtap0"));
  sh("ip link set macvtap0 name renamed");
  EXPECT_THAT(beside(), testing::ElementsAre("renamed"));
  sh("mount -t tmpfs tmpfs /sys && mkdir -p /sys/class/net/eth0");
  EXPECT_THAT(beside(), testing::ElementsAre("renamed")) << "another namespace's";
  sh("rmdir /sys/class/net/eth0");
  EXPECT_THAT(beside(), testing::ElementsAre("renamed")) << "none";
}

// Its error comes at the end of the list, where libnl does not look.
TEST_F(ParentTest, AListThatFailsIsNotAnEmptyOne) {
  auto kernel = RtnlKernel::open();
  const auto addresses = kernel->socket().collect(request::addresses_on(4242), "list addresses", decode_address);
  ASSERT_FALSE(addresses);
  EXPECT_THAT(addresses.error().message, testing::HasSubstr("No such device"));
}

// A guest's route may not have it as its source yet, and with a failed duplicate detection never.
TEST_F(ParentTest, ATentativeAddressIsNotPreferred) {
  sh("cd /proc/sys/net/ipv6/conf/eth0; echo 1 >accept_dad; echo 10 >dad_transmits; ip addr add 2001:db8:1::11/64 dev "
     "eth0");
  ASSERT_THAT(output_of("ip -6 addr show tentative"), testing::HasSubstr("2001:db8:1::11"));
  const auto addresses = eth0().addresses;
  const auto found =
      std::ranges::find(addresses, *IpAddress::parse("2001:db8:1::11"), [](const auto& a) { return a.prefix.address; });
  ASSERT_NE(found, addresses.end());
  EXPECT_FALSE(found->preferred);
}

}  // namespace
}  // namespace vmt
