// SPDX-License-Identifier: LGPL-2.1-or-later
// One program at a time reads, decides and changes.
#pragma once

#include <chrono>
#include <expected>

#include "lib/error.h"
#include "lib/fd.h"

namespace vmt {

inline constexpr const char* kLockPath = "/run/virt-macvtap.lock";

// Held while it lives; the kernel releases it when the holder dies, however it dies. The file stays, empty: it is a
// lock, not a state. Only root can open it, so that nobody else can hold up a guest's start.
class Lock {
 public:
  // Waits at most `patience`, never longer: libvirt gives a hook all the time in the world and holds the domain
  // meanwhile.
  static std::expected<Lock, Error> take(std::chrono::milliseconds patience, const char* path = kLockPath);

 private:
  explicit Lock(Fd fd) : fd_(std::move(fd)) {}

  Fd fd_;
};

}  // namespace vmt
