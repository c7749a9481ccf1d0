// SPDX-License-Identifier: LGPL-2.1-or-later
// Netlink messages that the kernel never sends: what is not what it should be is nothing.
#include <gtest/gtest.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "lib/rtnl_decode.h"

namespace vmt {
namespace {

template <typename Header>
struct Message {
  nlmsghdr message;
  Header header;
  rtattr attribute;
  std::uint8_t address[4];
};

TEST(DecodeTest, APrefixLongerThanItsAddressIsNothing) {
  Message<ifaddrmsg> address{.message = {.nlmsg_len = sizeof address, .nlmsg_type = RTM_NEWADDR},
                             .header = {.ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = 2},
                             .attribute = {.rta_len = 8, .rta_type = IFA_LOCAL},
                             .address = {192, 0, 2, 61}};
  EXPECT_TRUE(decode_address(&address.message));
  address.header.ifa_prefixlen = 33;
  EXPECT_FALSE(decode_address(&address.message));

  Message<rtmsg> route{.message = {.nlmsg_len = sizeof route, .nlmsg_type = RTM_NEWROUTE},
                       .header = {.rtm_family = AF_INET, .rtm_dst_len = 32},
                       .attribute = {.rta_len = 8, .rta_type = RTA_DST},
                       .address = {192, 0, 2, 61}};
  EXPECT_TRUE(decode_route(&route.message));
  route.header.rtm_dst_len = 33;
  EXPECT_FALSE(decode_route(&route.message));
}

// The kernel counts in hundredths of a second, whatever its own clock does.
TEST(DecodeTest, ANeighboursAgeIsInMilliseconds) {
  struct {
    nlmsghdr message;
    ndmsg header;
    rtattr address_is;
    std::uint8_t address[4];
    rtattr times_are;
    nda_cacheinfo times;
  } neighbour{.message = {.nlmsg_len = sizeof neighbour, .nlmsg_type = RTM_NEWNEIGH},
              .header = {.ndm_family = AF_INET, .ndm_ifindex = 2},
              .address_is = {.rta_len = 8, .rta_type = NDA_DST},
              .address = {192, 0, 2, 61},
              .times_are = {.rta_len = sizeof(rtattr) + sizeof(nda_cacheinfo), .rta_type = NDA_CACHEINFO},
              .times = {.ndm_confirmed = 1, .ndm_used = 2, .ndm_updated = 150, .ndm_refcnt = 4}};
  const auto answer = decode_neighbour(&neighbour.message);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->age, std::chrono::milliseconds(1500));
}

}  // namespace
}  // namespace vmt
