// SPDX-License-Identifier: LGPL-2.1-or-later
// Network namespaces: going into a new one, and back.
#pragma once

#include <sys/types.h>

#include <expected>
#include <functional>

#include "lib/error.h"
#include "lib/fd.h"

namespace vmt {

// Calls `what` in the namespace with this fd, then comes back, or aborts as below. For sockets that are to belong
// there.
Status in_netns(int netns, const std::function<Status()>& what);

// Inside a new network namespace while it lives; then back in the one before. Sockets and taps opened inside belong to
// the new one and keep it alive. One thread only: a namespace is a thread's, and requests name this one by thread().
// Needs CAP_SYS_ADMIN at both ends.
class NewNetns {
 public:
  // `outside` is the caller's own (RtnlSocket::netns(), which costs less than a path of /proc does: two of those were a
  // sixtieth of the time until a VMM has its tap).
  static std::expected<NewNetns, Error> enter(Fd outside);

  NewNetns(NewNetns&&) = default;
  NewNetns& operator=(NewNetns&&) = delete;
  // leave() first where going back may fail: a program that stayed inside would serve the wrong network.
  ~NewNetns();

  // The ID of the thread that is inside, until leave().
  static pid_t thread();
  Status leave();

 private:
  explicit NewNetns(Fd outside) : outside_(std::move(outside)) {}

  Fd outside_;  // empty: left already
};

}  // namespace vmt
