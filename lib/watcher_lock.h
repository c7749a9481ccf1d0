// SPDX-License-Identifier: LGPL-2.1-or-later
// Is there a watcher (`virt-macvtap watch`), and is it the only one?
#pragma once

#include <sys/types.h>

#include <expected>
#include <optional>

#include "lib/error.h"
#include "lib/fd.h"

namespace vmt {

inline constexpr const char* kWatcherLockPath = "/run/virt-macvtap-watch.lock";

// Held while it lives; the kernel releases it when the process dies, however it dies. One at a time in a process. The
// file stays, empty; only root can open it, so that nobody else can keep the watcher from starting.
class OnlyWatcher {
 public:
  // Never waits. kExists: "watch: already running as PID 1234 (...)".
  static std::expected<OnlyWatcher, Error> take(const char* path = kWatcherLockPath);

  OnlyWatcher(OnlyWatcher&&) noexcept = default;
  OnlyWatcher& operator=(OnlyWatcher&&) = delete;
  ~OnlyWatcher();

 private:
  explicit OnlyWatcher(Fd fd);

  Fd fd_;
};

// The watcher's PID, which is 0 when it is in a PID namespace that the caller cannot see. nullopt: none is running, or
// the caller may not know, who must be root for it. It changes nothing and leaves no file.
std::optional<pid_t> running_watcher(const char* path = kWatcherLockPath);
// Whether one runs, or has run since the host's start. It changes nothing.
bool has_had_watcher(const char* path = kWatcherLockPath);

}  // namespace vmt
