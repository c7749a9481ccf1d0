// SPDX-License-Identifier: LGPL-2.1-or-later
// Which process holds which macvtap's tap? Looked up in /proc without opening a tap: every open is a live queue that
// swallows a share of the traffic.
#pragma once

#include <sys/types.h>

#include <expected>
#include <string>
#include <vector>

#include "lib/error.h"
#include "lib/fd.h"
#include "lib/objects.h"

namespace vmt {

struct TapHolder {
  pid_t pid = 0;
  std::string command;  // as the process calls itself: any bytes, 15 at most
  dev_t number = 0;     // of the tap
  std::string node;     // "tap7": what the tap was called where it was opened
  unsigned fds = 0;     // as many queues, unless it has duplicated them
};

class TapHolders {
 public:
  // One pass over /proc. The caller itself is left out: what it has open it knows, or has inherited from a shell.
  // Processes that the caller may not look into are left out: without root, those of others. An error is whatever
  // leaves it open who holds what: nothing may be taken for free then.
  static std::expected<TapHolders, Error> scan();

  // Nobody for a macvlan, and for a macvtap in another namespace that is not ours: nothing tells whose tap it is.
  std::vector<TapHolder> of(const Child& device) const;

 private:
  TapHolders(std::vector<TapHolder> all, Fd sysfs) : all_(std::move(all)), sysfs_(std::move(sysfs)) {}

  std::vector<TapHolder> all_;
  Fd sysfs_;  // empty: the caller may not mount one
};

// "PID 4711, qemu-system-x86"
std::string describe(const TapHolder& holder);

}  // namespace vmt
