// SPDX-License-Identifier: LGPL-2.1-or-later
// What the kernel tells of its changes, and what of it is heard.
#include "lib/rtnl_events.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/rtnl_device.h"
#include "lib/rtnl_device_request.h"
#include "tests/netns/events_fixture.h"

namespace vmt {
namespace {

using testing::Contains;
using testing::Each;
using testing::IsEmpty;
using testing::Not;

TEST_F(RtnlEventsTest, EveryChangeOfALinkIsTold) {
  auto events = listen();
  sh("ip link add br0 type bridge");
  const unsigned br0 = if_nametoindex("br0");
  EXPECT_THAT(take(events), Contains(link_news(br0)));
  for (const std::string change :
       {"address 52:54:00:00:00:05", "name br1", "up", "mtu 1400", "alias shim", "group 77", "down"}) {
    const auto news = news_of(events, "ip link set dev $(ls /sys/class/net | grep br) " + change);
    EXPECT_THAT(news, Contains(link_news(br0))) << change;
    EXPECT_THAT(news, Not(Contains(link_news(br0, true)))) << change;
  }
  EXPECT_THAT(news_of(events, "ip link del br1"), Contains(link_news(br0, true)));
  EXPECT_THAT(take(events), IsEmpty());
}

TEST_F(RtnlEventsTest, ALostCarrierIsTold) {
  auto events = listen();
  sh("ip -n peer link set eth0 down");
  const auto on_eth0 = [&](const Event& event) { return event.kind == Kind::kLink && event.link == eth0_; };
  EXPECT_THAT(until(events, on_eth0), Contains(link_news(eth0_)));
}

TEST_F(RtnlEventsTest, AMacvtapIsToldWithItsParentAndItsParentIsToldToo) {
  auto events = listen();
  auto news = news_of(events, "ip link add link eth0 name m0 address 52:54:00:12:34:56 type macvtap mode bridge");
  const unsigned m0 = if_nametoindex("m0");
  const Event came{
      .kind = Kind::kLink, .child = true, .link = m0, .lower = eth0_, .mac = *MacAddress::parse("52:54:00:12:34:56")};
  EXPECT_THAT(news, Contains(came));
  EXPECT_THAT(news, Contains(link_news(eth0_)));
  news = news_of(events, "ip link del m0");
  Event went = came;
  went.gone = true;
  EXPECT_THAT(news, Contains(went));
  EXPECT_THAT(news, Contains(link_news(eth0_)));
}

TEST_F(RtnlEventsTest, ABridgeThatLosesAPortLosesNoLink) {
  sh("ip link add br0 type bridge && ip link add name v0 type veth peer name v1 && ip link set v0 master br0");
  auto events = listen();
  const auto news = news_of(events, "ip link set v0 nomaster");
  EXPECT_THAT(news, Contains(link_news(if_nametoindex("v0"))));
  EXPECT_THAT(news, Each(Field("gone", &Event::gone, false)));
}

TEST_F(RtnlEventsTest, AMacvtapInANumberedNamespaceIsToldWithItsNumber) {
  sh("ip netns set web 7");
  auto events = listen();
  ASSERT_TRUE(events.hears_other_namespaces());
  add_macvtap_elsewhere();
  const unsigned m0 = index_in_web("m0");
  const auto here = testing::AllOf(link_news(m0), Field("nsid", &Event::nsid, std::optional(7)),
                                   Field("lower", &Event::lower, eth0_), Field("child", &Event::child, true));
  EXPECT_THAT(take(events), Contains(here));
  const auto news = news_of(events, "ip -n web link set m0 address 52:54:00:00:00:09");
  EXPECT_THAT(news, Contains(here));
  EXPECT_EQ(news.back().mac, *MacAddress::parse("52:54:00:00:00:09"));
  EXPECT_THAT(news_of(events, "ip -n web link set m0 up"), Contains(here));
  EXPECT_THAT(news_of(events, "ip -n web link del m0"),
              Contains(testing::AllOf(link_news(m0, true), Field("lower", &Event::lower, eth0_))));
}

TEST_F(RtnlEventsTest, AMacvtapInANamespaceWithoutANumberIsToldByItsParentAndByTheNumber) {
  auto events = listen();
  add_macvtap_elsewhere();
  EXPECT_THAT(take(events), testing::AllOf(Contains(link_news(eth0_)), Each(Field("link", &Event::link, eth0_))));
  const auto news = news_of(events, "ip netns set web 7");
  EXPECT_THAT(news, Contains(Event{.kind = Kind::kNamespace, .nsid = 7}));
}

TEST_F(RtnlEventsTest, NothingElseOfOtherNamespacesIsTold) {
  sh("ip netns set web 7");
  auto events = listen();
  sh("ip -n web link add br0 type bridge && ip -n web link set br0 up && ip -n web link set lo up && ip -n web addr "
     "add 198.51.100.1/24 dev br0 && ip -n web route add 203.0.113.0/24 via 198.51.100.2 && ip -n web neigh add "
     "198.51.100.3 lladdr 52:54:00:00:00:01 dev br0 && ip -n web link add link br0 name m0 type macvlan mode bridge");
  EXPECT_THAT(take(events), IsEmpty());
}

// By kernels that mark our own messages with that number, and by those that do not.
TEST_F(RtnlEventsTest, OurOwnNamespaceIsOursAfterItGotANumberToo) {
  auto events = listen();
  auto socket = RtnlSocket::open();
  ASSERT_TRUE(socket);
  sh("ip netns set web 7");
  add_macvtap_elsewhere();
  take(events);  // a foreign number has been asked for, and ours was none then
  ASSERT_EQ(own_nsid(*socket), std::nullopt);
  ASSERT_TRUE(socket->request(request::new_nsid(gettid()), "give ourselves a number"));
  ASSERT_TRUE(own_nsid(*socket)->has_value());
  const auto news = news_of(events, "ip link set eth0 alias uplink && ip addr add 192.0.2.11/24 dev eth0");
  EXPECT_THAT(news, Contains(link_news(eth0_)));
  EXPECT_THAT(news, Contains(news_at(Kind::kAddress, eth0_, "192.0.2.11/24")));
  EXPECT_THAT(news, Each(Field("nsid", &Event::nsid, std::nullopt)));
}

TEST_F(RtnlEventsTest, ANumberThatWasAnothersIsOursWhenWeGetIt) {
  auto events = listen();
  auto socket = RtnlSocket::open();
  ASSERT_TRUE(socket);
  sh("ip netns set web 1");
  add_macvtap_elsewhere();
  take(events);
  sh("ip netns del web");
  until(events, [](const Event& event) { return event.kind == Kind::kNamespace && event.gone; });
  ASSERT_TRUE(socket->request(request::new_nsid(gettid()), "give ourselves a number"));
  ASSERT_EQ(own_nsid(*socket), 1);
  EXPECT_THAT(news_of(events, "ip link set eth0 mtu 1400"), Contains(link_news(eth0_)));
}

// So a number that goes means "look again at the parents", and the parents do say so, later.
TEST_F(RtnlEventsTest, ANamespaceThatDiesLosesItsNumberFirstAndItsLinksUnheard) {
  sh("ip netns set web 7");
  add_macvtap_elsewhere();
  const unsigned m0 = index_in_web("m0");
  auto events = listen();
  sh("ip netns del web");
  const auto parents = [&](const Event& event) { return event.kind == Kind::kLink && event.link == eth0_; };
  const auto news = until(events, parents);
  EXPECT_THAT(news, Not(Contains(link_news(m0, true))));
  ASSERT_THAT(news, Contains(Event{.kind = Kind::kNamespace, .gone = true, .nsid = 7}));
  ASSERT_THAT(news, Contains(link_news(eth0_)));
  const auto number = std::ranges::find(news, Kind::kNamespace, &Event::kind);
  EXPECT_LT(number, std::ranges::find_if(news, parents));
}

TEST_F(RtnlEventsTest, ANamespaceThatIsGoneWhenItsNewsAreReadDoesNoHarm) {
  auto events = listen();
  sh("ip netns set web 7");
  add_macvtap_elsewhere();
  auto later = listen();
  sh("ip netns del web");
  until(later, [](const Event& event) { return event.kind == Kind::kNamespace && event.gone; });
  const auto news = take(events);
  EXPECT_THAT(news, Contains(testing::AllOf(is(Kind::kLink), Field("nsid", &Event::nsid, std::optional(7)))));
  EXPECT_THAT(news, Contains(Event{.kind = Kind::kNamespace, .gone = true, .nsid = 7}));
}

TEST_F(RtnlEventsTest, AddressesAreToldWithTheirLink) {
  auto events = listen();
  for (const std::string address : {"192.0.2.11/24", "2001:db8:1::11/64"}) {
    EXPECT_THAT(news_of(events, "ip addr add " + address + " dev eth0"),
                Contains(news_at(Kind::kAddress, eth0_, address)));
    EXPECT_THAT(news_of(events, "ip addr del " + address + " dev eth0"),
                Contains(news_at(Kind::kAddress, eth0_, address, true)));
  }
}

TEST_F(RtnlEventsTest, RoutesAreToldWithTheirProtocolFlushedOnesAlso) {
  auto events = listen();
  for (const std::string route : {"192.0.2.61", "2001:db8:1::61"}) {
    const auto news = news_of(events, "ip route add " + route + " dev eth0 proto 118");
    EXPECT_THAT(news, Contains(testing::AllOf(news_at(Kind::kRoute, eth0_, route),
                                              Field("protocol", &Event::protocol, kGuestProtocol))));
  }
  EXPECT_THAT(news_of(events, "ip route flush proto 118"), Contains(news_at(Kind::kRoute, eth0_, "192.0.2.61", true)));
  EXPECT_THAT(news_of(events, "ip -6 route flush proto 118"),
              Contains(news_at(Kind::kRoute, eth0_, "2001:db8:1::61", true)));
  const auto many = news_of(events, "ip route add 203.0.113.0/24 nexthop via 192.0.2.1 nexthop via 192.0.2.2");
  EXPECT_THAT(many, Contains(news_at(Kind::kRoute, 0, "203.0.113.0/24")));
  EXPECT_THAT(news_of(events, "ip route add 203.0.113.0/24 dev eth0 table 77; ip route add local 203.0.113.1 dev lo"),
              IsEmpty());
}

TEST_F(RtnlEventsTest, Ipv4RoutesThatGoWithTheirLinksStateAreNotTold) {
  sh("ip route add 192.0.2.61 dev eth0 proto 118 && ip route add 2001:db8:1::61 dev eth0 proto 118");
  auto events = listen();
  const auto news = news_of(events, "ip link set eth0 down");
  EXPECT_EQ(output_of("ip route show proto 118"), "");
  EXPECT_THAT(news, Contains(link_news(eth0_)));
  EXPECT_THAT(news, Not(Contains(news_at(Kind::kRoute, eth0_, "192.0.2.61", true))));
}

TEST_F(RtnlEventsTest, NeighboursAreToldWithStateMacAndOwner) {
  auto events = listen();
  for (const std::string address : {"192.0.2.61", "2001:db8:1::61"}) {
    const Event pinned{.kind = Kind::kNeighbour,
                       .protocol = kGuestProtocol,
                       .state = NUD_PERMANENT,
                       .link = eth0_,
                       .address = *IpPrefix::parse(address),
                       .mac = *MacAddress::parse("52:54:00:12:34:56")};
    EXPECT_THAT(news_of(events, "ip neigh add " + address + " lladdr 52:54:00:12:34:56 dev eth0 protocol 118"),
                Contains(pinned));
    EXPECT_THAT(news_of(events, "ip neigh del " + address + " dev eth0"),
                Contains(news_at(Kind::kNeighbour, eth0_, address, true)));
  }
}

// Nor when somebody takes one away: who wants them back looks for them now and then.
TEST_F(RtnlEventsTest, TheKernelTellsNothingOfProxyEntries) {
  auto events = listen();
  EXPECT_THAT(news_of(events, "ip neigh add proxy 2001:db8:1::10 dev eth0"), IsEmpty());
  EXPECT_THAT(news_of(events, "ip neigh del proxy 2001:db8:1::10 dev eth0"), IsEmpty());
}

// A shim is down only before it has its alias.
TEST_F(RtnlEventsTest, TheKernelTellsNothingOfAnAliasOrAGroupOfALinkThatIsDown) {
  sh("ip link add br0 type bridge");
  auto events = listen();
  EXPECT_THAT(news_of(events, "ip link set br0 alias shim && ip link set br0 group 77"), IsEmpty());
}

TEST_F(RtnlEventsTest, ForwardingEntriesOfABridgeAreNoNeighbours) {
  sh("ip link add br0 type bridge && ip link add name v0 type veth peer name v1 && ip link set v0 master br0");
  auto events = listen();
  EXPECT_THAT(news_of(events, "bridge fdb add 52:54:00:00:00:01 dev v0 master static"), IsEmpty());
}

TEST_F(RtnlEventsTest, AnOverrunIsToldAndAfterItAllIsHeardAgain) {
  auto events = listen(1);
  sh("for i in $(seq 300); do echo addr add 198.18.$((i / 250)).$((i % 250 + 1))/32 dev eth0; done | ip -batch -");
  auto news = take(events);
  EXPECT_THAT(news, Contains(Event{.kind = Kind::kLost}));
  EXPECT_LT(news.size(), 300U);
  news = news_of(events, "ip addr add 192.0.2.11/24 dev eth0");
  EXPECT_THAT(news, Contains(news_at(Kind::kAddress, eth0_, "192.0.2.11/24")));
  EXPECT_THAT(news, Not(Contains(is(Kind::kLost))));
}

TEST_F(RtnlEventsTest, WhenNewsCannotBeReadAnythingMayHaveHappened) {
  auto events = listen();
  const Fd socket(dup(events.fd()));
  const Fd unreadable(open("/dev/null", O_RDONLY | O_CLOEXEC));
  sh("ip addr add 192.0.2.11/24 dev eth0");
  ASSERT_EQ(dup3(unreadable.get(), events.fd(), O_CLOEXEC), events.fd());
  EXPECT_FALSE(events.take());
  ASSERT_EQ(dup3(socket.get(), events.fd(), O_CLOEXEC), events.fd());
  EXPECT_THAT(take(events), Contains(is(Kind::kLost)));
  EXPECT_THAT(take(events), IsEmpty());
}

TEST_F(RtnlEventsTest, ThousandsOfChangesFitIntoTheBufferAndComeInBitesThatDoNotStarveOthers) {
  auto events = listen();
  sh("for i in $(seq 5000); do echo route add 198.18.$((i / 250)).$((i % 250 + 1)) dev eth0; done | ip -batch -");
  auto news = take(events);
  EXPECT_LT(news.size(), 5000U);
  EXPECT_TRUE(readable(events));
  std::ranges::move(take(events), std::back_inserter(news));
  EXPECT_EQ(std::ranges::count(news, Kind::kRoute, &Event::kind), 5000);
  EXPECT_EQ(std::ranges::count(news, Kind::kLost, &Event::kind), 0);
}

TEST_F(RtnlEventsTest, AMessageThatDoesNotFitCountsAsLost) {
  sh("for i in $(seq 300); do echo link property add dev eth0 altname $(printf %0120d $i); done | ip -batch -");
  auto events = listen();
  const auto news = news_of(events, "ip link set eth0 mtu 1400");
  EXPECT_THAT(news, Contains(is(Kind::kLost)));
  EXPECT_THAT(news, Not(Contains(link_news(eth0_))));
}

TEST_F(RtnlEventsTest, WhatAProgramSaysIsNoNews) {
  auto events = listen();
  const Fd liar(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  const auto message = request::link_by_name(*IfName::parse("eth0"));
  nlmsghdr* header = nlmsg_hdr(message.get());
  header->nlmsg_type = RTM_DELLINK;
  sockaddr_nl everybody{};
  socklen_t size = sizeof everybody;
  everybody.nl_family = AF_NETLINK;
  ASSERT_EQ(bind(liar.get(), reinterpret_cast<sockaddr*>(&everybody), size), 0);
  ASSERT_EQ(getsockname(liar.get(), reinterpret_cast<sockaddr*>(&everybody), &size), 0);  // not to the kernel
  everybody.nl_groups = RTMGRP_LINK;
  ASSERT_EQ(sendto(liar.get(), header, header->nlmsg_len, 0, reinterpret_cast<sockaddr*>(&everybody), sizeof everybody),
            static_cast<ssize_t>(header->nlmsg_len));
  EXPECT_TRUE(readable(events));
  EXPECT_THAT(take(events), IsEmpty());
}

TEST_F(RtnlEventsTest, WithoutCapabilitiesItHearsItsOwnNamespaceOnly) {
  const pid_t child = fork();
  if (child == 0) {
    if (setresuid(65534, 65534, 65534) != 0) _exit(1);
    auto events = RtnlEvents::open();
    if (!events) _exit(2);
    _exit(events->hears_other_namespaces() ? 3 : 0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace vmt
