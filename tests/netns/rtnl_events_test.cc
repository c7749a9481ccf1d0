// SPDX-License-Identifier: LGPL-2.1-or-later
// What the kernel tells of its changes, and what of it is heard.
#include "lib/rtnl_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>

#include "lib/rtnl_device.h"
#include "lib/rtnl_device_request.h"
#include "lib/rtnl_kernel.h"
#include "tests/netns/namespace.h"

namespace vmt {

void PrintTo(const Event& event, std::ostream* out) {
  *out << "{kind " << static_cast<int>(event.kind) << (event.gone ? " gone" : "") << (event.child ? " child" : "")
       << " link " << event.link << " lower " << event.lower << " nsid " << event.nsid.value_or(-1) << " protocol "
       << int{event.protocol} << " state " << event.state << " address " << (event.address ? event.address->str() : "-")
       << "}";
}

namespace {

using Events = std::vector<Event>;
using Kind = Event::Kind;
using testing::Contains;
using testing::Each;
using testing::Field;
using testing::IsEmpty;
using testing::Not;

auto is(Kind kind) {
  return Field("kind", &Event::kind, kind);
}
auto link_news(unsigned link, bool gone = false) {
  return testing::AllOf(is(Kind::kLink), Field("link", &Event::link, link), Field("gone", &Event::gone, gone));
}
auto news_at(Kind kind, unsigned link, const std::string& address, bool gone = false) {
  return testing::AllOf(is(kind), Field("link", &Event::link, link), Field("gone", &Event::gone, gone),
                        Field("address", &Event::address, std::optional(*IpPrefix::parse(address))));
}

class RtnlEventsTest : public NamespaceTest {
 protected:
  void SetUp() override {
    NamespaceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    add_lan();
    sh("ip netns add web");
    eth0_ = if_nametoindex("eth0");
  }
  static RtnlEvents listen(int receive_buffer = RtnlEvents::kReceiveBuffer) {
    auto events = RtnlEvents::open(receive_buffer);
    if (!events) ADD_FAILURE() << events.error().message;
    return std::move(*events);
  }
  static Events take(RtnlEvents& events, std::span<const std::uint32_t> own = {}) {
    auto taken = events.take(own);
    if (!taken) ADD_FAILURE() << taken.error().message;
    return std::move(*taken);
  }
  // What the command causes before it ends.
  static Events news_of(RtnlEvents& events, const std::string& command) {
    take(events);
    sh(command);
    return take(events);
  }
  // For what the kernel does later: everything up to the first event that fits, or what came within five seconds.
  static Events until(RtnlEvents& events, const std::function<bool(const Event&)>& fits) {
    Events all;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (std::ranges::none_of(all, fits) && std::chrono::steady_clock::now() < deadline) {
      pollfd ready{.fd = events.fd(), .events = POLLIN, .revents = 0};
      poll(&ready, 1, 100);
      std::ranges::move(take(events), std::back_inserter(all));
    }
    return all;
  }
  static bool readable(const RtnlEvents& events) {
    pollfd ready{.fd = events.fd(), .events = POLLIN, .revents = 0};
    return poll(&ready, 1, 0) == 1;
  }
  // A macvtap on eth0 in the namespace "web".
  static void add_macvtap_elsewhere(const std::string& name = "m0") {
    sh("ip link add link eth0 name " + name + " netns web type macvtap mode bridge");
  }
  static unsigned index_in_web(const std::string& name) {
    return static_cast<unsigned>(std::stoul(output_of("ip netns exec web cat /sys/class/net/" + name + "/ifindex")));
  }

