// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/rtnl_filter.h"

#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <map>
#include <string>

namespace vmt {
namespace {

constexpr std::uint32_t kBody = NLMSG_HDRLEN;
// ifi_family, ifa_family, rtm_family, ndm_family: the first byte of each; the ifindex lies at the same place in an
// address and in a neighbour.
constexpr std::uint32_t kFamily = kBody;
constexpr std::uint32_t kIndex = kBody + offsetof(ndmsg, ndm_ifindex);
static_assert(offsetof(ndmsg, ndm_ifindex) == offsetof(ifaddrmsg, ifa_index));

// A program with forward jumps to labels. Loads are big-endian and netlink is the host's, so constants are turned.
class Program {
 public:
  void load_byte(std::uint32_t at) { add(BPF_LD | BPF_B | BPF_ABS, at); }
  void load_half(std::uint32_t at) { add(BPF_LD | BPF_H | BPF_ABS, at); }
  void load_word(std::uint32_t at) { add(BPF_LD | BPF_W | BPF_ABS, at); }
  void add(unsigned code, std::uint32_t operand) {
    code_.push_back(sock_filter{static_cast<std::uint16_t>(code), 0, 0, operand});
  }
  void jump_if_equal(std::uint32_t value, const char* label) {
    jumps_.emplace_back(code_.size(), label);
    add(BPF_JMP | BPF_JEQ | BPF_K, value);
  }
  void jump(const char* label) {
    jumps_.emplace_back(code_.size(), label);
    add(BPF_JMP | BPF_JA, 0);
  }
  void jump_if_type(int type, const char* label) { jump_if_equal(htons(static_cast<std::uint16_t>(type)), label); }
  void mark(const char* label) { labels_[label] = code_.size(); }
  void drop() { add(BPF_RET | BPF_K, 0); }
  void pass() { add(BPF_RET | BPF_K, 0xffffffff); }

  std::vector<sock_filter> take() {
    for (const auto& [at, label] : jumps_) {
      const std::size_t over = labels_.at(label) - at - 1;
      if (code_[at].code == (BPF_JMP | BPF_JA))
        code_[at].k = static_cast<std::uint32_t>(over);
      else
        code_[at].jt = static_cast<std::uint8_t>(over);
    }
    return std::move(code_);
  }

 private:
  std::vector<sock_filter> code_;
  std::vector<std::pair<std::size_t, std::string>> jumps_;
  std::map<std::string, std::size_t> labels_;
};

void sort_by_type(Program& program) {
  program.load_half(offsetof(nlmsghdr, nlmsg_type));
  for (const int type : {RTM_NEWNSID, RTM_DELNSID}) program.jump_if_type(type, "pass at once");
  for (const int type : {RTM_NEWLINK, RTM_DELLINK}) program.jump_if_type(type, "link");
  for (const int type : {RTM_NEWROUTE, RTM_DELROUTE}) program.jump_if_type(type, "route");
  for (const int type : {RTM_NEWADDR, RTM_DELADDR}) program.jump_if_type(type, "ip");
  for (const int type : {RTM_NEWNEIGH, RTM_DELNEIGH}) program.jump_if_type(type, "neighbour");
  program.drop();
  program.mark("link");
  program.load_byte(kFamily);
  program.jump_if_equal(AF_UNSPEC, "pass at once");
  program.drop();
  program.mark("pass at once");
  program.pass();
}

// What somebody has written down has a protocol. Of all others, which come and go and change as everybody on the LAN
// likes, only those that the kernel has looked for in vain are news: a guest that solicits the host in the name of one
// address and of many MACs would cost a third of a core (watch_trouble_test).
void drop_strange_neighbours(Program& program) {
  program.mark("neighbour");
  program.load_half(kBody + offsetof(ndmsg, ndm_state));
  program.add(BPF_ALU | BPF_AND | BPF_K, htons(NUD_FAILED));
  program.jump_if_equal(htons(NUD_FAILED), "ip");
  program.add(BPF_LD | BPF_IMM, NLMSG_ALIGN(kBody + sizeof(ndmsg)));
  program.add(BPF_LDX | BPF_IMM, NDA_PROTOCOL);
  program.load_word(static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_NLATTR));
  program.jump_if_equal(0, "no news");
  program.jump("ip");
  program.mark("no news");
  program.drop();
}

// Leaves the ifindex in the accumulator.
void find_index(Program& program) {
  program.mark("route");
  program.load_byte(kBody + offsetof(rtmsg, rtm_table));
  program.jump_if_equal(RT_TABLE_MAIN, "main table");
  program.drop();
  program.mark("main table");
  program.add(BPF_LD | BPF_IMM, NLMSG_ALIGN(kBody + sizeof(rtmsg)));
  program.add(BPF_LDX | BPF_IMM, RTA_OIF);
  program.load_word(static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_NLATTR));
  program.jump_if_equal(0, "pass");
  program.add(BPF_MISC | BPF_TAX, 0);
  program.add(BPF_LD | BPF_W | BPF_IND, NLA_HDRLEN);
  program.jump_if_equal(0, "pass");
  program.jump("compare");
  program.mark("ip");
  program.load_byte(kFamily);
  program.jump_if_equal(AF_INET, "ip index");
  program.jump_if_equal(AF_INET6, "ip index");
  program.drop();
  program.mark("ip index");
  program.load_word(kIndex);
  program.mark("compare");
}

}  // namespace

std::vector<sock_filter> news_filter(const std::span<const unsigned>* links) {
  Program program;
  sort_by_type(program);
  drop_strange_neighbours(program);
  find_index(program);
  if (links == nullptr || links->size() > kMaxFilteredLinks) {
    program.mark("pass");
    program.pass();
    return program.take();
  }
  for (const unsigned link : *links) program.jump_if_equal(htonl(link), "pass");
  program.drop();
  program.mark("pass");
  program.pass();
  return program.take();
}

Status attach_filter(int socket, std::span<const sock_filter> filter) {
  const sock_fprog program{.len = static_cast<unsigned short>(filter.size()),
                           .filter = const_cast<sock_filter*>(filter.data())};
  if (setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0)
    return fail(errno_error(errno, "filter rtnetlink news"));
  return {};
}

}  // namespace vmt
