// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/rtnl_monitor.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

namespace vmt {

std::expected<RtnlMonitor, Error> RtnlMonitor::open(Of of) {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK;
  if (of == Of::kAll)
    address.nl_groups |= RTMGRP_NEIGH | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  if (!socket || bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
    return fail(errno_error(errno, "listen for changes of the network"));
  return RtnlMonitor(std::move(socket));
}

bool RtnlMonitor::wait(std::chrono::steady_clock::time_point deadline) {
  using std::chrono::milliseconds;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    // However many events wait: a failed try makes some itself.
    if (left <= milliseconds(0)) return false;
    pollfd events{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    const int ready = poll(&events, 1, static_cast<int>(left.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    // What happened does not matter, only that something did; an overrun (ENOBUFS) says so, too.
    char ignored[1];
    while (recv(socket_.get(), ignored, sizeof ignored, MSG_TRUNC) >= 0) {
    }
    return true;
  }
}

}  // namespace vmt
