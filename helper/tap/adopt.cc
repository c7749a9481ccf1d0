// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/tap/adopt.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <span>

#include "lib/mac_address.h"

namespace vmt::tap {
namespace {

using Clock = std::chrono::steady_clock;

// The sender of the next frame that waits; none: there is none, or it is no guest's address.
std::optional<MacAddress> next_sender(const Fd& frames) {
  std::array<std::uint8_t, ETH_HLEN> header{};
  if (recv(frames.get(), header.data(), header.size(), MSG_DONTWAIT) != static_cast<ssize_t>(header.size())) return {};
  const auto mac = MacAddress::from_bytes(std::span(header).subspan(ETH_ALEN, ETH_ALEN));
  return mac ? std::optional(*mac) : std::nullopt;
}

// Refused while another device on the parent has it: a later frame tries again.
bool set_mac(const Fd& tap, const MacAddress& mac) {
  ifreq request{};
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  std::ranges::copy(mac.bytes(), reinterpret_cast<std::uint8_t*>(request.ifr_hwaddr.sa_data));
  return ioctl(tap.get(), SIOCSIFHWADDR, &request) == 0;
}

// Everything but these fds, which are moved to the front. Nothing below is free: main() has seen to 0, 1 and 2.
bool keep_only(std::array<int, 4> fds) {
  for (int i = 0; i < 4; ++i) {
    int& fd = fds[static_cast<std::size_t>(i)];
    // Out of the way of those before it.
    while (fd >= 0 && fd < 4) fd = dup(fd);
    if (fd < 0) return false;
  }
  for (int i = 0; i < 4; ++i)
    if (dup2(fds[static_cast<std::size_t>(i)], i) < 0) return false;
  return close_range(4, ~0U, 0) == 0;
}

// False at the end of what there is to read.
bool read_byte(int fd) {
  char byte = 0;
  ssize_t size = 0;
  do size = ::read(fd, &byte, 1);
  while (size < 0 && errno == EINTR);
  return size == 1;
}

[[noreturn]] void be_child(const Fd& tap, const Fd& frames, const Fd& owner, Fd told) {
  setsid();
  if (chdir("/") < 0 || !keep_only({tap.get(), frames.get(), owner.get(), told.get()})) _exit(1);
  if (::write(3, "", 1) != 1 || !read_byte(3)) _exit(1);
  close(3);
  adopt(Fd(0), Fd(1), Fd(2), Clock::now() + kAdoptionPatience);
  _exit(0);
}

}  // namespace

void adopt(const Fd& tap, const Fd& frames, const Fd& owner, std::chrono::steady_clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) return;
    std::array events{pollfd{frames.get(), POLLIN, 0}, pollfd{owner.get(), POLLIN, 0}};
    const int ready = poll(events.data(), events.size(), static_cast<int>(left.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0 || events[1].revents != 0) return;
    const auto sender = next_sender(frames);
    if (sender && set_mac(tap, *sender)) return;
  }
}

std::expected<Fd, Error> guest_frames(unsigned index) {
  Fd frames(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  // skb->pkt_type is PACKET_OUTGOING: what the guest sends. The return value is how much of it is kept.
  std::array<sock_filter, 4> code{{{BPF_LD | BPF_B | BPF_ABS, 0, 0, static_cast<__u32>(SKF_AD_OFF + SKF_AD_PKTTYPE)},
                                   {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, PACKET_OUTGOING},
                                   {BPF_RET | BPF_K, 0, 0, ETH_HLEN},
                                   {BPF_RET | BPF_K, 0, 0, 0}}};
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  const int on = 1;
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(index);
  if (!frames || setsockopt(frames.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ||
      setsockopt(frames.get(), SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on) < 0 ||
      bind(frames.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
    return fail(errno_error(errno, "listen for the guest's first frame"));
  return frames;
}

std::expected<Adoption, Error> Adoption::prepare(const Fd& tap, const Fd& frames, const Fd& owner) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) < 0)
    return fail(errno_error(errno, "make a pair of sockets"));
  Fd told(ends[0]);
  Adoption adoption{Fd(ends[1])};
  const pid_t child = fork();
  if (child < 0) return fail(errno_error(errno, "fork the process that waits for the guest's first frame"));
  if (child == 0) be_child(tap, frames, owner, std::move(told));
  told = Fd();  // so that the child's end is an end
  if (!read_byte(adoption.go_.get()))
    return fail(Error{ErrorKind::kFailed, "start the process that waits for the guest's first frame: it has ended"});
  return adoption;
}

Status Adoption::start() const {
  if (send(go_.get(), "", 1, MSG_NOSIGNAL) != 1)
    return fail(errno_error(errno, "start waiting for the guest's first frame"));
  return {};
}

}  // namespace vmt::tap
