// SPDX-License-Identifier: LGPL-2.1-or-later
// Which news are kept from the listener: those of links that it did not name, and its own doings, as far as the kernel
// signs them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/neighbour.h>
#include <net/if.h>

#include "lib/rtnl_events.h"
#include "lib/rtnl_kernel.h"
#include "tests/netns/events_fixture.h"

namespace vmt {
namespace {

using testing::Contains;
using testing::IsEmpty;

TEST_F(RtnlEventsTest, OnlyTheLinksAskedForWakeUsForAddressesRoutesAndNeighbours) {
  sh("ip link add br0 type bridge && ip link set br0 up && ip addr add 198.51.100.1/24 dev br0");
  auto events = listen();
  const unsigned links[] = {1, eth0_, 4711};
  ASSERT_TRUE(events.only(links));
  take(events);
  const auto change = [](const std::string& network, const std::string& dev) {
    return "ip addr add " + network + ".77/24 dev " + dev + " && ip route add " + network + ".61 dev " + dev +
           " && ip neigh add " + network + ".61 lladdr 52:54:00:12:34:56 protocol 118 dev " + dev;
  };
  sh(change("198.51.100", "br0"));
  EXPECT_THAT(take(events), testing::Each(is(Kind::kLink)));  // of br0's carrier, which comes late
  const auto news = news_of(events, change("192.0.2", "eth0"));
  for (const Kind kind : {Kind::kAddress, Kind::kRoute, Kind::kNeighbour})
    EXPECT_THAT(news, Contains(testing::AllOf(is(kind), Field("link", &Event::link, eth0_))));
  EXPECT_THAT(news_of(events, "ip route add 203.0.113.0/24 nexthop via 192.0.2.1 nexthop via 198.51.100.2"),
              Contains(is(Kind::kRoute)));
  EXPECT_THAT(news_of(events, "ip link set br0 mtu 1400"), Contains(link_news(if_nametoindex("br0"))));
  EXPECT_THAT(news_of(events, "ip netns set web 7"), Contains(is(Kind::kNamespace)));
  EXPECT_THAT(news_of(events, "ip -6 route add 2001:db8:1::61 dev eth0"), Contains(is(Kind::kRoute)));
  sh("ip -6 addr add 2001:db8:9::1/64 dev br0 nodad && ip -6 neigh add 2001:db8:9::2 lladdr 52:54:00:00:00:01 protocol "
     "118 dev br0");
  EXPECT_THAT(take(events), testing::Each(is(Kind::kLink)));  // of br0's carrier, which comes late
}

TEST_F(RtnlEventsTest, OfNeighboursOnlyThoseWithAProtocolAndThoseInVainWakeUs) {
  auto events = listen();
  const unsigned links[] = {eth0_};
  const auto neighbour = [](const std::string& rest) {
    return "ip neigh replace 192.0.2.61 lladdr 52:54:00:12:34:56 dev eth0 " + rest;
  };
  for (const bool all : {true, false}) {
    if (!all) {
      ASSERT_TRUE(events.only(links));
    }
    for (const char* stranger : {"nud stale", "nud reachable", "nud permanent"})
      EXPECT_THAT(news_of(events, neighbour(stranger)), IsEmpty()) << stranger;
    sh("ip neigh del 192.0.2.61 dev eth0");
    for (const char* protocol : {"118", "120", "99"}) {
      take(events);
      EXPECT_THAT(news_of(events, neighbour(std::string("nud permanent protocol ") + protocol)),
                  Contains(is(Kind::kNeighbour)));
      EXPECT_THAT(news_of(events, "ip neigh del 192.0.2.61 dev eth0"),
                  Contains(news_at(Kind::kNeighbour, eth0_, "192.0.2.61", true)));
    }
    take(events);
    status_of("ping -c 1 -W 4 192.0.2.77 >/dev/null");  // nobody has it
    EXPECT_THAT(until(events, [](const Event& event) { return event.kind == Kind::kNeighbour; }),
                Contains(testing::AllOf(is(Kind::kNeighbour), Field("state", &Event::state, NUD_FAILED))));
    sh("ip neigh flush dev eth0");
  }
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
    settle(shim_name(eth0_).str());
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

}  // namespace
}  // namespace vmt
