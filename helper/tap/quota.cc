// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/tap/quota.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "lib/lock.h"
#include "lib/rtnl_device.h"

namespace vmt::tap {
namespace {

// What we create is the user's, who could then open it and hold everybody up. So it has no name before it is root's.
Status make_lock_file() {
  const Fd file(::open("/run", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  const std::string unnamed = fmt::format("/proc/self/fd/{}", file.get());
  if (!file || fchown(file.get(), 0, 0) < 0 ||
      (linkat(AT_FDCWD, unnamed.c_str(), AT_FDCWD, kLockPath, AT_SYMLINK_FOLLOW) < 0 && errno != EEXIST))
    return fail(errno_error(errno, fmt::format("make {}", kLockPath)));
  return {};
}

// The file of the program's own lock, which is another kind (flock) and does not see these.
std::expected<Fd, Error> lock_byte_of(uid_t user) {
  const auto open_it = [] { return Fd(::open(kLockPath, O_RDWR | O_CLOEXEC | O_NOFOLLOW)); };
  Fd file = open_it();
  if (!file && errno == ENOENT) {
    if (auto status = make_lock_file(); !status) return fail(status.error());
    file = open_it();
  }
  if (!file) return fail(errno_error(errno, fmt::format("open {}", kLockPath)));
  struct flock byte {};
  byte.l_type = F_WRLCK;
  byte.l_whence = SEEK_SET;
  byte.l_start = user;
  byte.l_len = 1;
  int done = 0;
  do done = fcntl(file.get(), F_OFD_SETLKW, &byte);
  while (done < 0 && errno == EINTR);
  if (done < 0) return fail(errno_error(errno, fmt::format("lock {} for user {}", kLockPath, user)));
  return file;
}

}  // namespace

std::expected<Quota, Error> Quota::take(uid_t user, unsigned max) {
  auto lock = lock_byte_of(user);
  if (!lock) return fail(lock.error());
  // One of its own: for a look into other namespaces the kernel asks what a socket's opener could do.
  auto socket = RtnlSocket::open();
  if (!socket) return fail(socket.error());
  const auto devices = children_elsewhere(*socket);
  if (!devices) return fail(devices.error());
  const auto is_users = [&](const Child& device) { return device.ours && device.use == DeviceUse(ForUser{user}); };
  const auto count = std::ranges::count_if(*devices, is_users);
  if (count >= static_cast<long>(max))
    return fail(Error{ErrorKind::kPermission, fmt::format("user {} has {} macvtap{} already, and max={} allows no more",
                                                          user, count, count == 1 ? "" : "s", max)});
  return Quota(std::move(*lock));
}

}  // namespace vmt::tap
