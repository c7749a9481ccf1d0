// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/desire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vmt {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const MacAddress kMac = *MacAddress::parse("52:54:00:12:34:56");
const MacAddress kOther = *MacAddress::parse("52:54:00:12:34:57");
const IfName kEth0 = *IfName::parse("eth0");

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

Parent lan_parent() {
  return {.index = 2,
          .name = kEth0,
          .mac = *MacAddress::parse("52:54:00:ee:00:10"),
          .up = true,
          .carrier = true,
          .addresses = {{*IpPrefix::parse("192.0.2.10/24"), true}, {*IpPrefix::parse("2001:db8:1::10/64"), true}},
          .gateways = {ip("192.0.2.1"), ip("2001:db8:1::1")}};
}

Guest guest_with(MacvlanMode mode) {
  return {.name = "web",
          .uuid = {},
          .id = 1,
          .nics = {{.mac = kMac, .source = DirectSource{kEth0, mode, ""}, .target = {}, .model = {}}},
          .given = {{kMac, {ip("192.0.2.61")}}}};
}

Wish wish_for(std::vector<IpAddress> addresses, Facts facts, const Config& config = {}) {
  const Attachment nic{.guest = "web", .parent = kEth0, .mac = kMac, .addresses = std::move(addresses)};
  return desire(std::span(&nic, 1), facts, config);
}

TEST(AttachmentsTest, OnlyBridgeModeGetsHostAccessAndTheOthersLearnWhy) {
  EXPECT_EQ(attachments_of(guest_with(MacvlanMode::kBridge), {}).nics.size(), 1U);
  const struct {
    MacvlanMode mode;
    const char* why;
  } kRows[] = {
      {MacvlanMode::kVepa, "hairpin"}, {MacvlanMode::kPrivate, "cut off"}, {MacvlanMode::kPassthru, "for itself"}};
  for (const auto& row : kRows) {
    const auto result = attachments_of(guest_with(row.mode), {});
    EXPECT_THAT(result.nics, IsEmpty());
    EXPECT_THAT(result.notes, ElementsAre(HasSubstr(row.why)));
  }
}

TEST(AttachmentsTest, SwitchedOffIsSilent) {
  auto guest = guest_with(MacvlanMode::kVepa);
  guest.host_access = false;
  EXPECT_THAT(attachments_of(guest, {}).notes, IsEmpty());
  Config config;
  config.parents[kEth0].host_access = false;
  const auto result = attachments_of(guest_with(MacvlanMode::kBridge), config);
  EXPECT_THAT(result.nics, IsEmpty());
  EXPECT_THAT(result.notes, IsEmpty());
}

TEST(AttachmentsTest, MetadataAndConfigurationAddUpWithoutDoubles) {
  Config config;
  config.guests["web"].given = {{kMac, {ip("192.0.2.61"), ip("192.0.2.62")}}, {kOther, {ip("192.0.2.63")}}};
  const auto result = attachments_of(guest_with(MacvlanMode::kBridge), config);
  ASSERT_EQ(result.nics.size(), 1U);
  EXPECT_THAT(result.nics[0].addresses, ElementsAre(ip("192.0.2.61"), ip("192.0.2.62")));
}

TEST(DesireTest, AGuestTalksToTheHostsAddressOfItsOwnSubnet) {
  const auto wish = wish_for({ip("192.0.2.61"), ip("2001:db8:1::61")}, {.parents = {lan_parent()}});
  EXPECT_THAT(wish.notes, IsEmpty());
  ASSERT_EQ(wish.desired.addresses.size(), 2U);
  EXPECT_EQ(wish.desired.addresses[0].source, ip("192.0.2.10"));
  EXPECT_EQ(wish.desired.addresses[1].source, ip("2001:db8:1::10"));
  ASSERT_EQ(wish.desired.shims.size(), 1U);
  EXPECT_THAT(wish.desired.shims[0].proxied, ElementsAre(ip("2001:db8:1::10")));
}

TEST(DesireTest, AmongTheHostsAddressesThePreferredAndMostSpecificOneAnswers) {
  Parent parent = lan_parent();
  parent.addresses = {{*IpPrefix::parse("2001:db8:1::dead/64"), false},
                      {*IpPrefix::parse("2001:db8::10/32"), true},
                      {*IpPrefix::parse("2001:db8:1::10/64"), true},
                      {*IpPrefix::parse("2001:db8:1::11/64"), true}};
  EXPECT_EQ(source_for(ip("2001:db8:1::61"), parent, {}), ip("2001:db8:1::10"));
  EXPECT_EQ(source_for(ip("2001:db8:2::61"), parent, {}), ip("2001:db8::10"));
}

