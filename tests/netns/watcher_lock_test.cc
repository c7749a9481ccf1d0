// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/watcher_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "tests/netns/namespace.h"

namespace vmt {
namespace {

// In a namespace only for its private /run.
class WatcherLockTest : public NamespaceTest {
 protected:
  // Another process that is the watcher until it is killed.
  static pid_t watcher() {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
      const auto only = OnlyWatcher::take();
      const char ok = only ? '1' : '0';
      if (write(ready[1], &ok, 1) == 1) pause();
      _exit(0);
    }
    char ok = 0;
    EXPECT_EQ(read(ready[0], &ok, 1), 1);
    EXPECT_EQ(ok, '1');
    return child;
  }
  static void end(pid_t child) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
  // What another process answers.
  static int elsewhere(const std::function<int()>& question) {
    const pid_t child = fork();
    if (child == 0) _exit(question());
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
};

TEST_F(WatcherLockTest, TheSecondIsToldWhoTheFirstIs) {
  const pid_t first = watcher();
  const auto second = OnlyWatcher::take();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kExists);
  EXPECT_EQ(second.error().message,
            "watch: already running as PID " + std::to_string(first) + " (it holds /run/virt-macvtap-watch.lock)");
  EXPECT_EQ(running_watcher(), first);
  end(first);
}

TEST_F(WatcherLockTest, AKilledWatcherLeavesItFree) {
  end(watcher());
  EXPECT_EQ(running_watcher(), std::nullopt);
  EXPECT_TRUE(OnlyWatcher::take());
  EXPECT_TRUE(OnlyWatcher::take());
}

TEST_F(WatcherLockTest, AskingWhereNobodyEverWatchedLeavesNoFile) {
  EXPECT_EQ(running_watcher(), std::nullopt);
  EXPECT_NE(access(kWatcherLockPath, F_OK), 0);
}

// Closing a second descriptor would release the lock.
TEST_F(WatcherLockTest, TheWatcherMayAskWithoutLosingIt) {
  const auto only = OnlyWatcher::take();
  ASSERT_TRUE(only);
  EXPECT_EQ(running_watcher(), getpid());
  EXPECT_FALSE(OnlyWatcher::take());
  EXPECT_EQ(elsewhere([] { return OnlyWatcher::take() ? 1 : 0; }), 0);
}

TEST_F(WatcherLockTest, ItMovesWithItsValue) {
  auto only = OnlyWatcher::take();
  ASSERT_TRUE(only);
  {
    const OnlyWatcher moved = std::move(*only);
    EXPECT_EQ(running_watcher(), getpid());
  }
  EXPECT_EQ(running_watcher(), std::nullopt);
  EXPECT_TRUE(OnlyWatcher::take());
}

TEST_F(WatcherLockTest, OnlyRootCanTakeItOrKnow) {
  const pid_t first = watcher();
  struct stat status {};
  ASSERT_EQ(stat(kWatcherLockPath, &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  EXPECT_EQ(elsewhere([] {
              if (setresuid(65534, 65534, 65534) != 0) return 9;
              const auto only = OnlyWatcher::take();
              if (only || only.error().kind != ErrorKind::kPermission) return 8;
              return running_watcher() ? 7 : 0;
            }),
            0);
  end(first);
}

TEST_F(WatcherLockTest, ALinkIsNotFollowed) {
  sh("ln -s /run/target /run/link");
  EXPECT_FALSE(OnlyWatcher::take("/run/link"));
  EXPECT_NE(access("/run/target", F_OK), 0);
  const pid_t first = watcher();
  sh("ln -sf /run/virt-macvtap-watch.lock /run/link");
  EXPECT_FALSE(running_watcher("/run/link"));
  end(first);
}

TEST_F(WatcherLockTest, AWatcherOutsideOfOurPidNamespaceIsThereButHasNoPid) {
  const pid_t first = watcher();
  EXPECT_EQ(elsewhere([] {
              if (unshare(CLONE_NEWPID) != 0) return 9;
              return elsewhere([] { return running_watcher() == 0 && !OnlyWatcher::take() ? 0 : 1; });
            }),
            0);
  end(first);
}

}  // namespace
}  // namespace vmt
