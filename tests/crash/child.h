// SPDX-License-Identifier: LGPL-2.1-or-later
// A process of ours: started, stopped at its exec when it is to be traced, with its output in files.
#pragma once

#include <sys/types.h>

#include <string>

#include "lib/fd.h"
#include "tests/crash/tracer.h"

namespace vmt::crash {

// The tool itself cannot go on.
[[noreturn]] void die(const std::string& what);

class Child {
 public:
  // Traced: it has come to its first stop, before its exec, and PTRACE_SYSCALL lets it go on.
  Child(const Program& program, bool traced);

  pid_t pid() const { return pid_; }
  // What it has said so far.
  std::string out() const;
  std::string err() const;

 private:
  Fd out_, err_;
  pid_t pid_ = -1;
};

}  // namespace vmt::crash
