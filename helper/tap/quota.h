// SPDX-License-Identifier: LGPL-2.1-or-later
// How many macvtaps may a user have? The kernel knows how many there are: each carries its user's number.
#pragma once

#include <sys/types.h>

#include <expected>

#include "lib/error.h"
#include "lib/fd.h"

namespace vmt::tap {

// A place among a user's devices, held while it lives: two helpers of one user count one after the other, or both would
// find room for the same last device. Users do not wait for each other: each has a byte of one file, locked.
class Quota {
 public:
  // kPermission when the user has `max` self-removing devices already. Waits for other helpers of the same user; the
  // program's deadline bounds it. Needs CAP_NET_ADMIN.
  static std::expected<Quota, Error> take(uid_t user, unsigned max);
  Quota() = default;

 private:
  explicit Quota(Fd lock) : lock_(std::move(lock)) {}

  Fd lock_;
};

}  // namespace vmt::tap
