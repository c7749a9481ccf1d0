// SPDX-License-Identifier: LGPL-2.1-or-later
// Waiting for a change of a link in the caller's network namespace.
#pragma once

#include <chrono>
#include <expected>

#include "lib/error.h"
#include "lib/fd.h"

namespace vmt {

class RtnlMonitor {
 public:
  // Listens from here on.
  static std::expected<RtnlMonitor, Error> open();

  // True when any link has changed since the last call; false at the deadline and after it.
  bool wait_for_link_event(std::chrono::steady_clock::time_point deadline);

 private:
  explicit RtnlMonitor(Fd socket) : socket_(std::move(socket)) {}

  Fd socket_;
};

}  // namespace vmt
