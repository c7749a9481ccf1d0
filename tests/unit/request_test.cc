// SPDX-License-Identifier: LGPL-2.1-or-later
// Every attribute of every request, read back with libnl's parser and our own decoders.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>

#include "lib/rtnl_decode.h"
#include "lib/rtnl_request.h"

namespace vmt {
namespace {

const MacAddress kMac = *MacAddress::parse("52:54:00:12:34:56");
IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

nlmsghdr* header(const NlMsg& message) {
  return nlmsg_hdr(message.get());
}
bool creates(const NlMsg& message) {
  return (header(message)->nlmsg_flags & (NLM_F_CREATE | NLM_F_EXCL)) == (NLM_F_CREATE | NLM_F_EXCL);
}

TEST(RequestTest, AShimIsBornWithItsTag) {
  const auto message = request::new_shim({.parent = 7, .parent_name = *IfName::parse("eth0"), .mac = kMac});
  EXPECT_EQ(header(message)->nlmsg_type, RTM_NEWLINK);
  EXPECT_TRUE(creates(message));
  const auto link = decode_link(header(message));
  ASSERT_TRUE(link);
  EXPECT_EQ(link->name.str(), "vmt-7");
  EXPECT_EQ(link->index, shim_index(7));
  EXPECT_EQ(link->lower, 7U);
  EXPECT_EQ(link->mac, kMac);
  EXPECT_EQ(link->group, kShimGroup);
  EXPECT_EQ(link->kind, "macvlan");
  EXPECT_EQ(link->mode, MacvlanMode::kBridge);
  EXPECT_EQ(link->flags, 0U);  // not up before its sysctls are written
}

TEST(RequestTest, FinishingAShimBringsItUpAndSaysWhoseItIs) {
  const auto message = request::finish_shim(9, ShimRole::kManual);
  const auto* info = static_cast<const ifinfomsg*>(nlmsg_data(header(message)));
  EXPECT_EQ(header(message)->nlmsg_type, RTM_NEWLINK);
  EXPECT_EQ(info->ifi_index, 9);
  EXPECT_EQ(info->ifi_flags, static_cast<unsigned>(IFF_UP));
  EXPECT_EQ(info->ifi_change, static_cast<unsigned>(IFF_UP));
  const nlattr* alias = nlmsg_find_attr(header(message), sizeof(ifinfomsg), IFLA_IFALIAS);
  ASSERT_NE(alias, nullptr);
  EXPECT_EQ(role_of_alias(nla_get_string(alias)), ShimRole::kManual);
  EXPECT_EQ(header(message)->nlmsg_flags & (NLM_F_CREATE | NLM_F_REPLACE), 0) << "a shim that is gone is not made";
}

TEST(RequestTest, ALinkIsDeletedByIndexAlone) {
  const auto message = request::delete_link(9);
  EXPECT_EQ(header(message)->nlmsg_type, RTM_DELLINK);
  EXPECT_EQ(static_cast<const ifinfomsg*>(nlmsg_data(header(message)))->ifi_index, 9);
  // A name would take precedence and could by now be somebody else's.
  EXPECT_EQ(nlmsg_attrlen(header(message), sizeof(ifinfomsg)), 0);
}

TEST(RequestTest, ARouteCarriesOurProtocolAndReplacesNothing) {
  for (const bool manual : {false, true}) {
    const auto message =
        request::new_route(9, {.parent = 7, .guest = ip("192.0.2.61"), .source = ip("192.0.2.10"), .manual = manual});
    EXPECT_TRUE(creates(message));
    EXPECT_FALSE(header(message)->nlmsg_flags & NLM_F_REPLACE);
    const auto route = decode_route(header(message));
    ASSERT_TRUE(route);
    EXPECT_EQ(route->route.destination.str(), "192.0.2.61/32");
    EXPECT_EQ(route->route.device, 9U);
    EXPECT_EQ(route->route.source, ip("192.0.2.10"));
    EXPECT_EQ(route->route.protocol, manual ? kManualProtocol : kGuestProtocol);
    EXPECT_EQ(static_cast<const rtmsg*>(nlmsg_data(header(message)))->rtm_table, RT_TABLE_MAIN);
  }
}

TEST(RequestTest, ADefaultRouteIsAskedForByALinkAndAnAddressWithoutARouteOfItsOwn) {
  for (const auto& [family, bits] : {std::pair{AF_INET, 32}, std::pair{AF_INET6, 128}}) {
    const auto message = request::default_route(family, 7);
    EXPECT_EQ(header(message)->nlmsg_type, RTM_GETROUTE);
    EXPECT_FALSE(header(message)->nlmsg_flags & NLM_F_DUMP);
    const auto* info = static_cast<const rtmsg*>(nlmsg_data(header(message)));
    EXPECT_EQ(info->rtm_family, family);
    EXPECT_EQ(info->rtm_dst_len, bits);
    EXPECT_EQ(info->rtm_flags, static_cast<unsigned>(RTM_F_FIB_MATCH));
    const nlattr* device = nlmsg_find_attr(header(message), sizeof(rtmsg), RTA_OIF);
    ASSERT_NE(device, nullptr);
    EXPECT_EQ(nla_get_u32(device), 7U);
  }
}

TEST(RequestTest, ADeletedRouteIsNamedByProtocolAndDevice) {
  const auto message = request::delete_route({.shim = 9, .guest = ip("2001:db8::61"), .manual = false});
  EXPECT_EQ(header(message)->nlmsg_type, RTM_DELROUTE);
  const auto* info = static_cast<const rtmsg*>(nlmsg_data(header(message)));
  EXPECT_EQ(info->rtm_protocol, kGuestProtocol);
  EXPECT_EQ(info->rtm_dst_len, 128);
  const nlattr* device = nlmsg_find_attr(header(message), sizeof(rtmsg), RTA_OIF);
  ASSERT_NE(device, nullptr);
  EXPECT_EQ(nla_get_u32(device), 9U);
}

TEST(RequestTest, ANeighbourIsPermanentAndTagged) {
  const auto message = request::new_neighbour(9, {.parent = 7, .guest = ip("2001:db8::61"), .mac = kMac});
  EXPECT_TRUE(creates(message));
  const auto neighbour = decode_neighbour(header(message));
  ASSERT_TRUE(neighbour);
  EXPECT_EQ(neighbour->address, ip("2001:db8::61"));
  EXPECT_EQ(neighbour->device, 9U);
  EXPECT_EQ(neighbour->mac, kMac);
  EXPECT_EQ(neighbour->protocol, kGuestProtocol);
  EXPECT_EQ(neighbour->state, static_cast<unsigned>(NUD_PERMANENT));
  EXPECT_FALSE(neighbour->proxy);
}

TEST(RequestTest, AProxyIsOne) {
  for (const auto& message : {request::new_proxy(9, ip("2001:db8::10"))}) {
    const auto proxy = decode_neighbour(header(message));
    ASSERT_TRUE(proxy);
    EXPECT_TRUE(proxy->proxy);
    EXPECT_EQ(proxy->address, ip("2001:db8::10"));
  }
  EXPECT_TRUE(static_cast<const ndmsg*>(nlmsg_data(header(request::delete_proxy(9, ip("2001:db8::10")))))->ndm_flags &
              NTF_PROXY);
}

TEST(RequestTest, AShimsAddressDrawsNoSubnetAndIsUsableAtOnce) {
  const auto message = request::new_address(9, *IpPrefix::parse("192.0.2.60/24"));
  const auto address = decode_address(header(message));
  ASSERT_TRUE(address);
  EXPECT_EQ(address->prefix.str(), "192.0.2.60/24");
  EXPECT_TRUE(address->flags & IFA_F_NOPREFIXROUTE);
  EXPECT_TRUE(address->flags & IFA_F_NODAD);
}

TEST(DecodeTest, AMessageOfAnotherKindIsNothing) {
  const auto message = request::delete_link(1);
  EXPECT_FALSE(decode_link(header(message)));
  EXPECT_FALSE(decode_address(header(message)));
  EXPECT_FALSE(decode_route(header(message)));
  EXPECT_FALSE(decode_neighbour(header(message)));
}

TEST(DecodeTest, ATruncatedMessageIsNothingOrLessButNeverACrash) {
  const auto message = request::new_shim({.parent = 7, .parent_name = *IfName::parse("eth0"), .mac = kMac});
  const unsigned whole = header(message)->nlmsg_len;
  for (unsigned length = whole; length >= NLMSG_HDRLEN; --length) {
    header(message)->nlmsg_len = length;
    const auto link = decode_link(header(message));
    if (link) {
      EXPECT_EQ(link->name.str(), "vmt-7");
    }
  }
}

}  // namespace
}  // namespace vmt
