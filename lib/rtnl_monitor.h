// SPDX-License-Identifier: LGPL-2.1-or-later
// Waiting for a change of a link in a network namespace.
#pragma once

#include <chrono>
#include <expected>

#include "lib/error.h"
#include "lib/fd.h"

namespace vmt {

class RtnlMonitor {
 public:
  // Of the namespace that the caller is in now. Deaf until listen(), so that it costs next to nothing.
  static std::expected<RtnlMonitor, Error> open();
  Status listen();

  // True when any link has changed since listen() or the last call; false at the deadline.
  bool wait_for_link_event(std::chrono::steady_clock::time_point deadline);

 private:
  explicit RtnlMonitor(Fd socket) : socket_(std::move(socket)) {}

  Fd socket_;
};

}  // namespace vmt
