// SPDX-License-Identifier: LGPL-2.1-or-later
// qemu-macvtap-helper when somebody makes it wait, for as long as he likes if it were for him: what it does then, and
// with which privileges.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

#include "tests/netns/tap_fixture.h"

namespace vmt {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const std::string kBr = "eth0/52:54:00:12:34:56";
const std::string kProgram = "/run/bin/qemu-macvtap-helper";

using TapWaitingTest = TapTest;

// It is in this system call now, and stays there until something happens.
bool waits_in(pid_t pid, long call) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/syscall");
  std::string number;
  file >> number;
  return number == std::to_string(call);
}

std::string status_line(pid_t pid, const std::string& name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name + ":\t")) return line.substr(name.size() + 2);
  return "none";
}

// Holds the lock of the user's own helpers, as one of them would.
Fd hold_lock_of(uid_t user) {
  Fd file(open("/run/virt-macvtap.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  struct flock byte {};
  byte.l_type = F_WRLCK;
  byte.l_start = user;
  byte.l_len = 1;
  EXPECT_EQ(fcntl(file.get(), F_OFD_SETLK, &byte), 0);
  return file;
}

// Nobody reads at the other end: it is an error at once, and not a process with privileges that waits.
TEST_F(TapWaitingTest, ASocketThatIsFullIsRefusedAndNotWaitedFor) {
  const std::string before = world();
  for (const std::string br : {"eth0", "eth0/52:54:00:12:34:56"}) {
    Call call = ask(br);
    call.before_exec = [] {
      const std::string much(4096, 'x');
      for (const std::size_t size : {much.size(), std::size_t{1}})
        while (send(20, much.data(), size, MSG_DONTWAIT) > 0) continue;
    };
    const auto start = std::chrono::steady_clock::now();
    const Outcome outcome = run(call);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(4)) << br;
    EXPECT_EQ(outcome.status, 1) << br;
    EXPECT_THAT(outcome.err, HasSubstr("send the tap: Resource temporarily unavailable")) << br;
    EXPECT_THAT(outcome.taps, IsEmpty()) << br;
    expect_world(before, br);
  }
}

TEST_F(TapWaitingTest, TheDeadlineIsOneLineEvenWhileItWaitsForALock) {
  allow("allow eth0 max=5");
  const Fd lock = hold_lock_of(1000);
  EXPECT_TRUE(tap_of("eth0/52:54:00:12:34:57", 1001));  // another user does not wait
  Call call = ask(kBr);
  call.before_exec = [] {
    signal(SIGALRM, SIG_IGN);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, nullptr);
  };
  Running helper = start(call);
  EXPECT_TRUE(soon([&] { return waits_in(helper.pid, SYS_fcntl); }));
  kill(helper.pid, SIGALRM);
  const Outcome outcome = finish(std::move(helper));
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.err, "qemu-macvtap-helper: gave up after 30 s\n");
}

// An alarm goes on over exec.
TEST_F(TapWaitingTest, TheDeadlineIsItsOwnAndNotTheCallers) {
  allow("allow eth0 max=5");
  Fd lock = hold_lock_of(1000);
  Call call = ask(kBr);
  call.before_exec = [] { alarm(1); };
  Running helper = start(call);
  EXPECT_TRUE(soon([&] { return waits_in(helper.pid, SYS_fcntl); }));
  usleep(1'200'000);
  EXPECT_TRUE(waits_in(helper.pid, SYS_fcntl));
  lock = Fd();
  EXPECT_EQ(finish(std::move(helper)).status, 0);
}

// Where it says what has failed is the caller's choice, and some files ask who writes.
TEST_F(TapWaitingTest, ItHasNoPrivilegesWhenItSaysWhatHasFailed) {
  for (const std::string br : {"nosuch0", "eth0/52:54:00:ee:00:10"}) {
    Call call = ask(br);
    call.before_exec = [] {
      const std::string much(65536, 'x');
      fcntl(2, F_SETFL, O_NONBLOCK);
      for (const std::size_t size : {much.size(), std::size_t{1}})
        while (write(2, much.data(), size) > 0) continue;
      fcntl(2, F_SETFL, 0);
    };
    Running helper = start(call);
    EXPECT_TRUE(soon([&] { return waits_in(helper.pid, SYS_writev); })) << br;
    for (const char* set : {"CapPrm", "CapEff"}) EXPECT_EQ(status_line(helper.pid, set), "0000000000000000") << br;
    const Outcome outcome = finish(std::move(helper));
    EXPECT_EQ(outcome.status, 1) << br;
    EXPECT_THAT(outcome.err, HasSubstr("qemu-macvtap-helper: ")) << br;
  }
}

TEST_F(TapWaitingTest, TheGroupOfItsFileIsGivenUpAsItsOwnerIs) {
  sh("install -m 6755 -g 5 " + kProgram + " /run/bin/both");
  allow("allow eth0 max=5");
  const Fd lock = hold_lock_of(1000);
  Call call = ask(kBr);
  call.program = "/run/bin/both";
  const Running helper = start(call);
  EXPECT_TRUE(soon([&] { return waits_in(helper.pid, SYS_fcntl); }));
  EXPECT_EQ(status_line(helper.pid, "Gid"), "1000\t1000\t1000\t1000");
  EXPECT_EQ(status_line(helper.pid, "Uid"), "1000\t1000\t1000\t1000");
  kill(helper.pid, SIGKILL);
  waitpid(helper.pid, nullptr, 0);
}

}  // namespace
}  // namespace vmt
