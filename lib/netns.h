// SPDX-License-Identifier: LGPL-2.1-or-later
// Network namespaces: going into a new one, and back.
#pragma once

#include <expected>
#include <functional>

#include "lib/error.h"
#include "lib/fd.h"

namespace vmt {

// Calls `what` in the namespace with this fd, then comes back, or aborts as below. For sockets that are to belong
// there.
Status in_netns(int netns, const std::function<Status()>& what);

// Inside a new network namespace while it lives; then back in the one before. Sockets and taps opened inside belong to
// the new one and keep it alive. One thread only: a namespace is a thread's. Needs CAP_SYS_ADMIN at both ends.
class NewNetns {
 public:
  static std::expected<NewNetns, Error> enter();

  NewNetns(NewNetns&&) = default;
  NewNetns& operator=(NewNetns&&) = delete;
  // leave() first where going back may fail: a program that stayed inside would serve the wrong network.
  ~NewNetns();

  // fd of the namespace, borrowed.
  int fd() const { return inside_.get(); }
  Status leave();

 private:
  NewNetns(Fd outside, Fd inside) : outside_(std::move(outside)), inside_(std::move(inside)) {}

  Fd outside_;  // empty: left already
  Fd inside_;
};

}  // namespace vmt
