// SPDX-License-Identifier: LGPL-2.1-or-later
// A helper of the user's that has privileges, and one that holds a device: can he get hold of either from outside?
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "lib/lock.h"
#include "tests/hostile/fixture.h"

namespace vmt {
namespace {

using testing::HasSubstr;

// Which process he is after: one in phase 4, with all its privileges, or the child that waits for a frame.
enum class Target { kPrivileged, kChild };

class HostileGrabTest : public HostileTest, public testing::WithParamInterface<Target> {
 protected:
  void SetUp() override {
    HostileTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    allow("allow eth0 max=3");
    if (GetParam() == Target::kPrivileged)
      wait_in_phase_4();
    else
      wait_for_a_frame();
  }
  void TearDown() override {
    if (pid_ > 0) kill(pid_, SIGKILL);
    if (helper_.pid > 0) finish(std::move(helper_));
    HostileTest::TearDown();
  }
  // The errno of what the user tries.
  int errno_of(const std::function<long()>& what) const {
    return as_user([&] { return what() < 0 ? errno : 0; });
  }
  std::string proc(const std::string& file) const { return "/proc/" + std::to_string(pid_) + "/" + file; }

  pid_t pid_ = -1;

 private:
  void wait_in_phase_4() {
    Fd file(open(kLockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    struct flock byte {};
    byte.l_type = F_WRLCK;
    byte.l_start = kUser;
    byte.l_len = 1;
    ASSERT_EQ(fcntl(file.get(), F_OFD_SETLK, &byte), 0);
    lock_ = std::move(file);
    helper_ = start(ask_installed());
    pid_ = helper_.pid;
    ASSERT_TRUE(soon([&] {
      std::string number;
      std::ifstream(proc("syscall")) >> number;
      return number == std::to_string(SYS_fcntl);
    }));
    ASSERT_THAT(output_of("grep CapEff " + proc("status")), testing::Not(HasSubstr("0000000000000000")));
  }
  void wait_for_a_frame() {
    outcome_ = run(ask_installed("eth0"));
    ASSERT_EQ(outcome_.status, 0) << outcome_.err;
    ASSERT_TRUE(soon([&] { return helpers().size() == 1; }));
    pid_ = helpers().front();
  }

  Fd lock_;
  Running helper_;
  Outcome outcome_;
};

TEST_P(HostileGrabTest, PtraceAttachFails) {
  EXPECT_EQ(errno_of([&] { return ptrace(PTRACE_ATTACH, pid_, nullptr, nullptr); }), EPERM);
}

TEST_P(HostileGrabTest, PtraceSeizeFails) {
  EXPECT_EQ(errno_of([&] { return ptrace(PTRACE_SEIZE, pid_, nullptr, nullptr); }), EPERM);
}

TEST_P(HostileGrabTest, ItsMemoryCannotBeOpened) {
  EXPECT_EQ(errno_of([&] { return open(proc("mem").c_str(), O_RDWR); }), EACCES);
}

TEST_P(HostileGrabTest, ItsMemoryCannotBeReadByASystemCall) {
  EXPECT_EQ(errno_of([&] {
              char byte = 0;
              iovec here{&byte, 1}, there{reinterpret_cast<void*>(0x400000), 1};
              return process_vm_readv(pid_, &here, 1, &there, 1, 0);
            }),
            EPERM);
}

TEST_P(HostileGrabTest, ItsFdsCannotBeStolen) {
  for (int fd = 0; fd < 8; ++fd)
    EXPECT_EQ(errno_of([&] {
                const long pidfd = syscall(SYS_pidfd_open, pid_, 0);
                return pidfd < 0 ? pidfd : syscall(SYS_pidfd_getfd, pidfd, fd, 0);
              }),
              EPERM)
        << fd;
}

TEST_P(HostileGrabTest, ItsFdsCannotBeListedOrReopened) {
  EXPECT_EQ(errno_of([&] { return open(proc("fd").c_str(), O_RDONLY | O_DIRECTORY); }), EACCES);
  EXPECT_EQ(errno_of([&] { return open(proc("fd/0").c_str(), O_RDWR); }), EACCES);
}

TEST_P(HostileGrabTest, ItsNamespacesCannotBeEntered) {
  for (const char* kind : {"ns/net", "ns/mnt", "ns/user"})
    EXPECT_EQ(errno_of([&] { return open(proc(kind).c_str(), O_RDONLY); }), EACCES) << kind;
}

TEST_P(HostileGrabTest, ItsMapsAndEnvironmentCannotBeRead) {
  for (const char* file : {"maps", "environ", "auxv", "stack", "syscall"})
    EXPECT_NE(errno_of([&] {
                const int fd = open(proc(file).c_str(), O_RDONLY);
                char byte = 0;
                return fd < 0 ? fd : read(fd, &byte, 1);
              }),
              0)
        << file;
}

TEST_P(HostileGrabTest, NothingOfItsCanBeWrittenInProc) {
  for (const char* file : {"oom_score_adj", "coredump_filter", "clear_refs", "comm", "uid_map"})
    EXPECT_EQ(errno_of([&] { return open(proc(file).c_str(), O_WRONLY); }), EACCES) << file;
}

// What can be dumped has its files in /proc for its user.
TEST_P(HostileGrabTest, ItIsNotDumped) {
  EXPECT_EQ(output_of("stat -c %u " + proc("status")), "0\n");
}

TEST_P(HostileGrabTest, StoppedItHoldsUpNeitherOthersNorTheHook) {
  EXPECT_EQ(as_user([&] { return kill(pid_, SIGSTOP); }), 0);
  EXPECT_EQ(run(ask_installed("eth0/52:54:00:12:34:57", 1001)).status, 0);
  const auto lock = Lock::take(std::chrono::milliseconds(100));
  EXPECT_TRUE(lock) << lock.error().message;
  kill(pid_, SIGCONT);
}

TEST_P(HostileGrabTest, KilledItLeavesNothing) {
  EXPECT_EQ(as_user([&] { return kill(pid_, SIGKILL); }), 0);
  EXPECT_TRUE(soon([&] { return GetParam() == Target::kPrivileged || helpers().empty(); }));
}

INSTANTIATE_TEST_SUITE_P(Of, HostileGrabTest, testing::Values(Target::kPrivileged, Target::kChild),
                         [](const auto& one) {
                           return one.param == Target::kPrivileged ? "AHelperWithPrivileges" : "TheChildThatWaits";
                         });

class HostileChildTest : public HostileTest {};

TEST_F(HostileChildTest, HasThreeFdsAndNoPrivilege) {
  const Outcome outcome = run(ask_installed("eth0"));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  ASSERT_TRUE(soon([] { return helpers().size() == 1; }));
  const std::string proc = "/proc/" + std::to_string(helpers().front());
  EXPECT_TRUE(soon([&] { return output_of("ls " + proc + "/fd") == "0\n1\n2\n"; }))
      << output_of("ls -l " + proc + "/fd");
  const std::string status = output_of("cat " + proc + "/status");
  for (const char* set : {"CapInh:\t", "CapPrm:\t", "CapEff:\t", "CapAmb:\t"})
    EXPECT_THAT(status, HasSubstr(std::string(set) + "0000000000000000"));
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(status, HasSubstr("Uid:\t1000\t1000\t1000\t1000"));
  EXPECT_THAT(status, HasSubstr("Gid:\t1000\t1000\t1000\t1000"));
  EXPECT_EQ(output_of("readlink " + proc + "/cwd"), "/\n");
}

TEST_F(HostileChildTest, IsCountedAsHisOwnProcess) {
  Call call = ask_installed("eth0", 4711);  // who has no other processes
  call.before_exec = [] {
    const rlimit none{1, 1};
    setrlimit(RLIMIT_NPROC, &none);
  };
  const Outcome outcome = run(call);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("fork the process"));
}

// His own process starts the helper and traces it from the first instruction.
TEST_F(HostileChildTest, AHelperThatHeTracesFromItsStartHasNoPrivilege) {
  Call call = ask_installed();
  call.before_exec = [] {
    const pid_t pid = fork();
    if (pid == 0) {
      if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(95);
      return;
    }
    int status = 0;
    while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) ptrace(PTRACE_CONT, pid, nullptr, nullptr);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 94);
  };
  const Outcome outcome = run(call);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("it has to be installed setuid root"));
  EXPECT_TRUE(outcome.taps.empty());
  expect_world(before_, "a traced helper");
}

// Where a failure is said is the caller's choice, so nothing may be special about who says it.
TEST_F(HostileChildTest, WhatFailsIsSaidWithoutPrivileges) {
  sh("ip link add link eth0 name mv0 address 52:54:00:12:34:56 type macvlan mode bridge && ip link set mv0 up");
  sh("python3 - <<'E'\nimport socket, subprocess\na, b = socket.socketpair()\n"
     "subprocess.run('strace -f -qq -s 400 -o /run/trace -e trace=capset,writev -I 4 setpriv --reuid 1000 --regid 1000 "
     "--clear-groups " +
     installed("qemu-macvtap-helper") +
     " --br=eth0/52:54:00:12:34:56 --fd=%d' % b.fileno(), shell=True, pass_fds=[b.fileno()])\nE");
  const std::string trace = output_of("cat /run/trace");
  const auto said = trace.find("has the MAC 52:54:00:12:34:56");
  const auto dropped = trace.rfind("effective=0, permitted=0,", said);
  ASSERT_NE(said, std::string::npos) << trace;
  EXPECT_NE(dropped, std::string::npos) << trace;
  EXPECT_LT(trace.find("effective=1<<CAP_CHOWN"), dropped) << trace;
}

}  // namespace
}  // namespace vmt
