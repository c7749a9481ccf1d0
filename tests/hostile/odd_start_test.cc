// SPDX-License-Identifier: LGPL-2.1-or-later
// What can a user hand down to the helper by starting it oddly: environment, arguments, fds, limits, timers, masks?
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

#include "tests/hostile/fixture.h"

namespace vmt {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class HostileStartTest : public HostileTest {
 protected:
  // It works all the same, and leaves nothing afterwards.
  void expect_fine(const Call& call) {
    {
      const Outcome outcome = run(call);
      EXPECT_EQ(outcome.status, 0) << outcome.err;
      EXPECT_THAT(outcome.err, IsEmpty());
      EXPECT_EQ(outcome.taps.size(), 1U);
    }
    expect_world(before_, "an odd start");
  }
  // One line that is not too long, nothing sent, nothing left.
  void expect_refused(const Call& call, const std::string& line) {
    const Outcome outcome = run(call);
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.err, HasSubstr(line));
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err.substr(0, 300);
    EXPECT_TRUE(outcome.taps.empty() && outcome.bytes.empty());
    expect_world(before_, "an odd start");
  }
  Call with(const std::function<void()>& before_exec) const {
    Call call = ask_installed();
    call.before_exec = before_exec;
    return call;
  }
};

class HostileEnvironmentTest : public HostileStartTest, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    HostileStartTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    // Whoever opens this waits until the deadline; whoever loads that, writes a file.
    sh("mkdir -m 777 /run/trap && mkfifo -m 666 /run/trap/fifo && "
       "printf '%s\\n' '#include <fcntl.h>' '__attribute__((constructor)) static void run(void) { "
       "creat(\"/run/trap/loaded\", 0666); }' | "
       "cc -shared -fPIC -x c - -o /run/trap/evil.so && chmod 755 /run/trap/evil.so");
  }
};

TEST_P(HostileEnvironmentTest, IsNotLookedAt) {
  Call call = ask_installed();
  call.environment = {GetParam()};
  expect_fine(call);
  EXPECT_EQ(status_of("test -e /run/trap/loaded"), 1);
}

INSTANTIATE_TEST_SUITE_P(
    Each, HostileEnvironmentTest,
    testing::Values("LD_PRELOAD=/run/trap/evil.so", "LD_AUDIT=/run/trap/evil.so", "LD_LIBRARY_PATH=/run/trap",
                    "LD_DEBUG=all", "LD_DEBUG_OUTPUT=/run/trap/loaded", "LD_SHOW_AUXV=1", "LD_ORIGIN_PATH=/run/trap",
                    "LD_PROFILE=libc.so.6", "LD_USE_LOAD_BIAS=1", "PATH=/run/trap", "IFS=/", "ENV=/run/trap/fifo",
                    "BASH_ENV=/run/trap/fifo", "HOME=/run/trap", "TMPDIR=/run/trap", "MALLOC_TRACE=/run/trap/loaded",
                    "MALLOC_CHECK_=3", "MALLOC_PERTURB_=170", "MALLOC_ARENA_MAX=x", "MALLOC_TOP_PAD_=99999999999",
                    "GLIBC_TUNABLES=glibc.malloc.mxfast=glibc.malloc.mxfast=A", "GCONV_PATH=/run/trap",
                    "LOCPATH=/run/trap", "LANG=../../../run/trap", "LC_ALL=/run/trap/fifo", "LANGUAGE=/run/trap",
                    "NLSPATH=/run/trap/fifo", "TZ=:/run/trap/fifo", "TZDIR=/run/trap", "HOSTALIASES=/run/trap/fifo",
                    "RES_OPTIONS=debug", "RESOLV_HOST_CONF=/run/trap/fifo", "NLCB=debug", "NLDBG=9",
                    "NOTIFY_SOCKET=/run/trap/fifo", "no equals sign", "=", ""));

