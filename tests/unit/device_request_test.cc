// SPDX-License-Identifier: LGPL-2.1-or-later
// Every attribute of the requests about devices and namespaces, read back with libnl's parser and our own decoders.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>

#include <cstring>

#include "lib/rtnl_decode.h"
#include "lib/rtnl_device_request.h"

namespace vmt {
namespace {

const MacAddress kMac = *MacAddress::parse("52:54:00:12:34:56");
const MacAddress kOther = *MacAddress::parse("52:54:00:12:34:57");

DeviceSpec spec() {
  return {.name = *IfName::parse("tap-web"),
          .parent = 7,
          .parent_name = *IfName::parse("eth0"),
          .mode = MacvlanMode::kVepa,
          .mac = kMac,
          .mtu = {},
          .bc_queue_length = {},
          .allowed = {},
          .owner = {}};
}

nlmsghdr* header(const NlMsg& message) {
  return nlmsg_hdr(message.get());
}
const ifinfomsg* info(const NlMsg& message) {
  return static_cast<const ifinfomsg*>(nlmsg_data(header(message)));
}
const nlattr* attribute(const NlMsg& message, int type) {
  return nlmsg_find_attr(header(message), sizeof(ifinfomsg), type);
}
const nlattr* within(const nlattr* nest, int type) {
  return nest == nullptr ? nullptr : nla_find(static_cast<const nlattr*>(nla_data(nest)), nla_len(nest), type);
}
const nlattr* own_data(const NlMsg& message, int type) {
  return within(within(attribute(message, IFLA_LINKINFO), IFLA_INFO_DATA), type);
}

TEST(DeviceRequestTest, ADeviceIsBornWithTagMacIfindexAndAllmulticast) {
  const auto message = request::new_device(spec(), 0x20000001, 0, false);
  EXPECT_EQ(header(message)->nlmsg_type, RTM_NEWLINK);
  EXPECT_EQ(header(message)->nlmsg_flags & (NLM_F_CREATE | NLM_F_EXCL | NLM_F_REPLACE), NLM_F_CREATE | NLM_F_EXCL);
  const auto link = decode_link(header(message));
  ASSERT_TRUE(link);
  EXPECT_EQ(link->index, 0x20000001U);
  EXPECT_EQ(link->name.str(), "tap-web");
  EXPECT_EQ(link->lower, 7U);
  EXPECT_EQ(link->group, kDeviceGroup);
  EXPECT_EQ(link->mac, kMac);
  EXPECT_EQ(link->kind, "macvtap");
  EXPECT_EQ(link->mode, MacvlanMode::kVepa);
  EXPECT_EQ(link->flags, static_cast<unsigned>(IFF_ALLMULTI | IFF_NOARP));
  EXPECT_EQ(info(message)->ifi_change, static_cast<unsigned>(IFF_ALLMULTI | IFF_NOARP));
  // What was not asked for is the kernel's to choose.
  EXPECT_EQ(attribute(message, IFLA_NET_NS_PID), nullptr);
  EXPECT_EQ(attribute(message, IFLA_MTU), nullptr);
  EXPECT_EQ(own_data(message, IFLA_MACVLAN_FLAGS), nullptr);
  EXPECT_EQ(own_data(message, IFLA_MACVLAN_BC_QUEUE_LEN), nullptr);
  EXPECT_EQ(own_data(message, IFLA_MACVLAN_MACADDR_MODE), nullptr);
}

TEST(DeviceRequestTest, WhatWasAskedForIsInTheSameRequest) {
  DeviceSpec wanted = spec();
  wanted.macvtap = false;
  wanted.mode = MacvlanMode::kSource;
  wanted.mtu = 1400;
  wanted.bc_queue_length = 33;
  wanted.allowed = {kMac, kOther};
  const auto message = request::new_device(wanted, 9, 5, true);
  EXPECT_EQ(decode_link(header(message))->group, kSelfRemovingGroup);
  EXPECT_EQ(info(message)->ifi_flags, static_cast<unsigned>(IFF_UP)) << "a plain link, which resolves addresses";
  EXPECT_EQ(info(message)->ifi_change, static_cast<unsigned>(IFF_UP));
  EXPECT_EQ(decode_link(header(message))->kind, "macvlan");
  EXPECT_EQ(decode_link(header(message))->mtu, 1400U);
  ASSERT_NE(attribute(message, IFLA_NET_NS_PID), nullptr);
  EXPECT_EQ(nla_get_u32(attribute(message, IFLA_NET_NS_PID)), 5U);
  EXPECT_EQ(nla_get_u32(own_data(message, IFLA_MACVLAN_BC_QUEUE_LEN)), 33U);
  EXPECT_EQ(nla_get_u32(own_data(message, IFLA_MACVLAN_MACADDR_MODE)), static_cast<unsigned>(MACVLAN_MACADDR_SET));
  const nlattr* list = own_data(message, IFLA_MACVLAN_MACADDR_DATA);
  ASSERT_NE(list, nullptr);
  std::vector<MacAddress> macs;
  int rest = nla_len(list);
  for (auto* entry = static_cast<nlattr*>(nla_data(list)); nla_ok(entry, rest); entry = nla_next(entry, &rest)) {
    EXPECT_EQ(nla_type(entry), IFLA_MACVLAN_MACADDR);
    macs.push_back(*MacAddress::from_bytes({static_cast<const std::uint8_t*>(nla_data(entry)), 6}));
  }
  EXPECT_THAT(macs, testing::ElementsAre(kMac, kOther));
}

TEST(DeviceRequestTest, APassthruDeviceHasNoMacOfItsOwnAndMayLeaveTheParentAsItIs) {
  DeviceSpec wanted = spec();
  wanted.mode = MacvlanMode::kPassthru;
  wanted.mac.reset();
  wanted.promiscuous = false;
  const auto message = request::new_device(wanted, 9, 0, false);
  EXPECT_EQ(attribute(message, IFLA_ADDRESS), nullptr);
  EXPECT_EQ(nla_get_u16(own_data(message, IFLA_MACVLAN_FLAGS)), MACVLAN_FLAG_NOPROMISC);
}

TEST(DeviceRequestTest, TheLongestAllowedListFits) {
  DeviceSpec wanted = spec();
  wanted.mode = MacvlanMode::kSource;
  wanted.allowed.assign(kMaxAllowed, kOther);
  ASSERT_TRUE(check(wanted));
  EXPECT_GT(header(request::new_device(wanted, 9, 5, true))->nlmsg_len, kMaxAllowed * 10);
}

TEST(DeviceRequestTest, FinishingSetsTheAliasAndUpOnlyIfAskedFor) {
  for (const bool up : {true, false}) {
    const auto message = request::finish_device(9, alias_of(Standing{}), up);
    const unsigned flags = up ? static_cast<unsigned>(IFF_UP) : 0U;
    EXPECT_EQ(header(message)->nlmsg_type, RTM_SETLINK);
    EXPECT_EQ(info(message)->ifi_index, 9);
    EXPECT_EQ(info(message)->ifi_flags, flags);
    EXPECT_EQ(info(message)->ifi_change, flags);
    ASSERT_NE(attribute(message, IFLA_IFALIAS), nullptr);
    EXPECT_EQ(use_of_alias(nla_get_string(attribute(message, IFLA_IFALIAS))), DeviceUse(Standing{}));
  }
}

TEST(DeviceRequestTest, AChangeNamesWhatChangesAndNothingElse) {
  const ChangeDevice nothing{.index = 9, .name = *IfName::parse("tap-web")};
  const auto empty = request::change_device(nothing);
  EXPECT_EQ(header(empty)->nlmsg_type, RTM_NEWLINK);
  EXPECT_FALSE(header(empty)->nlmsg_flags & NLM_F_CREATE);
  EXPECT_EQ(info(empty)->ifi_index, 9);
  EXPECT_EQ(info(empty)->ifi_change, 0U);
  EXPECT_EQ(nlmsg_attrlen(header(empty), sizeof(ifinfomsg)), 0);

  ChangeDevice all = nothing;
  all.mac = kOther;
  all.mode = MacvlanMode::kPrivate;
  all.mtu = 1400;
  all.up = false;
  all.allmulticast = true;
  const auto message = request::change_device(all);
  EXPECT_EQ(info(message)->ifi_change, static_cast<unsigned>(IFF_UP | IFF_ALLMULTI));
  EXPECT_EQ(info(message)->ifi_flags, static_cast<unsigned>(IFF_ALLMULTI));
  EXPECT_EQ(std::memcmp(nla_data(attribute(message, IFLA_ADDRESS)), kOther.bytes().data(), 6), 0);
  EXPECT_EQ(nla_get_u32(attribute(message, IFLA_MTU)), 1400U);
  EXPECT_STREQ(nla_get_string(within(attribute(message, IFLA_LINKINFO), IFLA_INFO_KIND)), "macvtap");
  EXPECT_EQ(nla_get_u32(own_data(message, IFLA_MACVLAN_MODE)), static_cast<unsigned>(MACVLAN_MODE_PRIVATE));
}

TEST(DeviceRequestTest, AGroupIsDeletedByItsNumberAlone) {
  const auto member = request::regroup(9, kDoomedGroups);
  EXPECT_EQ(info(member)->ifi_index, 9);
  EXPECT_EQ(nla_get_u32(attribute(member, IFLA_GROUP)), kDoomedGroups);
  const auto message = request::delete_group(kDoomedGroups);
  EXPECT_EQ(header(message)->nlmsg_type, RTM_DELLINK);
  EXPECT_EQ(info(message)->ifi_index, 0);  // an index would be deleted instead
  EXPECT_EQ(nla_get_u32(attribute(message, IFLA_GROUP)), kDoomedGroups);
  EXPECT_EQ(nlmsg_attrlen(header(message), sizeof(ifinfomsg)), nla_total_size(sizeof(std::uint32_t)));
}

TEST(DeviceRequestTest, NamespacesAreNamedByThreadFdOrNumber) {
  const auto number = [](const NlMsg& message, int type) {
    const auto* found = nlmsg_find_attr(header(message), sizeof(rtgenmsg), type);
    return found == nullptr ? std::optional<std::uint32_t>() : nla_get_u32(found);
  };
  const auto fresh = request::new_nsid(5);
  EXPECT_EQ(header(fresh)->nlmsg_type, RTM_NEWNSID);
  EXPECT_EQ(number(fresh, NETNSA_PID), 5U);
  EXPECT_EQ(number(fresh, NETNSA_NSID), static_cast<std::uint32_t>(-1));
  EXPECT_TRUE(header(request::nsids())->nlmsg_flags & NLM_F_DUMP);
  const auto one = request::nsid_of(5);
  EXPECT_EQ(header(one)->nlmsg_type, RTM_GETNSID);
  EXPECT_FALSE(header(one)->nlmsg_flags & NLM_F_DUMP);
  EXPECT_EQ(number(one, NETNSA_FD), 5U);
  const auto links = request::links_of_kind_in(3, "macvtap");
  EXPECT_TRUE(header(links)->nlmsg_flags & NLM_F_DUMP);
  EXPECT_EQ(nla_get_u32(attribute(links, IFLA_TARGET_NETNSID)), 3U);
  EXPECT_STREQ(nla_get_string(within(attribute(links, IFLA_LINKINFO), IFLA_INFO_KIND)), "macvtap");
}

}  // namespace
}  // namespace vmt
