// SPDX-License-Identifier: LGPL-2.1-or-later
// Waiting for a change in the caller's network namespace.
#pragma once

#include <chrono>
#include <expected>

#include "lib/error.h"
#include "lib/fd.h"

namespace vmt {

class RtnlMonitor {
 public:
  enum class Of {
    kLinks,
    kAll,  // links, addresses, routes and neighbours
  };
  // Listens from here on.
  static std::expected<RtnlMonitor, Error> open(Of of = Of::kLinks);

  // True when anything of it has changed since the last call; false at the deadline and after it.
  bool wait(std::chrono::steady_clock::time_point deadline);

 private:
  explicit RtnlMonitor(Fd socket) : socket_(std::move(socket)) {}

  Fd socket_;
};

}  // namespace vmt
