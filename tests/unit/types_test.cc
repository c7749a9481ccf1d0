// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <net/if.h>

#include "lib/if_name.h"
#include "lib/ip_address.h"
#include "lib/mac_address.h"
#include "lib/macvlan_mode.h"
#include "lib/tag.h"
#include "lib/text.h"
#include "lib/uuid.h"

namespace vmt {
namespace {

TEST(MacAddressTest, ReadsAndPrintsWhatLibvirtPrints) {
  const auto mac = MacAddress::parse("52:54:00:AB:cd:0f");
  ASSERT_TRUE(mac);
  EXPECT_EQ(mac->str(), "52:54:00:ab:cd:0f");
  EXPECT_EQ(mac->bytes()[3], 0xab);
}

TEST(MacAddressTest, RefusesWhatTheKernelWouldRefuseOnANic) {
  for (const char* text :
       {"", "52:54:00:12:34", "52:54:00:12:34:5", "52:54:00:12:34:56:78", "52-54-00-12-34-56", "52:54:00:12:34:5g",
        "+2:54:00:12:34:56", " 2:54:00:12:34:56", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"})
    EXPECT_FALSE(MacAddress::parse(text)) << text;
}

TEST(IfNameTest, TakesWhatTheKernelTakes) {
  for (const char* text : {"e", "eth0", "br-lan", "eth0.100", "a23456789012345", "ünter"})
    EXPECT_TRUE(IfName::parse(text)) << text;
  for (const char* text : {"", ".", "..", "a234567890123456", "a/b", "a:b", "a b", "a\tb", "a\nb"})
    EXPECT_FALSE(IfName::parse(text)) << text;
}

TEST(IpAddressTest, SaysWhyAnAddressCannotBeAGuests) {
  const struct {
    const char* text;
    const char* why;
  } kRows[] = {{"0.0.0.0", "is the unspecified address"},
               {"127.0.0.1", "is a loopback address"},
               {"224.0.0.1", "is a multicast address"},
               {"255.255.255.255", "is a broadcast or reserved address"},
               {"169.254.1.1", "is a link-local address"},
               {"0.1.2.3", "is in 0.0.0.0/8"},
               {"::", "is the unspecified address"},
               {"::1", "is a loopback address"},
               {"ff02::1", "is a multicast address"},
               {"fe80::1", "is a link-local address"},
               {"::ffff:192.0.2.1", "is an IPv4-mapped address"},
               {"192.0.2.1", ""},
               {"2001:db8::1", ""},
               {"fd00::1", ""}};
  for (const auto& row : kRows) EXPECT_EQ(IpAddress::parse(row.text)->why_not_a_guests(), row.why) << row.text;
}

TEST(IpAddressTest, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "192.0.2", "192.0.2.256", "192.0.2.1/24", "2001:db8::1%eth0", "web", "1"})
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  EXPECT_FALSE(IpAddress::parse(std::string_view("192.0.2.1\0x", 11)));
}

TEST(IpPrefixTest, HoldsAddressesOfItsFamilyAndPrefix) {
  const auto lan = *IpPrefix::parse("192.0.2.10/24");
  EXPECT_TRUE(lan.contains(*IpAddress::parse("192.0.2.255")));
  EXPECT_FALSE(lan.contains(*IpAddress::parse("192.0.3.1")));
  EXPECT_FALSE(lan.contains(*IpAddress::parse("2001:db8::1")));
  EXPECT_TRUE(IpPrefix::parse("10.0.0.1/9")->contains(*IpAddress::parse("10.127.0.1")));
  EXPECT_FALSE(IpPrefix::parse("10.0.0.1/9")->contains(*IpAddress::parse("10.128.0.1")));
}

TEST(IpPrefixTest, KnowsTheAddressesThatNoHostCanHave) {
  const auto lan = *IpPrefix::parse("192.0.2.10/24");
  EXPECT_TRUE(lan.is_reserved(*IpAddress::parse("192.0.2.0")));
  EXPECT_TRUE(lan.is_reserved(*IpAddress::parse("192.0.2.255")));
  EXPECT_FALSE(lan.is_reserved(*IpAddress::parse("192.0.2.254")));
  EXPECT_FALSE(IpPrefix::parse("192.0.2.10/31")->is_reserved(*IpAddress::parse("192.0.2.11")));
  EXPECT_TRUE(IpPrefix::parse("2001:db8::10/64")->is_reserved(*IpAddress::parse("2001:db8::")));
  EXPECT_FALSE(IpPrefix::parse("2001:db8::10/64")->is_reserved(*IpAddress::parse("2001:db8::ffff:ffff:ffff:ffff")));
}

TEST(IpPrefixTest, RefusesALengthOutOfBounds) {
  for (const char* text : {"192.0.2.1/33", "192.0.2.1/", "192.0.2.1/-1", "192.0.2.1/24x", "2001:db8::1/129", "/24"})
    EXPECT_FALSE(IpPrefix::parse(text)) << text;
  EXPECT_EQ(IpPrefix::parse("2001:db8::1")->length, 128U);
}

TEST(UuidTest, TakesLibvirtsFormOnly) {
  EXPECT_EQ(Uuid::parse("6E0C3A0E-7a4b-4a3e-9c43-0ecd0a7f0001")->str(), "6e0c3a0e-7a4b-4a3e-9c43-0ecd0a7f0001");
  for (const char* text : {"", "6e0c3a0e7a4b4a3e9c430ecd0a7f0001", "6e0c3a0e-7a4b-4a3e-9c43-0ecd0a7f000",
                           "6e0c3a0e-7a4b-4a3e-9c43-0ecd0a7f000g"})
    EXPECT_FALSE(Uuid::parse(text)) << text;
}

TEST(MacvlanModeTest, AgreesWithTheKernelsHeaderAndBothSpellings) {
  EXPECT_EQ(static_cast<unsigned>(MacvlanMode::kPrivate), MACVLAN_MODE_PRIVATE);
  EXPECT_EQ(static_cast<unsigned>(MacvlanMode::kVepa), MACVLAN_MODE_VEPA);
  EXPECT_EQ(static_cast<unsigned>(MacvlanMode::kBridge), MACVLAN_MODE_BRIDGE);
  EXPECT_EQ(static_cast<unsigned>(MacvlanMode::kPassthru), MACVLAN_MODE_PASSTHRU);
  EXPECT_EQ(static_cast<unsigned>(MacvlanMode::kSource), MACVLAN_MODE_SOURCE);
  EXPECT_EQ(parse_mode("passthrough"), MacvlanMode::kPassthru);
  EXPECT_EQ(parse_mode("passthru"), MacvlanMode::kPassthru);
  EXPECT_EQ(to_string(MacvlanMode::kPassthru), "passthru");
  EXPECT_FALSE(parse_mode("Bridge"));
  EXPECT_FALSE(mode_from_kernel(3));
}

TEST(TagTest, ShimNamesFitWhateverTheParentsIndex) {
  EXPECT_EQ(shim_name(2147483647).str().size(), 14U);
  EXPECT_LT(shim_name(2147483647).str().size(), static_cast<std::size_t>(IFNAMSIZ));
}

TEST(TagTest, AShimsMacIsLocalUnicastStableAndItsParentsOwn) {
  const auto parent = *MacAddress::parse("52:54:00:ee:00:10");
  const auto mac = shim_mac(parent);
  EXPECT_EQ(mac.bytes()[0] & 3, 2);
  EXPECT_EQ(mac, shim_mac(parent));
  EXPECT_NE(mac, parent);
  EXPECT_NE(mac, shim_mac(*MacAddress::parse("52:54:00:ee:00:11")));
}

TEST(TagTest, OnlyOurOwnAliasesGiveARole) {
  for (const auto role : {ShimRole::kGuests, ShimRole::kManual}) EXPECT_EQ(role_of_alias(alias_of(role)), role);
  EXPECT_EQ(role_of_alias(""), ShimRole::kUnfinished);
  EXPECT_EQ(role_of_alias("uplink to rack 4"), ShimRole::kUnfinished);
}

TEST(TextTest, QuotedTextCannotForgeALogLine) {
  EXPECT_EQ(quoted("web"), "'web'");
  EXPECT_EQ(quoted("a'b\nc\\d"), "'a\\x27b\\x0ac\\x5cd'");
  EXPECT_LT(vmt::quoted(std::string(10000, 'x')).size(), 80U);
}

}  // namespace
}  // namespace vmt