TEST_F(HostileStartTest, AnEnvironmentOfAMegabyteDoesNotMatter) {
  Call call = ask_installed();
  for (int i = 0; i < 16; ++i) call.environment.push_back("LD_PRELOAD=" + std::string(60'000, 'x'));
  expect_fine(call);
}

TEST_F(HostileStartTest, AnEmptyArgumentIsRefused) {
  Call call = ask_installed();
  call.words.emplace_back("");
  expect_refused(call, "");
}

TEST_F(HostileStartTest, AnEmptyBridgeIsRefused) {
  Call call = ask_installed("");
  expect_refused(call, "interface name ''");
}

TEST_F(HostileStartTest, ABridgeOfAHundredKilobytesIsRefusedInOneLine) {
  Call call = ask_installed(std::string(100'000, 'x'));
  expect_refused(call, "interface name");
}

TEST_F(HostileStartTest, AnFdOfAHundredDigitsIsRefused) {
  Call call = ask_installed();
  call.words[1] = "--fd=" + std::string(100, '2');
  expect_refused(call, "--fd");
}

TEST_F(HostileStartTest, TenThousandArgumentsAreRefused) {
  Call call = ask_installed();
  for (int i = 0; i < 10'000; ++i) call.words.emplace_back("--no-such-option");
  expect_refused(call, "");
}

TEST_F(HostileStartTest, FormatsAndControlCharactersAreSaidAsTheyAreNotDone) {
  const Outcome outcome = run(ask_installed("%n%s\x1b[2J\n\r\x07"));
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1);
  EXPECT_EQ(outcome.err.find_first_of("\x1b\r\x07"), std::string::npos) << outcome.err;
}

TEST_F(HostileStartTest, AUmaskThatTakesEverythingDoesNotMatter) {
  allow("allow eth0 max=5");
  expect_fine(with([] { umask(0777); }));
}

TEST_F(HostileStartTest, ATimerOfHisDoesNotFireInIt) {
  expect_fine(with([] {
    signal(SIGALRM, SIG_IGN);
    const itimerval soon_{.it_interval = {0, 500}, .it_value = {0, 500}};
    setitimer(ITIMER_REAL, &soon_, nullptr);
  }));
}

TEST_F(HostileStartTest, AProfilingTimerOfHisKillsItOrNot) {
  for (int microseconds = 200; microseconds < 4000; microseconds += 200) {
    const Outcome outcome = run(with([=] {
      const itimerval soon_{.it_interval = {0, 0}, .it_value = {0, microseconds}};
      setitimer(ITIMER_PROF, &soon_, nullptr);
    }));
    expect_all_or_nothing(outcome, std::to_string(microseconds));
  }
  expect_world(before_, "a profiling timer");
}

TEST_F(HostileStartTest, SignalsThatAreIgnoredDoNotMatter) {
  expect_fine(with([] {
    for (int number = 1; number < 32; ++number) signal(number, SIG_IGN);
  }));
}

TEST_F(HostileStartTest, SignalsThatAreBlockedAndPendingDoNotMatter) {
  Call call = with([] {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    for (const int number : {SIGPIPE, SIGCHLD, SIGURG, SIGWINCH}) raise(number);
  });
  expect_fine(call);
}

TEST_F(HostileStartTest, ASignalThatIsPendingKillsItBeforeItIsAnything) {
  const Outcome outcome = run(with([] {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    raise(SIGTERM);
  }));
  EXPECT_EQ(outcome.status, 128 + SIGTERM);
  expect_world(before_, "a pending signal");
}

TEST_F(HostileStartTest, ItDoesNotDieWithHisThreadByAnInheritedDeathSignal) {
  expect_fine(with([] { prctl(PR_SET_PDEATHSIG, SIGKILL); }));
}

TEST_F(HostileStartTest, APersonalityOfHisIsForgotten) {
  Call call = ask_installed("eth0");
  call.before_exec = [] {
    if (personality(READ_IMPLIES_EXEC | ADDR_NO_RANDOMIZE | MMAP_PAGE_ZERO) < 0) _exit(97);
  };
  const Outcome outcome = run(call);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  ASSERT_TRUE(soon([] { return helpers().size() == 1; }));
  EXPECT_EQ(output_of("cat /proc/" + std::to_string(helpers().front()) + "/personality"), "00000000\n");
}

TEST_F(HostileStartTest, AWorkingDirectoryThatIsGoneDoesNotMatter) {
  sh("mkdir -m 777 /run/his");
  expect_fine(with([] {
    if (mkdir("/run/his/gone", 0777) != 0 || chdir("/run/his/gone") != 0 || rmdir("/run/his/gone") != 0) _exit(97);
  }));
}

TEST_F(HostileStartTest, AThousandFdsOfHisAreNotKeptByTheChild) {
  Call call = ask_installed("eth0");
  call.before_exec = [] {
    for (int i = 0; i < 1000; ++i) [[maybe_unused]] const int fd = open("/dev/null", O_RDONLY);
  };
  const Outcome outcome = run(call);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(soon([] {
    return helpers().size() == 1 && output_of("ls /proc/" + std::to_string(helpers().front()) + "/fd | wc -l") == "3\n";
  }));
}

class HostileLimitTest : public HostileStartTest, public testing::WithParamInterface<std::pair<const char*, rlimit>> {};

constexpr __rlimit_resource resource_of(std::string_view name) {
  if (name == "AddressSpace") return RLIMIT_AS;
  if (name == "Data") return RLIMIT_DATA;
  if (name == "Cpu") return RLIMIT_CPU;
  if (name == "FileSize") return RLIMIT_FSIZE;
  if (name == "Processes") return RLIMIT_NPROC;
  if (name == "Stack") return RLIMIT_STACK;
  if (name == "LockedMemory") return RLIMIT_MEMLOCK;
  if (name == "Files") return RLIMIT_NOFILE;
  if (name == "Locks") return RLIMIT_LOCKS;
  return RLIMIT_SIGPENDING;
}

TEST_P(HostileLimitTest, MakesItFailOrNotButNeverHalf) {
  allow("allow eth0 max=50");
  for (const char* br : {kBr, "eth0"})
    for (rlim_t value = GetParam().second.rlim_cur; value <= GetParam().second.rlim_max; value = value * 2 + 1) {
      Call call = ask_installed(br);
      call.before_exec = [&] {
        const rlimit limit{value, value};
        if (setrlimit(resource_of(GetParam().first), &limit) != 0) _exit(97);
      };
      expect_all_or_nothing(run(call), std::string(GetParam().first) + "=" + std::to_string(value));
      for (const pid_t child : helpers()) kill(child, SIGKILL);
    }
  expect_world(before_, GetParam().first);
}

INSTANTIATE_TEST_SUITE_P(Each, HostileLimitTest,
                         testing::Values(std::pair("AddressSpace", rlimit{4096, 8 << 20}),
                                         std::pair("Data", rlimit{0, 1 << 20}), std::pair("Cpu", rlimit{0, 1}),
                                         std::pair("FileSize", rlimit{0, 64}), std::pair("Processes", rlimit{0, 2}),
                                         std::pair("Stack", rlimit{4096, 1 << 20}),
                                         std::pair("LockedMemory", rlimit{0, 4096}), std::pair("Files", rlimit{0, 64}),
                                         std::pair("Locks", rlimit{0, 2}), std::pair("PendingSignals", rlimit{0, 2})),
                         [](const auto& one) { return one.param.first; });

// The socket is something else.
class HostileFdTest : public HostileStartTest {
 protected:
  Call fd_is(const std::function<int()>& make, const std::string& br = kBr) const {
    Call call = ask_installed(br);
    call.before_exec = [make] {
      if (dup2(make(), 20) != 20) _exit(97);
    };
    return call;
  }
};

TEST_F(HostileFdTest, ADirectoryIsRefused) {
  expect_refused(fd_is([] { return open("/", O_RDONLY | O_DIRECTORY); }), "not a Unix stream socket");
}
TEST_F(HostileFdTest, APathFdIsRefused) {
  expect_refused(fd_is([] { return open("/", O_PATH); }), "not a Unix stream socket");
}
TEST_F(HostileFdTest, AnEpollIsRefused) {
  expect_refused(fd_is([] { return epoll_create1(0); }), "not a Unix stream socket");
}
TEST_F(HostileFdTest, AnEventfdIsRefused) {
  expect_refused(fd_is([] { return eventfd(0, 0); }), "not a Unix stream socket");
}
TEST_F(HostileFdTest, AMemfdIsRefused) {
  expect_refused(fd_is([] { return memfd_create("x", 0); }), "not a Unix stream socket");
}
TEST_F(HostileFdTest, ItsOwnListIsRefused) {
  expect_refused(fd_is([] { return open("/etc/qemu/macvtap.conf", O_RDONLY); }), "not a Unix stream socket");
}
TEST_F(HostileFdTest, ANetlinkSocketIsRefused) {
  expect_refused(fd_is([] { return socket(AF_NETLINK, SOCK_RAW, 0); }), "not a Unix stream socket");
}
TEST_F(HostileFdTest, ATcpSocketIsRefused) {
  expect_refused(fd_is([] { return socket(AF_INET, SOCK_STREAM, 0); }), "not a Unix stream socket");
}

TEST_F(HostileFdTest, ASocketOfADaemonOfRootsGivesTheTapToItAndItGoesWithIt) {
  const Fd listening(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = "/run/daemon"};
  ASSERT_EQ(bind(listening.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(chmod("/run/daemon", 0777), 0);
  ASSERT_EQ(listen(listening.get(), 5), 0);
  EXPECT_EQ(run(fd_is([&] {
              const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
              return connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? fd : -1;
            })).status,
            0);
  EXPECT_EQ(devices().size(), 1U);  // in the socket's queue
  {
    const Fd accepted(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_TRUE(accepted);
  }
  expect_world(before_, "after the daemon has hung up");
}

TEST_F(HostileFdTest, AQueueThatIsFullIsAnErrorAndNoWait) {
  const auto begin = std::chrono::steady_clock::now();
  expect_refused(fd_is([] {
                   int ends[2];
                   if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return -1;
                   while (send(ends[0], "x", 1, MSG_DONTWAIT) == 1) {
                   }
                   return ends[0];
                 }),
                 "send the tap");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

// A user namespace of his own.

TEST_F(HostileStartTest, AsRootOfHisOwnUserNamespaceItHasNoPrivilege) {
  const Outcome outcome = run(with([] { become_root_of_own_namespace(); }));
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(outcome.taps.empty());
  expect_world(before_, "a user namespace");
}

TEST_F(HostileStartTest, InUserAndNetworkNamespacesOfHisOwnItDoesNotReachTheHosts) {
  const Outcome outcome = run(with([] { become_root_of_own_namespace(CLONE_NEWNET); }));
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(outcome.taps.empty());
  EXPECT_THAT(outcome.err, HasSubstr("No such device"));
  expect_world(before_, "user and network namespaces");
}

TEST_F(HostileStartTest, WithAListOfHisOwnInAMountNamespaceItHasNoPrivilege) {
  const Outcome outcome = run(with([] {
    become_root_of_own_namespace(CLONE_NEWNS);
    if (mount("tmpfs", "/etc/qemu", "tmpfs", 0, nullptr) != 0) _exit(97);
    std::ofstream("/etc/qemu/macvtap.conf") << "allow all\n";
    chmod("/etc/qemu/macvtap.conf", 0644);
  }));
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(outcome.taps.empty());
  EXPECT_THAT(outcome.err, HasSubstr("Operation not permitted"));
  expect_world(before_, "a list of his own");
}

TEST_F(HostileStartTest, AfterNoNewPrivilegesItHasNone) {
  const Outcome outcome = run(with([] { prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }));
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("it has to be installed setuid root"));
}

TEST_F(HostileStartTest, ACopyOfHisHasNoPrivilege) {
  sh("mkdir -m 777 /run/his");
  EXPECT_EQ(sh_as_user("cp " + installed("qemu-macvtap-helper") + " /run/his/qemu-macvtap-helper"), 0);
  Call call = ask_installed();
  call.program = "/run/his/qemu-macvtap-helper";
  const Outcome outcome = run(call);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("it has to be installed setuid root"));
}

}  // namespace
}  // namespace vmt
