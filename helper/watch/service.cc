// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/watch/service.h"

#include <fmt/core.h>
#include <linux/capability.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "lib/fd.h"

namespace vmt::watch {

Status notify(std::string_view state) {
  const char* variable = std::getenv("NOTIFY_SOCKET");
  if (variable == nullptr || *variable == '\0') return {};
  const std::string_view path = variable;
  const auto failed = [&](int error) { return fail(errno_error(error, fmt::format("notify {}", path))); };
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path[0] != '/' && path[0] != '@') return failed(EAFNOSUPPORT);
  if (path.size() >= sizeof address.sun_path) return failed(ENAMETOOLONG);
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path[0] == '@') address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return failed(errno);
  if (sendto(socket.get(), state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
             reinterpret_cast<const sockaddr*>(&address), size) < 0)
    return failed(errno);
  return {};
}

Status check_permission() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, data) < 0) return fail(errno_error(errno, "read own capabilities"));
  for (const int needed : {CAP_NET_ADMIN, CAP_NET_RAW})
    if (!(data[0].effective & (1U << needed)))
      return fail(errno_error(EPERM, "watch without CAP_NET_ADMIN and CAP_NET_RAW"));
  return {};
}

}  // namespace vmt::watch
