// SPDX-License-Identifier: LGPL-2.1-or-later
// The watcher on the real kernel, and a guest that means harm: which addresses it does not get, what of it is noticed
// elsewhere, and what is said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <signal.h>

#include <fstream>
#include <regex>
#include <sstream>

#include "lib/rtnl_kernel.h"
#include "tests/netns/claims.h"
#include "tests/netns/watch_fixture.h"

namespace vmt {
namespace {

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kWeb = kMac;  // the hostile one
constexpr const char* kDb = "52:54:00:12:34:62";
constexpr const char* kMail = "52:54:00:12:34:63";
constexpr const char* kPeer = "52:54:00:ee:00:01";

class WatchHostileTest : public WatchTest {
 protected:
  // `ip monitor`, as long as it lives: every route and neighbour that appears, though it be for a moment.
  class RouteNews {
   public:
    RouteNews() {
      status_of("ip monitor route neigh >/run/news.log 2>&1 & echo $! >/run/news.pid");
      while (output_of("cat /run/news.log").empty())
        status_of("ip route add 198.18.0.1 dev lo && ip route del 198.18.0.1 dev lo; sleep 0.02");
    }
    ~RouteNews() { status_of("kill $(cat /run/news.pid)"); }
    RouteNews(const RouteNews&) = delete;
    RouteNews& operator=(const RouteNews&) = delete;
    // The news about what is ours at this address.
    static std::string about(const std::string& address) {
      return output_of("grep -E '^(Deleted )?" + address + " dev vmt-.* proto 1(18|20)' /run/news.log");
    }
  };
  // Pings all the time, while it lives; whoever had the address keeps it, then.
  class Pings {
   public:
    explicit Pings(std::vector<std::string> addresses) : addresses_(std::move(addresses)) {
      for (const auto& address : addresses_)
        status_of("ping -q -i 0.05 " + address + " >/run/ping-" + address + " 2>&1 & echo $! >>/run/ping.pid");
    }
    ~Pings() {
      status_of("kill -INT $(cat /run/ping.pid); rm /run/ping.pid");
      for (const auto& address : addresses_)
        EXPECT_EQ(status_of("for i in $(seq 100); do grep -q ' 0% packet loss' /run/ping-" + address +
                            " && exit 0; sleep 0.02; done; cat /run/ping-" + address + "; exit 1"),
                  0)
            << address;
    }
    Pings(const Pings&) = delete;
    Pings& operator=(const Pings&) = delete;

   private:
    std::vector<std::string> addresses_;
  };

