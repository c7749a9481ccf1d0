// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/tap/handover.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace vmt::tap {
namespace {

int socket_option(int fd, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

}  // namespace

std::expected<Fd, Error> peer_socket(int fd) {
  struct stat found {};
  if (fstat(fd, &found) < 0) return fail(errno_error(errno, fmt::format("--fd {}", fd)));
  Fd socket(fd);
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  if (socket_option(fd, SO_DOMAIN) != AF_UNIX || socket_option(fd, SO_TYPE) != SOCK_STREAM)
    return fail(invalid(fmt::format("--fd {}: not a Unix stream socket", fd)));
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) < 0)
    return fail(errno_error(errno, fmt::format("--fd {}: nobody is at the other end", fd)));
  return socket;
}

std::expected<Fd, Error> peer_process(const Fd& socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
    return fail(errno_error(errno, "ask who is at the other end"));
  // glibc 2.36 declares pidfd_open() for C only.
  Fd process(static_cast<int>(syscall(SYS_pidfd_open, peer.pid, 0)));
  if (!process) return fail(errno_error(errno, fmt::format("watch process {}", peer.pid)));
  return process;
}

Status send_tap(const Fd& socket, int tap) {
  char byte = 0;
  iovec data{.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof tap)> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof tap);
  std::memcpy(CMSG_DATA(header), &tap, sizeof tap);
  ssize_t sent = 0;
  do sent = sendmsg(socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (sent < 0 && errno == EINTR);
  if (sent != 1) return fail(errno_error(errno, "send the tap"));
  return {};
}

}  // namespace vmt::tap
