// SPDX-License-Identifier: LGPL-2.1-or-later
// A conversation that was broken off, because the kernel had no memory while its answer was read, say: is the next one
// of the same socket as good as ever?
#include "lib/rtnl_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/rtnl_decode.h"
#include "lib/rtnl_request.h"
#include "tests/netns/namespace.h"

namespace vmt {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class RtnlSocketTest : public NamespaceTest {
 protected:
  void SetUp() override {
    NamespaceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    fd_ = dup(0);  // the number that the next file gets
    close(fd_);
    auto socket = RtnlSocket::open();
    ASSERT_TRUE(socket);
    socket_.emplace(std::move(*socket));
    int protocol = -1;
    socklen_t size = sizeof protocol;
    ASSERT_EQ(getsockopt(fd_, SOL_SOCKET, SO_PROTOCOL, &protocol, &size), 0);
    ASSERT_EQ(protocol, NETLINK_ROUTE);
  }

  // Asks, and leaves the answer unread.
  void ask(const NlMsg& message, std::uint16_t flags) const {
    nlmsghdr* header = nlmsg_hdr(message.get());
    header->nlmsg_flags |= static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    header->nlmsg_seq = 77;
    header->nlmsg_pid = socket_->port();
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    ASSERT_GT(sendto(fd_, header, header->nlmsg_len, 0, reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel), 0);
  }

  std::vector<std::string> names(const NlMsg& query) {
    const auto links = socket_->collect(query, "look", decode_link);
    if (!links) return {links.error().message};
    std::vector<std::string> result;
    for (const auto& link : *links) result.push_back(link.name.str());
    return result;
  }
  static NlMsg link(const char* name) { return request::link_by_name(*IfName::parse(name)); }

  int fd_ = -1;
  std::optional<RtnlSocket> socket_;
};

TEST_F(RtnlSocketTest, AnAnswerThatWasNotReadIsNotTakenForTheNextOne) {
  sh("ip link add br0 type bridge");
  ask(link("br0"), 0);
  EXPECT_THAT(names(link("lo")), ElementsAre("lo"));
  ask(link("br0"), 0);
  ask(link("gone"), 0);
  EXPECT_THAT(names(link("lo")), ElementsAre("lo"));
  ask(link("lo"), 0);
  EXPECT_THAT(names(link("gone")), ElementsAre(HasSubstr("No such device")));
}

TEST_F(RtnlSocketTest, AnAcknowledgementThatWasNotReadIsNotTakenForTheNextOne) {
  sh("ip link add br0 type bridge");
  ask(request::delete_link(if_nametoindex("br0")), NLM_F_ACK);
  const auto status = socket_->request(request::delete_link(4711), "delete");
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("No such device"));
}

// The kernel starts no other dump on a socket before.
TEST_F(RtnlSocketTest, ADumpThatWasNotReadStandsInTheWayOfOneMoreAtMost) {
  sh("for i in $(seq 100); do echo link add br$i type bridge; done | ip -batch -");
  const auto names_of_all = [&] { return names(request::links_of_kind("bridge")); };
  ASSERT_EQ(names_of_all().size(), 100U);
  ask(request::links_of_kind("bridge"), 0);
  EXPECT_THAT(names_of_all(), ElementsAre("look: Device or resource busy"));
  EXPECT_EQ(names_of_all().size(), 100U);
  ask(request::links_of_kind("bridge"), 0);
  EXPECT_THAT(names(link("lo")), ElementsAre("lo"));
}

}  // namespace
}  // namespace vmt
