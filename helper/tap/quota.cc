// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/tap/quota.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "lib/lock.h"
#include "lib/rtnl_device.h"

namespace vmt::tap {
namespace {

// The file of the program's own lock, which is another kind (flock) and does not see these.
std::expected<Fd, Error> lock_byte_of(uid_t user) {
  Fd file(::open(kLockPath, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
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

std::expected<Quota, Error> Quota::take(RtnlSocket& socket, uid_t user, unsigned max) {
  auto lock = lock_byte_of(user);
  if (!lock) return fail(lock.error());
  const auto devices = children_elsewhere(socket);
  if (!devices) return fail(devices.error());
  const auto is_users = [&](const Child& device) { return device.ours && device.use == DeviceUse(ForUser{user}); };
  const auto count = std::ranges::count_if(*devices, is_users);
  if (count >= static_cast<long>(max))
    return fail(Error{ErrorKind::kPermission, fmt::format("user {} has {} macvtap{} already, and max={} allows no more",
                                                          user, count, count == 1 ? "" : "s", max)});
  return Quota(std::move(*lock));
}

}  // namespace vmt::tap
