// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/watch/frame_socket.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include <algorithm>
#include <cerrno>

namespace vmt {
namespace {

// The kernel doubles it: room for some 2,400 frames, so that hundreds of guests may speak at once, as after the host's
// start; a flood shall not get more.
constexpr int kReceiveBuffer = 1024 * 1024;

std::string on_link(std::string_view operation, unsigned ifindex) {
  return fmt::format("{} on link {}", operation, ifindex);
}

template <typename Value>
int set_option(const Fd& fd, int level, int option, const Value& value) {
  return setsockopt(fd.get(), level, option, &value, sizeof value);
}

int attach(const Fd& fd, std::vector<sock_filter> program) {
  const sock_fprog whole{static_cast<unsigned short>(program.size()), program.data()};
  return set_option(fd, SOL_SOCKET, SO_ATTACH_FILTER, whole);
}

}  // namespace

FrameBatch::FrameBatch() {
  for (std::size_t i = 0; i < kFrames; ++i) {
    vectors_[i] = {.iov_base = buffers_[i].data(), .iov_len = buffers_[i].size()};
    messages_[i] = {.msg_hdr = {.msg_iov = &vectors_[i], .msg_iovlen = 1}, .msg_len = 0};
  }
}

struct FrameSocket::Ears {
  std::uint16_t protocol = 0;
  bool all_multicast = false;
  std::vector<sock_filter> filter;
};

std::expected<FrameSocket, Error> FrameSocket::open(unsigned ifindex, const FilterRules& rules) {
  auto filter = filter_program(rules);
  if (!filter) return fail(std::move(filter.error()));
  return open_with(Ears{.protocol = ETH_P_ALL, .all_multicast = true, .filter = std::move(*filter)}, ifindex);
}

std::expected<FrameSocket, Error> FrameSocket::open_for_answers(unsigned ifindex, Answers answers) {
  const std::uint16_t protocol = answers == Answers::kArp ? ETH_P_ARP : ETH_P_IPV6;
  return open_with(Ears{.protocol = protocol, .all_multicast = false, .filter = answer_filter_program()}, ifindex);
}

// Made without a protocol it hears nothing before bind(), when its filter is in place.
std::expected<FrameSocket, Error> FrameSocket::open_with(const Ears& ears, unsigned ifindex) {
  const auto failed = [&](std::string_view what) {
    return fail(errno_error(errno, on_link(fmt::format("open packet socket: {}", what), ifindex)));
  };
  Fd fd(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return failed("create");
  if (attach(fd, ears.filter) < 0) return failed("attach filter");
  if (set_option(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1) < 0) return failed("ignore outgoing frames");
  // Beyond the system's limit, where we may.
  if (set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, kReceiveBuffer) < 0 &&
      set_option(fd, SOL_SOCKET, SO_RCVBUF, kReceiveBuffer) < 0)
    return failed("set receive buffer");
  const packet_mreq membership{.mr_ifindex = static_cast<int>(ifindex), .mr_type = PACKET_MR_ALLMULTI};
  if (ears.all_multicast && set_option(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership) < 0)
    return failed("take all multicast");
  const sockaddr_ll address{
      .sll_family = AF_PACKET, .sll_protocol = htons(ears.protocol), .sll_ifindex = static_cast<int>(ifindex)};
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) return failed("bind");
  return FrameSocket(std::move(fd), ifindex);
}

// Kernels before 6.8 have no room for two long programs on a socket: the plain one makes place.
Status FrameSocket::set_rules(const FilterRules& rules) {
  auto program = filter_program(rules);
  if (!program) return fail(std::move(program.error()));
  if (attach(fd_, *program) == 0) return {};
  if (errno == ENOMEM && attach(fd_, *filter_program(FilterRules{})) == 0 && attach(fd_, *program) == 0) return {};
  return fail(errno_error(errno, on_link("replace packet filter", ifindex_)));
}

std::expected<std::span<const std::span<const std::uint8_t>>, Error> FrameSocket::receive(FrameBatch& batch) {
  int count = 0;
  do count = recvmmsg(fd_.get(), batch.messages_.data(), FrameBatch::kFrames, 0, nullptr);
  while (count < 0 && (errno == EINTR || errno == ENETDOWN));  // the latter is said once for each time it goes down
  if (count < 0 && errno != EAGAIN) return fail(errno_error(errno, on_link("receive frames", ifindex_)));
  const auto size = static_cast<std::size_t>(std::max(count, 0));
  for (std::size_t i = 0; i < size; ++i) batch.frames_[i] = {batch.buffers_[i].data(), batch.messages_[i].msg_len};
  return std::span(batch.frames_).first(size);
}

bool FrameSocket::link_is_gone() const {
  sockaddr_ll address{};
  socklen_t size = sizeof address;
  getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return address.sll_ifindex != static_cast<int>(ifindex_);
}

std::uint32_t FrameSocket::take_dropped() {
  tpacket_stats statistics{};
  socklen_t size = sizeof statistics;
  getsockopt(fd_.get(), SOL_PACKET, PACKET_STATISTICS, &statistics, &size);
  return statistics.tp_drops;
}

Status FrameSocket::send(std::span<const std::uint8_t> frame) {
  if (::send(fd_.get(), frame.data(), frame.size(), 0) < 0)
    return fail(errno_error(errno, on_link("send frame", ifindex_)));
  return {};
}

}  // namespace vmt
