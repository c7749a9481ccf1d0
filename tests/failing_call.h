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
#include <optional>
#include <vector>

namespace vmt {

// From now on in this process, for good. `number`: of the call; `fourth`: its fourth argument, if it must be that.
struct FailingCall {
  std::uint32_t number;
  std::optional<std::uint32_t> fourth = {};
};
inline bool let_fail(const FailingCall& call, std::uint32_t error) {
  std::vector<sock_filter> program = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                                      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call.number, 1, 0),
                                      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  if (call.fourth) {
    program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[3])));
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, *call.fourth, 1, 0));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error));
  const sock_fprog whole{.len = static_cast<unsigned short>(program.size()), .filter = program.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole) == 0;
}

// Whether `holds` is true in a child process where that call fails.
template <typename Holds>
void expect_where_it_fails(const FailingCall& call, std::uint32_t error, Holds holds) {
  EXPECT_EXIT(_exit(let_fail(call, error) && holds() ? 0 : 1), testing::ExitedWithCode(0), "");
}

}  // namespace vmt
