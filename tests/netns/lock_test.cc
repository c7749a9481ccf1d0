// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/netns/namespace.h"

namespace vmt {
namespace {

using namespace std::chrono_literals;

// In a namespace only for its private /run.
class LockTest : public NamespaceTest {
 protected:
  // Another process that holds the lock until it is told to end; returns its PID once it has it.
  static pid_t holder() {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
      const auto lock = Lock::take(1s);
      const char ok = lock ? '1' : '0';
      if (write(ready[1], &ok, 1) == 1) pause();
      _exit(0);
    }
    char ok = 0;
    EXPECT_EQ(read(ready[0], &ok, 1), 1);
    EXPECT_EQ(ok, '1');
    return child;
  }
};

TEST_F(LockTest, IsFreeAgainWhenItsHolderGoes) {
  EXPECT_TRUE(Lock::take(1s));
  EXPECT_TRUE(Lock::take(1s));
}

TEST_F(LockTest, WaitsNoLongerThanItWasTold) {
  const pid_t other = holder();
  const auto start = std::chrono::steady_clock::now();
  const auto lock = Lock::take(200ms);
  const auto waited = std::chrono::steady_clock::now() - start;
  ASSERT_FALSE(lock);
  EXPECT_EQ(lock.error().kind, ErrorKind::kTimeout);
  EXPECT_THAT(lock.error().message, testing::HasSubstr(kLockPath));
  EXPECT_GE(waited, 200ms);
  EXPECT_LT(waited, 5s);
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
}

TEST_F(LockTest, ACallersOwnAlarmGoesOffWhenItWasToGoOff) {
  const pid_t other = holder();
  signal(SIGALRM, [](int) { _exit(7); });
  const pid_t child = fork();
  if (child == 0) {
    alarm(1);
    if (Lock::take(800ms)) _exit(1);
    for (int i = 0; i < 5; ++i) usleep(100'000);  // 1.3 s in all
    _exit(2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 7);
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
}

TEST_F(LockTest, AKilledHolderLeavesItFree) {
  const pid_t other = holder();
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
  EXPECT_TRUE(Lock::take(1s));
}

TEST_F(LockTest, OnlyRootCanOpenItAndALinkIsNotFollowed) {
  EXPECT_TRUE(Lock::take(1s));
  struct stat status {};
  ASSERT_EQ(stat(kLockPath, &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  sh(std::string("ln -s /run/target /run/link"));
  EXPECT_FALSE(Lock::take(1s, "/run/link"));
  EXPECT_NE(access("/run/target", F_OK), 0);
}

}  // namespace
}  // namespace vmt
