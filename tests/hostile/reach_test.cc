// SPDX-License-Identifier: LGPL-2.1-or-later
// What can an ordinary user reach at all? Files, locks, and the programs that are not for him.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

#include "lib/lock.h"
#include "lib/watcher_lock.h"
#include "tests/hostile/fixture.h"

namespace vmt {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* kDomain = VMT_TEST_DATA "/domain/static/start.xml";

class HostileReachTest : public HostileTest {
 protected:
  void SetUp() override {
    HostileTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    // A directory for everybody, as it would be on a real host, and nothing in it.
    sh("cp " + std::string(kDomain) +
       " /run/domain.xml && chmod 644 /run/domain.xml && mount -t tmpfs -o mode=1777 tmpfs /tmp");
    before_ = world();
  }
  std::string hook(const std::string& operation) const {
    return installed("hook") + " static " + operation + " begin - </run/domain.xml";
  }
  // The errno of opening it, as the user.
  static int open_as_user(const char* path, int flags) {
    return as_user([&] { return open(path, flags, 0666) < 0 ? errno : 0; });
  }
};

TEST_F(HostileReachTest, NothingThatIsInstalledCanBeWrittenByOthersWhateverTheUmask) {
  EXPECT_THAT(output_of(std::string("find ") + kRoot + " -mindepth 1 -perm /022 -ls"), IsEmpty());
  EXPECT_THAT(output_of(std::string("find ") + kRoot + " -not -user 0 -o -not -group 0"), IsEmpty());
}

TEST_F(HostileReachTest, TheHelperAloneHasASpecialBitOrCapabilities) {
  EXPECT_EQ(output_of(std::string("find ") + kRoot + " -perm /7000 -type f"), installed("qemu-macvtap-helper") + "\n");
  EXPECT_THAT(output_of(std::string("getcap -r ") + kRoot), IsEmpty());
}

TEST_F(HostileReachTest, NoDirectoryOnTheWayToAProgramIsAnybodyElses) {
  for (const char* program : {"hook", "virt-macvtap", "qemu-macvtap-helper"})
    EXPECT_EQ(sh_as_user("cd $(dirname " + installed(program) + ") && touch x"), 1) << program;
}

TEST_F(HostileReachTest, HeCannotOpenTheHooksLockNotEvenToRead) {
  const auto lock = Lock::take(std::chrono::milliseconds(100));  // as root makes it
  ASSERT_TRUE(lock);
  EXPECT_EQ(open_as_user(kLockPath, O_RDONLY), EACCES);
  EXPECT_EQ(open_as_user(kLockPath, O_RDWR), EACCES);
}

TEST_F(HostileReachTest, HeCannotOpenTheHooksLockThatHisOwnHelperHasMade) {
  allow("allow eth0 max=3");
  EXPECT_EQ(run(ask_installed()).status, 0);
  EXPECT_EQ(open_as_user(kLockPath, O_RDONLY), EACCES);
  EXPECT_EQ(output_of("stat -c '%u %g %a' /run/virt-macvtap.lock"), "0 0 600\n");
}

TEST_F(HostileReachTest, HeCannotOpenTheHooksLockThatAHelperMadeUnderHisUmask) {
  allow("allow eth0 max=3");
  Call call = ask_installed();
  call.before_exec = [] { umask(0); };
  EXPECT_EQ(run(call).status, 0);
  EXPECT_EQ(open_as_user(kLockPath, O_RDONLY), EACCES);
}

TEST_F(HostileReachTest, HeCannotOpenTheWatchersLock) {
  const auto lock = OnlyWatcher::take();
  ASSERT_TRUE(lock);
  EXPECT_EQ(open_as_user(kWatcherLockPath, O_RDONLY), EACCES);
  EXPECT_EQ(open_as_user(kWatcherLockPath, O_RDWR), EACCES);
}

TEST_F(HostileReachTest, HeCannotMakeTheLocksBeforeRootDoes) {
  EXPECT_EQ(open_as_user(kLockPath, O_RDWR | O_CREAT), EACCES);
  EXPECT_EQ(open_as_user(kWatcherLockPath, O_RDWR | O_CREAT), EACCES);
  EXPECT_EQ(as_user([] { return symlink("/etc/passwd", kLockPath) < 0 ? errno : 0; }), EACCES);
}

TEST_F(HostileReachTest, ALockThatIsASymlinkIsNotFollowedByTheHelper) {
  allow("allow eth0 max=3");
  sh("echo precious >/run/precious && ln -s /run/precious /run/virt-macvtap.lock");
  const Outcome outcome = run(ask_installed());
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("Too many levels of symbolic links"));
  EXPECT_EQ(output_of("cat /run/precious"), "precious\n");
  expect_world(before_, "a symlink for a lock");
}

TEST_F(HostileReachTest, ALockThatIsADanglingSymlinkMakesNoFileElsewhere) {
  allow("allow eth0 max=3");
  sh("ln -s /run/elsewhere /run/virt-macvtap.lock");
  EXPECT_EQ(run(ask_installed()).status, 1);
  EXPECT_EQ(status_of(hook("start") + " 2>/dev/null"), 0);
  EXPECT_EQ(status_of("test -e /run/elsewhere"), 1);
}

TEST_F(HostileReachTest, ALockThatIsASymlinkIsNotFollowedByTheHook) {
  sh("echo precious >/run/precious && ln -s /run/precious /run/virt-macvtap.lock");
  EXPECT_THAT(output_of(hook("start")), HasSubstr("Too many levels of symbolic links"));
  EXPECT_EQ(output_of("cat /run/precious"), "precious\n");
}