TEST(DesireTest, RefusesEveryAddressThatCannotBeTheGuests) {
  Facts facts{.parents = {lan_parent()}};
  facts.routes.emplace(ip("192.0.2.77"), RouteView{.destination = *IpPrefix::parse("192.0.2.77"), .local = true});
  const struct {
    const char* address;
    const char* why;
  } kRows[] = {{"192.0.2.10", "host's own"},  {"2001:db8:1::10", "host's own"}, {"192.0.2.77", "host's own"},
               {"192.0.2.1", "gateway"},      {"2001:db8:1::1", "gateway"},     {"198.51.100.1", "off-link"},
               {"2001:db8:2::1", "off-link"}, {"192.0.2.255", "reserved"},      {"192.0.2.0", "reserved"},
               {"2001:db8:1::", "reserved"},  {"224.0.0.5", "multicast"},       {"ff02::5", "multicast"},
               {"127.0.0.1", "loopback"},     {"0.0.0.0", "unspecified"},       {"255.255.255.255", "broadcast"},
               {"fe80::1", "link-local"}};
  for (const auto& row : kRows) {
    const auto wish = wish_for({ip(row.address)}, facts);
    EXPECT_THAT(wish.desired.addresses, IsEmpty()) << row.address;
    EXPECT_THAT(wish.notes, ElementsAre(HasSubstr(row.why))) << row.address;
  }
}

TEST(DesireTest, AnAddressOfAGuestThatIsThereIsNotGivenAwayButThatOfOneThatIsGoneIs) {
  Facts facts{.parents = {lan_parent()}, .neighbours = {{ip("192.0.2.61"), 9, kOther}}, .routes = {}, .live = {kOther}};
  auto wish = wish_for({ip("192.0.2.61")}, facts);
  EXPECT_THAT(wish.notes, ElementsAre(HasSubstr("held by the guest with " + kOther.str())));
  EXPECT_THAT(wish.desired.addresses, IsEmpty());
  facts.live.clear();
  EXPECT_EQ(wish_for({ip("192.0.2.61")}, facts).desired.addresses.size(), 1U);
}

TEST(DesireTest, AnAddressGivenToTwoNicsGoesToTheFirst) {
  const Attachment nics[] = {{.guest = "a", .parent = kEth0, .mac = kMac, .addresses = {ip("192.0.2.61")}},
                             {.guest = "b", .parent = kEth0, .mac = kOther, .addresses = {ip("192.0.2.61")}}};
  const auto wish = desire(nics, {.parents = {lan_parent()}}, {});
  ASSERT_EQ(wish.desired.addresses.size(), 1U);
  EXPECT_EQ(wish.desired.addresses[0].mac, kMac);
  EXPECT_THAT(wish.notes, ElementsAre(HasSubstr("is given to " + kMac.str() + " and to " + kOther.str())));
  EXPECT_EQ(wish.desired.shims.size(), 1U);
}

TEST(DesireTest, ANumberedShimAnswersAtItsOwnAddress) {
  Config config;
  config.parents[kEth0].addresses = {*IpPrefix::parse("192.0.2.60/32")};
  auto wish = wish_for({ip("192.0.2.61"), ip("2001:db8:1::61"), ip("192.0.2.60")}, {.parents = {lan_parent()}}, config);
  ASSERT_EQ(wish.desired.addresses.size(), 2U);
  EXPECT_EQ(wish.desired.addresses[0].source, ip("192.0.2.60"));
  EXPECT_EQ(wish.desired.addresses[1].source, ip("2001:db8:1::10"));
  EXPECT_THAT(wish.desired.shims[0].addresses, ElementsAre(*IpPrefix::parse("192.0.2.60/32")));
  EXPECT_THAT(wish.notes, ElementsAre(HasSubstr("host's own")));
}

TEST(DesireTest, ADownOrWirelessParentIsNoted) {
  Parent parent = lan_parent();
  parent.up = false;
  parent.wireless = true;
  EXPECT_THAT(wish_for({}, {.parents = {parent}}).notes, ElementsAre(HasSubstr("is down"), HasSubstr("is wireless")));
}

}  // namespace
}  // namespace vmt