  void SetUp() override {
    WatchTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    add_tap_guest("web", kWeb);
    add_tap_guest("db", kDb);
    // A guest can still tell the LAN and other guests who the host was, as on any network: they do not listen here.
    sh("ip link add other type veth peer name other1 && ip addr add 192.0.2.99/32 dev other && ip addr add "
       "2001:db8:1::99/128 dev other nodad && ip link set other up; ip -n peer addr add 192.0.2.20/24 dev eth0; ip -n "
       "peer addr add 2001:db8:1::20/64 dev eth0 nodad");
    pin("peer", "eth0", "52:54:00:ee:00:10");
  }
  // `mac` is the host's, as this machine sees it.
  static void pin(const std::string& name, const std::string& link, const std::string& mac) {
    for (const char* address : {"192.0.2.10", "2001:db8:1::10"})
      sh("ip -n " + name + " neigh replace " + address + " dev " + link + " nud permanent lladdr " + mac);
  }
  static void pin_in_guest(const std::string& name) {
    pin(name, "g0", output_of("cat /sys/class/net/vmt-*/address | tr -d '\n'"));
  }
  void give_db_its_addresses() {
    sh("ip -n db addr add 192.0.2.62/24 dev g0 && ip -n db addr add 2001:db8:1::62/64 dev g0 nodad");
    ASSERT_TRUE(reaches("db", "192.0.2.10") && eventually([] { return reaches("db", "2001:db8:1::10"); }));
    ASSERT_TRUE(has_route("192.0.2.62") && has_route("2001:db8:1::62"));
    pin_in_guest("db");
  }
  static void web_claims(const std::string& address, int times = 3) {
    for (int i = 0; i < times; ++i)
      for (const auto& frame : claims(kWeb, address)) send_frame("web", "g0", frame);
  }
  // What is sent before it has been heard by then.
  static void wait_until_all_is_decided(const std::string& address) {
    announce("db", kDb, address);
    EXPECT_TRUE(eventually([&] { return has_route(address); })) << address;
  }
  static std::vector<std::string> lines_about(const std::string& address) {
    std::vector<std::string> lines;
    const std::regex whole("(claims|address) " + address + "[, ]");
    std::istringstream all(log());
    for (std::string line; std::getline(all, line);)
      if (std::regex_search(line, whole)) lines.push_back(line);
    return lines;
  }
  static void write_config(const std::string& text) { std::ofstream("/run/watch.conf") << text; }
};

TEST_F(WatchHostileTest, SomeAddressesAreNobodysAndItIsSaidOnce) {
  start();
  const RouteNews news;
  const Pings pings({"192.0.2.1", "2001:db8:1::1"});
  const std::map<std::string, std::string> refused = {
      {"192.0.2.10", "the host's own"}, {"2001:db8:1::10", "the host's own"}, {"192.0.2.1", "a gateway's"},
      {"2001:db8:1::1", "a gateway's"}, {"198.51.100.5", "off-link"},         {"2001:db8:2::5", "off-link"},
      {"192.0.2.0", "reserved"},        {"192.0.2.255", "reserved"},          {"2001:db8:1::", "reserved"}};
  for (const auto& [address, why] : refused) web_claims(address);
  wait_until_all_is_decided("192.0.2.162");
  for (const auto& [address, why] : refused) {
    EXPECT_THAT(lines_about(address), AllOf(SizeIs(1), Each(AllOf(HasSubstr(kWeb), HasSubstr(why))))) << address;
    EXPECT_THAT(news.about(address), IsEmpty());
  }
}

TEST_F(WatchHostileTest, WhatNoNetworkGivesToAnybodyIsNotEvenWorthALine) {
  start();
  const RouteNews news;
  const std::vector<std::string> nothing = {"224.0.0.5", "255.255.255.255", "240.0.0.1",   "127.0.0.1",
                                            "0.0.0.0",   "0.1.2.3",         "169.254.7.7", "::",
                                            "::1",       "ff02::1",         "fe80::1",     "::ffff:192.0.2.77"};
  for (const auto& address : nothing)
    if (address != "0.0.0.0") web_claims(address);
  // Its question for the host would be a probe for the host's address.
  send_frame("web", "g0", claims(kWeb, "0.0.0.0")[0]);
  send_frame("web", "g0", claims(kWeb, "0.0.0.0")[1]);
  wait_until_all_is_decided("192.0.2.162");
  EXPECT_THAT(log(), IsEmpty());
  for (const auto& address : nothing) EXPECT_THAT(news.about(address), IsEmpty());
  EXPECT_FALSE(has_route("192.0.2.77"));
}

TEST_F(WatchHostileTest, WhatOthersHoldStaysTheirs) {
  start();
  give_db_its_addresses();
  const std::map<std::string, std::string> held = {
      {"192.0.2.20", kPeer}, {"2001:db8:1::20", kPeer}, {"192.0.2.62", kDb}, {"2001:db8:1::62", kDb}};
  const std::vector<std::string> on_another_link = {"192.0.2.99", "2001:db8:1::99"};
  {
    const RouteNews news;
    const Pings pings({"192.0.2.20", "2001:db8:1::20", "192.0.2.62", "2001:db8:1::62"});
    for (const auto& [address, mac] : held) web_claims(address);
    for (const auto& address : on_another_link) web_claims(address);
    wait_until_all_is_decided("192.0.2.162");
    web_claims("192.0.2.20");
    web_claims("192.0.2.62");
    EXPECT_TRUE(never([] { return has_route("192.0.2.20"); }));
    for (const auto& [address, mac] : held) {
      EXPECT_THAT(lines_about(address), AllOf(SizeIs(1), Each(AllOf(HasSubstr(kWeb), HasSubstr(mac))))) << address;
      EXPECT_THAT(news.about(address), IsEmpty());
    }
    for (const auto& address : on_another_link) {
      EXPECT_THAT(lines_about(address), AllOf(SizeIs(1), Each(AllOf(HasSubstr(kWeb), HasSubstr("own"))))) << address;
      EXPECT_THAT(news.about(address), IsEmpty());
    }
  }
  EXPECT_EQ(output_of("ip neigh show nud permanent | grep -c " + std::string(kWeb)), "0\n");
}

TEST_F(WatchHostileTest, WhatAnotherGuestWasGivenStaysItsOwn) {
  add_tap_guest("mail", kMail);
  sh("ip -n mail addr add 192.0.2.63/24 dev g0 && ip -n mail addr add 2001:db8:1::63/64 dev g0 nodad");
  // By the hook for mail, and by the file for one that is not there now, and for db.
  write_config("[guest db]\n" + std::string(kDb) +
               " = 192.0.2.62\n[guest away]\n52:54:00:12:34:69 = 192.0.2.69 2001:db8:1::69\n");
  start("--config /run/watch.conf");
  auto kernel = RtnlKernel::open();
  const unsigned parent = if_nametoindex("eth0");
  const auto owned = kernel->owned(Scope{});
  ASSERT_TRUE(owned && owned->shims.size() == 1);
  pin_in_guest("mail");
  for (const auto& [guest, source] : {std::pair("192.0.2.63", "192.0.2.10"), {"2001:db8:1::63", "2001:db8:1::10"}}) {
    ASSERT_TRUE(
        kernel->apply(AddNeighbour{parent, *IpAddress::parse(guest), *MacAddress::parse(kMail), Origin::kGiven}));
    ASSERT_TRUE(kernel->apply(AddRoute{parent, *IpAddress::parse(guest), *IpAddress::parse(source)}));
  }
  const std::map<std::string, std::string> given = {{"192.0.2.63", kMail},
                                                    {"2001:db8:1::63", kMail},
                                                    {"192.0.2.62", kDb},
                                                    {"192.0.2.69", "52:54:00:12:34:69"},
                                                    {"2001:db8:1::69", "52:54:00:12:34:69"}};
  ASSERT_TRUE(eventually([] { return has_route("192.0.2.62") && reaches("", "192.0.2.63"); }));
  const std::string before = ours();
  const RouteNews news;
  {
    const Pings pings({"192.0.2.63", "2001:db8:1::63"});
    for (const auto& [address, mac] : given) web_claims(address);
    EXPECT_TRUE(never([&] { return ours() != before; })) << ours();
  }
  for (const auto& [address, mac] : given) {
    EXPECT_THAT(lines_about(address), AllOf(SizeIs(1), Each(AllOf(HasSubstr(kWeb), HasSubstr(mac))))) << address;
    EXPECT_THAT(news.about(address), IsEmpty());
  }
}

TEST_F(WatchHostileTest, AGuestGetsEightAddressesAndAnotherOneForOneThatItDrops) {
  start();
  const std::vector<std::string> wanted = {"192.0.2.101",     "2001:db8:1::101", "192.0.2.102", "2001:db8:1::102",
                                           "192.0.2.103",     "2001:db8:1::103", "192.0.2.104", "2001:db8:1::104",
                                           "2001:db8:1::105", "192.0.2.105"};
  for (std::size_t i = 0; i < 8; ++i)
    sh("ip -n web addr add " + wanted[i] + (i % 2 == 0 ? "/24 dev g0" : "/64 dev g0 nodad"));
  const auto count = [] {
    return output_of("{ ip -4 route show proto 118; ip -6 route show proto 118; } | grep -c 'dev vmt-'");
  };
  for (const auto& address : wanted) announce("web", kWeb, address);
  EXPECT_TRUE(eventually([&] { return count() == "8\n"; })) << ours();
  EXPECT_FALSE(has_route(wanted[8]) || has_route(wanted[9]));
  EXPECT_THAT(log(), HasSubstr("claims more than 8 addresses"));
  EXPECT_TRUE(never([&] {
    announce("web", kWeb, wanted[8]);
    return count() != "8\n";
  }));
  sh("ip -n web addr del 192.0.2.103/24 dev g0");
  EXPECT_TRUE(eventually([&] {
    announce("web", kWeb, wanted[8]);
    return has_route(wanted[8]);
  }));
  EXPECT_FALSE(has_route("192.0.2.103"));
  EXPECT_EQ(count(), "8\n");
  EXPECT_EQ(std::ranges::count(log(), '\n'), 1);
}

TEST_F(WatchHostileTest, FramesThatContradictThemselvesSayNothing) {
  start();
  const RouteNews news;
  const auto v4 = *IpAddress::parse("192.0.2.61");
  const auto mac = *MacAddress::parse(kWeb);
  const MacAddress peer = *MacAddress::parse(kPeer);
  std::vector<Frame> frames;
  for (const auto& frame : claims_v4(mac, v4)) {
    if (frame.size() != kArpRequest.size()) continue;
    frames.push_back(put(frame, kArpShaAt, peer.bytes()));
    frames.push_back(put(frame, kSourceAt, hex("010000000001")));
    frames.push_back(Frame(frame.begin(), frame.begin() + kArpTargetAt));
    frames.push_back(patched(frame, {{14, "0002"}}));
  }
  for (const auto& frame : claims_v6(mac, *IpAddress::parse("2001:db8:1::61"))) {
    frames.push_back(patched(frame, {{kHopLimitAt, "40"}}));
    frames.push_back(patched(frame, {{kHopLimitAt, "fe"}}));
    frames.push_back(Frame(frame.begin(), frame.begin() + kTargetAt + 8));
    frames.push_back(patched(frame, {{18, "ffff"}}));
  }
  const auto discovery = claims_v6(mac, *IpAddress::parse("2001:db8:1::61"));
  for (const Frame& frame : {discovery[0], discovery[2]}) frames.push_back(put(frame, kLinkLayerAt, peer.bytes()));
  for (const auto& frame : frames) send_frame("web", "g0", frame);
  wait_until_all_is_decided("192.0.2.162");
  for (const char* address : {"192.0.2.61", "2001:db8:1::61"}) EXPECT_THAT(news.about(address), IsEmpty());
  EXPECT_THAT(log(), IsEmpty());
  // The same ones without the fault.
  for (const auto& frame : {claims_v4(mac, v4)[0], kAdvertisement}) send_frame("web", "g0", frame);
  EXPECT_TRUE(eventually([] { return has_route("192.0.2.61") && has_route("2001:db8:1::61"); }));
}

TEST_F(WatchHostileTest, AGuestThatSpeaksInTheNameOfALanMachineGetsNothing) {
  start();
  give_db_its_addresses();
  const RouteNews news;
  {
    const Pings pings({"192.0.2.62", "2001:db8:1::62", "192.0.2.20"});
    for (const char* address : {"192.0.2.55", "2001:db8:1::55", "192.0.2.20", "192.0.2.62", "2001:db8:1::62"})
      for (int i = 0; i < 3; ++i)
        for (const auto& frame : claims(kPeer, address)) send_frame("web", "g0", frame);
    wait_until_all_is_decided("192.0.2.162");
  }
  for (const char* address : {"192.0.2.55", "2001:db8:1::55", "192.0.2.20", "192.0.2.62", "2001:db8:1::62"})
    EXPECT_THAT(news.about(address), IsEmpty());
  for (const char* address : {"192.0.2.62", "2001:db8:1::62"})
    EXPECT_THAT(lines_about(address), AllOf(SizeIs(1), Each(AllOf(HasSubstr(kPeer), HasSubstr(kDb)))));
  EXPECT_THAT(lines_about("192.0.2.55"), IsEmpty());
}

// Too many frames in its name make it unheard, and so its defence would be.
TEST_F(WatchHostileTest, AGuestThatIsMadeUnheardByAnotherOneKeepsItsAddresses) {
  start();
  give_db_its_addresses();
  const RouteNews news;
  {
    Flood flood("web", "g0", claims(kDb, "192.0.2.62"), 20'000);
    ASSERT_TRUE(eventually([] { return log().find("frames of") != std::string::npos; }));
    EXPECT_TRUE(never([] {
      web_claims("192.0.2.62", 1);
      web_claims("2001:db8:1::62", 1);
      return output_of("ip neigh show nud permanent").find(kWeb) != std::string::npos || !has_route("192.0.2.62");
    }));
  }
  for (const char* address : {"192.0.2.62", "2001:db8:1::62"}) EXPECT_THAT(news.about(address), IsEmpty());
  EXPECT_TRUE(reaches("", "192.0.2.62") && reaches("", "2001:db8:1::62"));
}

TEST_F(WatchHostileTest, LearningIsTurnedOffAndMadeStrictByTheFile) {
  const std::string db_is_given = "[guest db]\n" + std::string(kDb) + " = 192.0.2.62\n";
  const auto reload = [&](const std::string& text) {
    write_config(text);
    kill(watcher(), SIGHUP);
  };
  const auto learned_when_announced = [](const std::string& name, const char* mac, const std::string& address) {
    return [=] {
      announce(name, mac, address);
      return has_route(address);
    };
  };
  const auto web = learned_when_announced("web", kWeb, "192.0.2.61");
  const auto db = learned_when_announced("db", kDb, "192.0.2.72");

  write_config("[parent eth0]\nlearn = no\n" + db_is_given + "learn = yes\n");
  start("--config /run/watch.conf");
  EXPECT_TRUE(has_route("192.0.2.62"));
  EXPECT_TRUE(eventually(db));
  EXPECT_TRUE(never(web));
  reload("learn = strict\n" + db_is_given);
  EXPECT_TRUE(eventually([] { return !has_route("192.0.2.72"); }));
  EXPECT_TRUE(eventually(web));
  EXPECT_TRUE(never(db));
  const std::string before = ours();
  EXPECT_THAT(log(), IsEmpty());
  reload("learn = perhaps\n");
  EXPECT_TRUE(eventually([] { return !log().empty(); }));
  EXPECT_THAT(log(), AllOf(HasSubstr("/run/watch.conf:1: 'perhaps'"), HasSubstr("stays in force")));
  EXPECT_EQ(std::ranges::count(log(), '\n'), 1);
  EXPECT_TRUE(never(db));
  EXPECT_EQ(ours(), before);
  reload(db_is_given + "learn = no\n");
  EXPECT_TRUE(never(db));
  reload("learn = no\n");
  EXPECT_TRUE(eventually([] { return !has_route("192.0.2.61") && !has_route("192.0.2.62"); }));
}

}  // namespace
}  // namespace vmt
