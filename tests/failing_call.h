// SPDX-License-Identifier: LGPL-2.1-or-later
// A system call that fails, for tests of what only a machine in trouble does.
#pragma once

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace vmt {

// From now on in this process, for good.
inline bool let_fail(std::uint32_t call, std::uint32_t error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog whole{.len = std::size(program), .filter = program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole) == 0;
}

// Whether `holds` is true in a child process where that call fails.
template <typename Holds>
void expect_where_it_fails(std::uint32_t call, std::uint32_t error, Holds holds) {
  EXPECT_EXIT(_exit(let_fail(call, error) && holds() ? 0 : 1), testing::ExitedWithCode(0), "");
}

}  // namespace vmt
