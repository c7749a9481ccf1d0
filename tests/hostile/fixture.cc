// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/hostile/fixture.h"

#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace vmt {

void HostileTest::SetUp() {
  TapTest::SetUp();
  if (IsSkipped() || HasFatalFailure()) return;
  sh(std::string("(umask 0 && DESTDIR=") + kRoot + " cmake --install " VMT_BINARY_DIR " --strip >/dev/null)");
  helper_path_ = installed("qemu-macvtap-helper");
  before_ = world();
}

std::string HostileTest::installed(const std::string& program) const {
  const std::string path =
      program == "hook" ? "-path '*/hooks/qemu.d/virt-macvtap'" : "-name " + program + " -not -path '*/hooks/*'";
  std::string found = output_of(std::string("find ") + kRoot + " -type f " + path);
  EXPECT_EQ(std::ranges::count(found, '\n'), 1) << program << ": " << found;
  if (!found.empty()) found.pop_back();
  return found;
}

Call HostileTest::ask_installed(const std::string& br, uid_t uid) const {
  Call call = ask(br, uid);
  call.program = helper_path_;
  return call;
}

void HostileTest::expect_all_or_nothing(const Outcome& outcome, const std::string& what) {
  EXPECT_EQ(outcome.taps.size(), outcome.status == 0 ? 1U : 0U) << what << ": " << outcome.err;
  EXPECT_EQ(outcome.bytes.size(), outcome.taps.size()) << what;
}

int HostileTest::as_user(const std::function<int()>& what, uid_t uid) {
  const pid_t pid = fork();
  if (pid == 0) {
    if (setgroups(0, nullptr) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0) _exit(99);
    prctl(PR_SET_DUMPABLE, 1);  // as after a log-in
    _exit(what());
  }
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int HostileTest::sh_as_user(const std::string& command, uid_t uid) {
  return as_user([&] { return execl("/bin/sh", "sh", "-c", command.c_str(), nullptr); }, uid);
}

void HostileTest::become_root_of_own_namespace(int also) {
  const uid_t user = getuid();
  prctl(PR_SET_DUMPABLE, 1);  // else the maps are root's
  if (unshare(CLONE_NEWUSER | also) != 0) _exit(97);
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
  std::ofstream("/proc/self/gid_map") << "0 " << user << " 1";
  if (getuid() != 0) _exit(96);
}

}  // namespace vmt