  unsigned eth0_ = 0;
};

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

TEST_F(RtnlEventsTest, OurOwnNamespaceIsOursAfterItGotANumberToo) {
  auto events = listen();
  auto socket = RtnlSocket::open();
  ASSERT_TRUE(socket);
  sh("ip netns set web 7");
  add_macvtap_elsewhere();
  take(events);  // a foreign number has been asked for, and ours was none then
  ASSERT_FALSE(own_nsid(*socket));
  ASSERT_TRUE(socket->request(request::new_nsid(socket->netns()->get()), "give ourselves a number"));
  ASSERT_TRUE(own_nsid(*socket));
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
  ASSERT_TRUE(socket->request(request::new_nsid(socket->netns()->get()), "give ourselves a number"));
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

TEST_F(RtnlEventsTest, OnlyTheLinksAskedForWakeUsForAddressesRoutesAndNeighbours) {
  sh("ip link add br0 type bridge && ip link set br0 up && ip addr add 198.51.100.1/24 dev br0");
  auto events = listen();
  const unsigned links[] = {1, eth0_, 4711};
  ASSERT_TRUE(events.only(links));
  take(events);
  const auto change = [](const std::string& network, const std::string& dev) {
    return "ip addr add " + network + ".77/24 dev " + dev + " && ip route add " + network + ".61 dev " + dev +
           " && ip neigh add " + network + ".61 lladdr 52:54:00:12:34:56 dev " + dev;
  };
  sh(change("198.51.100", "br0"));
  EXPECT_FALSE(readable(events));
  const auto news = news_of(events, change("192.0.2", "eth0"));
  for (const Kind kind : {Kind::kAddress, Kind::kRoute, Kind::kNeighbour})
    EXPECT_THAT(news, Contains(testing::AllOf(is(kind), Field("link", &Event::link, eth0_))));
  EXPECT_THAT(news_of(events, "ip route add 203.0.113.0/24 nexthop via 192.0.2.1 nexthop via 198.51.100.2"),
              Contains(is(Kind::kRoute)));
  EXPECT_THAT(news_of(events, "ip link set br0 mtu 1400"), Contains(link_news(if_nametoindex("br0"))));
  EXPECT_THAT(news_of(events, "ip netns set web 7"), Contains(is(Kind::kNamespace)));
  EXPECT_THAT(news_of(events, "ip -6 route add 2001:db8:1::61 dev eth0"), Contains(is(Kind::kRoute)));
  sh("ip -6 addr add 2001:db8:9::1/64 dev br0 nodad && ip -6 neigh add 2001:db8:9::2 lladdr 52:54:00:00:00:01 dev br0");
  EXPECT_FALSE(readable(events));
}

TEST_F(RtnlEventsTest, NoLinkOrTooManyToTellApart) {
  auto events = listen();
  ASSERT_TRUE(events.only({}));
  EXPECT_THAT(news_of(events, "ip route add 192.0.2.61 dev eth0"), IsEmpty());
  ASSERT_TRUE(events.only(std::vector<unsigned>(240, 4711)));
  EXPECT_THAT(news_of(events, "ip route add 192.0.2.62 dev eth0"), IsEmpty());
  ASSERT_TRUE(events.only(std::vector<unsigned>(241, 4711)));
  EXPECT_THAT(news_of(events, "ip route add 192.0.2.63 dev eth0"), Contains(is(Kind::kRoute)));
}

// Which of our own requests can be told from others' doings.
class AuthorTest : public RtnlEventsTest {
 protected:
  // The news of the change, without those that name us.
  Events unsigned_news(const Change& change) {
    take(*events_);
    const auto status = kernel_->apply(change);
    EXPECT_TRUE(status) << status.error().message;
    const std::uint32_t own[] = {kernel_->port()};
    return take(*events_, own);
  }
  void SetUp() override {
    RtnlEventsTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    auto kernel = RtnlKernel::open();
    ASSERT_TRUE(kernel) << kernel.error().message;
    kernel_.emplace(std::move(*kernel));
    events_.emplace(listen());
    ASSERT_TRUE(kernel_->apply(CreateShim{
        .parent = eth0_, .parent_name = *IfName::parse("eth0"), .mac = *MacAddress::parse("52:54:00:00:00:77")}));
    ASSERT_TRUE(kernel_->apply(FinishShim{.parent = eth0_, .role = ShimRole::kGuests}));
    ASSERT_TRUE(kernel_->owned({}));
    shim_ = shim_index(eth0_);
  }
  std::optional<RtnlKernel> kernel_;
  std::optional<RtnlEvents> events_;
  unsigned shim_ = 0;
};

TEST_F(AuthorTest, RoutesThatWeAddAndDeleteNameUs) {
  for (const auto& [guest, source] : {std::pair("192.0.2.61", "192.0.2.10"), {"2001:db8:1::61", "2001:db8:1::10"}}) {
    const auto to = *IpAddress::parse(guest);
    EXPECT_THAT(unsigned_news(AddRoute{.parent = eth0_, .guest = to, .source = *IpAddress::parse(source)}), IsEmpty());
    EXPECT_THAT(unsigned_news(DeleteRoute{.shim = shim_, .guest = to}), IsEmpty());
  }
}

TEST_F(AuthorTest, ANeighbourThatWeAddNamesUsAndOneThatWeDeleteGoesUnsigned) {
  for (const char* guest : {"192.0.2.61", "2001:db8:1::61"}) {
    const auto to = *IpAddress::parse(guest);
    EXPECT_THAT(
        unsigned_news(AddNeighbour{.parent = eth0_, .guest = to, .mac = *MacAddress::parse("52:54:00:12:34:56")}),
        IsEmpty());
    const auto gone = unsigned_news(DeleteNeighbour{.shim = shim_, .guest = to});
    EXPECT_THAT(gone, testing::ElementsAre(news_at(Kind::kNeighbour, shim_, guest, true)));
    EXPECT_EQ(gone.front().protocol, kGuestProtocol);
  }
}

TEST_F(AuthorTest, OurProxiesAndAddresses) {
  const auto host = *IpAddress::parse("2001:db8:1::10");
  EXPECT_THAT(unsigned_news(AddProxy{.parent = eth0_, .address = host}), IsEmpty());
  EXPECT_THAT(unsigned_news(DeleteProxy{.parent = eth0_, .address = host}), IsEmpty());
  const auto v4 = *IpPrefix::parse("192.0.2.60/32");
  EXPECT_THAT(unsigned_news(AddAddress{.parent = eth0_, .address = v4}), IsEmpty());
  EXPECT_THAT(unsigned_news(DeleteAddress{.parent = eth0_, .address = v4}), IsEmpty());
}

TEST_F(AuthorTest, WhatGoesWithALinkIsUnsignedAndTheLinkIsToldEvenIfWeDeletedIt) {
  const auto guest = *IpAddress::parse("2001:db8:1::61");
  unsigned_news(AddRoute{.parent = eth0_, .guest = guest, .source = *IpAddress::parse("2001:db8:1::10")});
  unsigned_news(AddNeighbour{.parent = eth0_, .guest = guest, .mac = *MacAddress::parse("52:54:00:12:34:56")});
  const auto news = unsigned_news(DeleteShim{.index = shim_, .name = shim_name(eth0_)});
  EXPECT_THAT(news, Contains(link_news(shim_, true)));
  EXPECT_THAT(news, Contains(news_at(Kind::kNeighbour, shim_, guest.str(), true)));
  EXPECT_THAT(news, Contains(news_at(Kind::kRoute, shim_, guest.str(), true)));
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

TEST_F(RtnlEventsTest, ThousandsOfChangesFitIntoTheBufferAndComeInBitesThatDoNotStarveOthers) {
  auto events = listen();
  sh("for i in $(seq 5000); do echo route add 198.18.$((i / 250)).$((i % 250 + 1)) dev eth0; done | ip -batch -");
  const auto first = take(events);
  EXPECT_EQ(first.size(), 4096U);
  EXPECT_TRUE(readable(events));
  EXPECT_EQ(take(events).size(), 5000U - 4096U);
  EXPECT_FALSE(readable(events));
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
