// SPDX-License-Identifier: LGPL-2.1-or-later
// The frames that a Linux guest sends, and its answers to our questions.
#include "lib/frame.h"

#include <gmock/gmock.h>

#include "tests/netns/frame_fixture.h"

namespace vmt {
namespace {

class FrameTest : public FrameLanTest {
 protected:
  static void set(const std::string& sysctl, const std::string& value) {
    sh("ip netns exec web sh -c 'echo " + value + " >/proc/sys/net/" + sysctl + "'");
  }
};

TEST_F(FrameTest, AGuestAnswersOurQuestions) {
  auto shim = listen("", "vmt-1");
  const auto mac = *MacAddress::parse("52:54:00:ee:00:20");
  const auto web = *MacAddress::parse(kMac);
  const struct {
    const char* asker;
    const char* target;
    const char* answer;
  } families[] = {{"192.0.2.10", "192.0.2.61", kWeb4}, {"2001:db8:1::10", "2001:db8:1::61", kWeb6}};
  for (const auto& row : families)
    for (const auto& to : {std::optional<MacAddress>(), std::optional(web)}) {
      const Asker asker{mac, *IpAddress::parse(row.asker)};
      send(shim, question(asker, *IpAddress::parse(row.target), to));
      EXPECT_TRUE(hears(shim, row.answer)) << row.target << (to ? " alone" : " among all");
    }
}

TEST_F(FrameTest, AGuestThatHasNotTheAddressStaysSilent) {
  auto shim = listen("", "vmt-1");
  const Asker asker{*MacAddress::parse("52:54:00:ee:00:20"), *IpAddress::parse("192.0.2.10")};
  send(shim, question(asker, *IpAddress::parse("192.0.2.62"), *MacAddress::parse(kMac)));
  send(shim, question(asker, *IpAddress::parse("192.0.2.61"), *MacAddress::parse(kMac)));
  EXPECT_THAT(heard(shim, kWeb4), testing::ElementsAre(kWeb4));
}

TEST_F(FrameTest, HearsDuplicateDetectionOfANewAddress) {
  auto shim = listen("", "vmt-1");
  sh("ip -n web addr add 2001:db8:1::77/64 dev g0");
  EXPECT_TRUE(hears(shim, "52:54:00:12:34:56 2001:db8:1::77"));
}

TEST_F(FrameTest, HearsAGuestThatLooksForTheHost) {
  auto shim = listen("", "vmt-1");
  sh("ip netns exec web ping -c 1 -W 1 192.0.2.10 >/dev/null || true");
  EXPECT_TRUE(hears(shim, kWeb4));
  sh("ip netns exec web ping -c 1 -W 1 2001:db8:1::10 >/dev/null || true");
  EXPECT_TRUE(hears(shim, kWeb6));
}

// What the kernel sends when a link's MAC has changed, as after a migration.
TEST_F(FrameTest, HearsGratuitousArpAndUnsolicitedAdvertisements) {
  auto shim = listen("", "vmt-1");
  set("ipv4/conf/g0/arp_notify", "1");
  sh("ip -n web link set g0 address 52:54:00:12:34:99");
  EXPECT_TRUE(hears(shim, "52:54:00:12:34:99 192.0.2.61"));
  set("ipv4/conf/g0/arp_notify", "0");
  set("ipv6/conf/g0/ndisc_notify", "1");
  sh("ip -n web link set g0 address 52:54:00:12:34:98");
  EXPECT_TRUE(hears(shim, "52:54:00:12:34:98 2001:db8:1::61"));
}

}  // namespace
}  // namespace vmt