TEST_F(HostileReachTest, AListThatIsASymlinkToHisOwnFileDenies) {
  allow("deny all");
  sh("rm /etc/qemu/macvtap.conf && ln -s /tmp/mine /etc/qemu/macvtap.conf");
  EXPECT_EQ(sh_as_user("echo 'allow all' >/tmp/mine"), 0);
  const Outcome outcome = run(ask_installed());
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("owned by uid 1000 instead of root"));
}

TEST_F(HostileReachTest, AnIncludeInADirectoryOfHisDenies) {
  sh("mkdir -m 777 /run/his");
  EXPECT_EQ(sh_as_user("echo 'allow all' >/run/his/more"), 0);
  allow("include /run/his/more");
  const Outcome outcome = run(ask_installed());
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("owned by uid 1000 instead of root"));
}

TEST_F(HostileReachTest, AHookThatHeStartsSaysAndDoesNothing) {
  for (const char* operation :
       {"prepare", "start", "started", "reconnect", "stopped", "release", "migrate", "restore"}) {
    EXPECT_EQ(sh_as_user(hook(operation) + " >/tmp/said 2>&1 && test ! -s /tmp/said"), 0) << operation;
  }
  EXPECT_EQ(status_of("test -e /run/virt-macvtap.lock"), 1);
  expect_world(before_, "a hook of his");
}

TEST_F(HostileReachTest, AHookThatHeStartsAsRootOfHisOwnNamespaceChangesNothing) {
  for (const char* operation : {"prepare", "start", "release"})
    EXPECT_EQ(as_user([&] {
                become_root_of_own_namespace();
                return execl("/bin/sh", "sh", "-c", (hook(operation) + " 2>/dev/null").c_str(), nullptr);
              }),
              0)
        << operation;
  EXPECT_EQ(status_of("test -e /run/virt-macvtap.lock"), 1);
  expect_world(before_, "a hook of his, as root of nothing");
}

class HostileCommandTest : public HostileReachTest, public testing::WithParamInterface<const char*> {};

TEST_P(HostileCommandTest, InHisHandsChangesNothing) {
  // eth0 has a shim and a device, which are none of his.
  const std::string tool = installed("virt-macvtap");
  sh(tool + " host up eth0 --guest 192.0.2.61 && " + tool + " create tap-web --parent eth0");
  const std::string with = world();
  const std::string routes = output_of("ip route; ip -6 route; ip neigh show nud permanent");
  EXPECT_NE(sh_as_user(tool + " " + GetParam() + " >/tmp/said 2>&1"), 0) << output_of("cat /tmp/said");
  EXPECT_EQ(output_of("ip route; ip -6 route; ip neigh show nud permanent"), routes);
  expect_world(with, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Each, HostileCommandTest,
                         testing::Values("create x --parent eth0", "delete tap-web", "set tap-web --mtu 1400", "clean",
                                         "host up eth0 --guest 192.0.2.62", "host down eth0",
                                         "exec --nic parent=eth0 -- true {0.fd}",
                                         "exec --user root --nic parent=eth0 -- true {0.fd}", "watch",
                                         "sync --connect test:///default"));

// The files that a program has opened, of a trace.
const std::string kOpened =
    "sed -nE 's/.*openat\\([^,]*, \"([^\"]*)\".*/\\1/p' /run/trace2 | sed -E 's/[0-9]+/N/g' | sort -u";

TEST_F(HostileReachTest, WhatTheHelperOpensIsAShortListAndNothingOfHis) {
  allow("allow eth0 user=nobody max=3\nallow eth0 group=nogroup\nallow eth0 max=3");
  // The directory of this process may be out of sight by now, which not every python3 can bear.
  sh("cd / && python3 - <<'E'\nimport socket, subprocess\na, b = socket.socketpair()\n"
     "subprocess.run('strace -f -qq -o /run/trace -e trace=open,openat,openat2,creat -I 4 setpriv --reuid 1000 --regid "
     "1000 --clear-groups " +
     installed("qemu-macvtap-helper") +
     " --use-vnet --br=eth0/52:54:00:12:34:56 --fd=%d' % b.fileno(), shell=True, pass_fds=[b.fileno()], "
     "check=True)\nE");
  // What setpriv, a dynamic program, has opened before is not the helper's.
  sh("awk '/macvtap.conf/{on=1} on' /run/trace >/run/trace2 && test -s /run/trace2");
  std::istringstream paths(output_of(kOpened));
  for (std::string path; std::getline(paths, path);)
    EXPECT_THAT(path, testing::MatchesRegex("/etc/qemu/macvtap.conf|/etc/(passwd|group)|/run|/run/virt-macvtap.lock|"
                                            "/proc/sys/net/ipvN/conf/default/disable_ipvN|/dev/tapN|/sys/class/.*|"
                                            "/dev/null|class/.*"));
}

TEST_F(HostileReachTest, TheToolsLeaveNothingInTmp) {
  allow("allow eth0 max=3");
  EXPECT_EQ(run(ask_installed()).status, 0);
  sh(hook("start") + " && " + hook("release"));
  const std::string tool = installed("virt-macvtap");
  sh(tool + " host up eth0 --guest 192.0.2.61 && " + tool + " status >/dev/null && " + tool + " clean");
  EXPECT_THAT(output_of("find /tmp -mindepth 1"), IsEmpty());
}

TEST_F(HostileReachTest, ACommandThatExecStartsForHimHoldsNoLockOfOurs) {
  sh(installed("virt-macvtap") +
     " exec --user 1000 --nic parent=eth0 -- sh -c 'exec sleep 5 {0.fd}' 2>/dev/null & sleep 0.5");
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(output_of(hook("start")), "");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  sh(hook("release"));
}

}  // namespace
}  // namespace vmt
