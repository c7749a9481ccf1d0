// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/watcher_lock.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace vmt {
namespace {

// A record lock, since only these tell who holds them. They have a trap: a process loses its locks on a file when it
// closes any descriptor of that file. So the holder itself must not open it again to look.
bool held_by_us = false;

struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

std::optional<pid_t> holder_of(const Fd& fd) {
  struct flock lock = whole_file();
  if (fcntl(fd.get(), F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK) return std::nullopt;
  return lock.l_pid;
}

Error already_running(pid_t pid, const char* path) {
  const std::string who = pid > 0 ? fmt::format("PID {}", pid) : "a process that is not visible from here";
  return Error{ErrorKind::kExists, fmt::format("watch: already running as {} (it holds {})", who, path)};
}

}  // namespace

OnlyWatcher::OnlyWatcher(Fd fd) : fd_(std::move(fd)) {
  held_by_us = true;
}

OnlyWatcher::~OnlyWatcher() {
  if (fd_) held_by_us = false;
}

std::expected<OnlyWatcher, Error> OnlyWatcher::take(const char* path) {
  if (held_by_us) return fail(already_running(getpid(), path));
  Fd fd(::open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail(errno_error(errno, fmt::format("watch: open lock {}", path)));
  struct flock lock = whole_file();
  if (fcntl(fd.get(), F_SETLK, &lock) == 0) return OnlyWatcher(std::move(fd));
  if (errno != EAGAIN && errno != EACCES) return fail(errno_error(errno, fmt::format("watch: lock {}", path)));
  return fail(already_running(holder_of(fd).value_or(0), path));
}

std::optional<pid_t> running_watcher(const char* path) {
  if (held_by_us) return getpid();
  const Fd fd(::open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return std::nullopt;
  return holder_of(fd);
}

bool has_had_watcher(const char* path) {
  return access(path, F_OK) == 0 || errno != ENOENT;
}

}  // namespace vmt
