// SPDX-License-Identifier: LGPL-2.1-or-later
// qemu-macvtap-helper in the hands of a user who means harm: privileges, environment, fds, limits, signals.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "tests/netns/programs.h"
#include "tests/netns/tap_fixture.h"

namespace vmt {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const std::string kBr = "eth0/52:54:00:12:34:56";
const std::string kProgram = "/run/bin/qemu-macvtap-helper";

class TapHostileTest : public TapTest {
 protected:
  void SetUp() override {
    TapTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) before_ = world();
  }
  // Either it works or it is a failure that leaves nothing; no third.
  void expect_all_or_nothing(const Outcome& outcome, const std::string& what) {
    EXPECT_EQ(outcome.taps.size(), outcome.status == 0 ? 1U : 0U) << what << ": " << outcome.err;
    EXPECT_EQ(outcome.bytes.size(), outcome.taps.size()) << what;
  }
  static void limit(__rlimit_resource resource, rlim_t value) {
    const rlimit both{value, value};
    if (setrlimit(resource, &both) != 0) _exit(97);
  }

  std::string before_;
};

TEST_F(TapHostileTest, TheEnvironmentIsNotLookedAt) {
  sh("mkfifo -m 666 /run/trap && install -m 755 /dev/null /run/evil.so");
  Call call = ask(kBr);
  call.environment = {"LD_PRELOAD=/run/evil.so",
                      "LD_LIBRARY_PATH=/run",
                      "LD_AUDIT=/run/evil.so",
                      "LD_DEBUG=all",
                      "PATH=/run",
                      "TMPDIR=/run/trap",
                      "LOCPATH=/run",
                      "LANGUAGE=xx",
                      "LC_ALL=xx",
                      "GCONV_PATH=/run",
                      "GLIBC_TUNABLES=glibc.malloc.check=3:glibc.malloc.mxfast=x",
                      "MALLOC_PERTURB_=1",
                      "MALLOC_CHECK_=3",
                      "NLDBG=9",
                      "NLCB=bogus",
                      "PROC_NET_PSCHED=/run/trap",
                      "PROC_ROOT=/run/trap",
                      "HOSTALIASES=/run/trap",
                      "RESOLV_HOST_CONF=/run/trap",
                      "CAP_DEBUG=1",
                      "no equals sign",
                      ""};
  const Outcome outcome = run(call);
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.err, IsEmpty());
  ASSERT_EQ(outcome.taps.size(), 1U);
}

TEST_F(TapHostileTest, WithoutPrivilegesItIsOneLine) {
  Call call = ask(kBr);
  call.before_exec = [] { prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); };
  sh("install -m 755 " + kProgram + " /run/bin/plain");
  Call plain = ask(kBr);
  plain.program = "/run/bin/plain";
  for (const Call& without : {call, plain}) {
    const Outcome outcome = run(without);
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.err, HasSubstr("installed setuid root or with file capabilities"));
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1);
    EXPECT_TRUE(outcome.taps.empty());
    Call help = without;
    help.words = {"--help"};
    EXPECT_EQ(run(help).status, 0);
  }
  expect_world(before_, "without privileges");
}

TEST_F(TapHostileTest, InAUserNamespaceOfTheCallersOwnThereIsNothingToGain) {
  Call call = ask(kBr);
  call.before_exec = [] {
    prctl(PR_SET_DUMPABLE, 1);  // else the maps are root's
    if (unshare(CLONE_NEWUSER) != 0) _exit(97);
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << "0 1000 1";
    std::ofstream("/proc/self/gid_map") << "0 1000 1";
    if (getuid() != 0) _exit(96);
  };
  const Outcome outcome = run(call);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(outcome.taps.empty());
  EXPECT_THAT(outcome.err, HasSubstr("instead of root"));
  // Nor with a list of one's own.
  Call own = call;
  own.before_exec = [&] {
    call.before_exec();
    if (unshare(CLONE_NEWNS) != 0 || mount("tmpfs", "/etc/qemu", "tmpfs", 0, nullptr) != 0) _exit(97);
    std::ofstream("/etc/qemu/macvtap.conf") << "allow all\n";
    chmod("/etc/qemu/macvtap.conf", 0644);
  };
  const Outcome with_list = run(own);
  EXPECT_EQ(with_list.status, 1);
  EXPECT_TRUE(with_list.taps.empty());
  EXPECT_THAT(with_list.err, HasSubstr("Operation not permitted"));
  expect_world(before_, "a user namespace");
}

TEST_F(TapHostileTest, FileCapabilitiesDoAsWellAsTheSetuidBit) {
  sh("install -m 755 " + kProgram +
     " /run/bin/caps && setcap cap_net_admin,cap_sys_admin,cap_dac_override,cap_net_raw,cap_chown=p /run/bin/caps");
  allow("allow eth0 max=3");
  for (const std::string& br : {kBr, std::string("eth0")}) {
    Call call = ask(br);
    call.program = "/run/bin/caps";
    const Outcome outcome = run(call);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    ASSERT_EQ(outcome.taps.size(), 1U);
    EXPECT_EQ(device_of(outcome.taps[0]).use, DeviceUse(ForUser{1000}));
  }
  EXPECT_EQ(output_of("stat -c '%u %g %a' /run/virt-macvtap.lock"), "0 0 600\n");
}

// The lines of a trace of the system calls that matter, shortened to what the table in helper/tap/main.cc speaks of.
std::string phases_of(const std::string& trace) {
  std::ifstream file(trace);
  std::string phases;
  const auto add = [&](const std::string& phase) {
    if (!phases.ends_with(phase + " ")) phases += phase + " ";
  };
  for (std::string line; std::getline(file, line);) {
    const auto has = [&](const char* text) { return line.find(text) != std::string::npos; };
    if (has("capset(") && has("effective=0, permitted=0, inheritable=0"))
      add("none");
    else if (has("capset(") && has("effective=0, permitted=1<<CAP_CHOWN|1<<CAP_DAC_OVERRIDE|1<<CAP_NET_ADMIN|"
                                   "1<<CAP_NET_RAW|1<<CAP_SYS_ADMIN, inheritable=0"))
      add("permitted");
    else if (has("capset(") && has("effective=1<<CAP_CHOWN|1<<CAP_DAC_OVERRIDE|1<<CAP_NET_ADMIN|1<<CAP_NET_RAW|"
                                   "1<<CAP_SYS_ADMIN, permitted=1<<CAP_CHOWN|1<<CAP_DAC_OVERRIDE|1<<CAP_NET_ADMIN|"
                                   "1<<CAP_NET_RAW|1<<CAP_SYS_ADMIN, inheritable=0"))
      add("effective");
    else if (has("capset("))
      add("?");
    else if (has("setresuid(1000, 1000, 1000)"))
      add("user");
    else if (has("PR_SET_DUMPABLE, SUID_DUMP_DISABLE"))
      add("undumpable");
    else if (has("PR_SET_NO_NEW_PRIVS, 1"))
      add("nnp");
    else if (has("/etc/qemu/macvtap.conf"))
      add("list");
    else if (has("RTM_NEWLINK") && has("sendmsg("))
      add("create");
    else if (has("clone(") || has("fork("))
      add("fork");
    else if (has("SCM_RIGHTS"))
      add("send");
    else if (has("execve("))
      add("exec");
  }
  return phases;
}

TEST_F(TapHostileTest, PrivilegesGoInTheOrderOfTheTable) {
  // A tracer that may trace anything leaves the setuid bit alone.
  const std::string strace =
      "strace -f -qq -s 4096 -o /run/trace -e trace=capset,setresuid,prctl,openat,clone,"
      "clone3,sendmsg,execve ";
  const std::string expected = "exec user permitted undumpable nnp list effective create none ";
  for (const std::string& br : {kBr, std::string("eth0")}) {
    sh("python3 - <<'E'\nimport os, socket, subprocess\na, b = socket.socketpair()\n"
       "p = subprocess.Popen('" +
       strace + "-I 4 setpriv --reuid 1000 --regid 1000 --clear-groups " + kProgram + " --br=" + br +
       " --fd=%d' % b.fileno(), shell=True, pass_fds=[b.fileno()])\nb.close()\n_, fds, _, _ = socket.recv_fds(a, 1, "
       "4)\n"
       "assert len(fds) == 1\nos._exit(0)\nE");
    const std::string wanted = expected + (br == kBr ? "send " : "fork send ");
    EXPECT_TRUE(soon([&] {
      const std::string phases = phases_of("/run/trace");
      return phases.size() >= wanted.size() && phases.ends_with(wanted);
    })) << br
        << ": " << phases_of("/run/trace");
  }
}

TEST_F(TapHostileTest, ClosedStandardFdsAreNoTrap) {
  for (unsigned closed = 1; closed < 8; ++closed) {
    Call call = ask(kBr);
    call.before_exec = [closed] {
      for (int fd = 0; fd < 3; ++fd)
        if (closed & (1U << fd)) close(fd);
    };
    {
      const Outcome outcome = run(call);
      EXPECT_EQ(outcome.status, 0) << closed << outcome.err;
      expect_all_or_nothing(outcome, std::to_string(closed));
    }
    call.words.back() = "--br=nosuch0";  // the error goes into no socket of the helper's
    EXPECT_EQ(run(call).status, 1) << closed;
    // The socket may be one of them.
    for (int fd = 0; fd < 3; ++fd) {
      Call low = ask("eth0");
      low.before_exec = [closed, fd] {
        for (int other = 0; other < 3; ++other)
          if (closed & (1U << other)) close(other);
        dup2(20, fd);
        close(20);
      };
      low.words[1] = "--fd=" + std::to_string(fd);
      const Outcome outcome = run(low);
      EXPECT_EQ(outcome.status, 0) << closed << " " << fd << outcome.err;
      expect_all_or_nothing(outcome, "socket as a standard fd");
      for (const pid_t child : helpers()) kill(child, SIGKILL);
    }
  }
  expect_world(before_, "closed standard fds");
}

TEST_F(TapHostileTest, NoArgumentsAtAllIsOneLine) {
  Call call;
  call.no_arguments = true;
  const Outcome outcome = run(call);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("--br=PARENT is missing"));
}

TEST_F(TapHostileTest, LimitsMakeItFailAndNeverHalf) {
  struct Row {
    __rlimit_resource resource;
    rlim_t value;
  };
  std::vector<Row> rows = {{RLIMIT_FSIZE, 0},      {RLIMIT_CPU, 1},   {RLIMIT_STACK, 16384},
                           {RLIMIT_STACK, 65536},  {RLIMIT_NPROC, 0}, {RLIMIT_MEMLOCK, 0},
                           {RLIMIT_SIGPENDING, 0}, {RLIMIT_LOCKS, 0}, {RLIMIT_CORE, RLIM_INFINITY}};
  for (rlim_t files = 0; files <= 12; ++files) rows.push_back({RLIMIT_NOFILE, files});
  for (rlim_t kib = 1600; kib <= 2400; kib += 50) rows.push_back({RLIMIT_AS, kib * 1024});
  for (rlim_t kib = 0; kib <= 400; kib += 25) rows.push_back({RLIMIT_DATA, kib * 1024});
  allow("allow eth0 max=50");
  int failures = 0;
  for (const std::string& br : {kBr, std::string("eth0")})
    for (const Row& row : rows) {
      Call call = ask(br);
      call.before_exec = [&] { limit(row.resource, row.value); };
      const Outcome outcome = run(call);
      const std::string what = br + " limit " + std::to_string(row.resource) + "=" + std::to_string(row.value);
      expect_all_or_nothing(outcome, what);
      failures += outcome.status == 0 ? 0 : 1;
      for (const pid_t child : helpers()) kill(child, SIGKILL);
    }
  EXPECT_GT(failures, 20);
  expect_world(before_, "limits");
}

TEST_F(TapHostileTest, WithoutAProcessForTheAdoptionNothingIsSent) {
  Call call = ask("eth0");
  call.before_exec = [] { limit(RLIMIT_NPROC, 0); };
  const Outcome outcome = run(call);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("fork the process that waits for the guest's first frame"));
  EXPECT_TRUE(outcome.taps.empty());
  expect_world(before_, "no process");
}

TEST_F(TapHostileTest, ItIsSmallStaticAndHardened) {
  const std::string binary = kBuild + "/qemu-macvtap-helper";
  EXPECT_THAT(output_of("readelf -lW " + binary), Not(HasSubstr("INTERP")));
  EXPECT_THAT(output_of("readelf -lW " + binary), HasSubstr("GNU_RELRO"));
  EXPECT_THAT(output_of("readelf -lW " + binary + " | grep GNU_STACK"), Not(HasSubstr("RWE")));
  const std::string symbols = output_of("nm -C " + binary);
  EXPECT_THAT(symbols, HasSubstr("__stack_chk_fail"));
  for (const char* stranger : {"boost::", "pugi::", "nlohmann", "virConnect"})
    EXPECT_THAT(symbols, Not(HasSubstr(stranger)));
  EXPECT_LT(std::stol(output_of("size " + binary + " | awk 'NR==2{print $1+$2}'")), 2'100'000);
}

// Of a stopped tracee that is about to exit: ru_maxrss would be that of whoever forked it.
long peak_kib(const Running& helper) {
  int status = 0;
  EXPECT_EQ(waitpid(helper.pid, &status, 0), helper.pid);
  EXPECT_EQ(ptrace(PTRACE_SETOPTIONS, helper.pid, nullptr, PTRACE_O_TRACEEXIT), 0);
  for (int signal_ = 0;;) {
    ptrace(PTRACE_CONT, helper.pid, nullptr, signal_);
    if (waitpid(helper.pid, &status, 0) != helper.pid || !WIFSTOPPED(status)) return -1;
    if (status >> 8 == (SIGTRAP | (PTRACE_EVENT_EXIT << 8))) break;
    signal_ = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
  }
  std::ifstream file("/proc/" + std::to_string(helper.pid) + "/status");
  long peak = -1;
  for (std::string word; file >> word;)
    if (word == "VmHWM:") file >> peak;
  ptrace(PTRACE_DETACH, helper.pid, nullptr, 0);
  return peak;
}

TEST_F(TapHostileTest, ItsPeakIsTwoMebibytes) {
  allow("allow eth0 max=10");
  for (const std::string& br : {kBr, std::string("eth0")}) {
    Call call = ask(br);
    call.traced = true;
    Running helper = start(call);
    const long peak = peak_kib(helper);
    EXPECT_GT(peak, 100);
    EXPECT_LE(peak, 2048);
    RecordProperty(br == kBr ? "peak_kib_with_mac" : "peak_kib_adopting", static_cast<int>(peak));
    EXPECT_EQ(finish(std::move(helper)).status, 0);
  }
}

TEST_F(TapHostileTest, SignalsThatAreBlockedOrIgnoredAndADeletedDirectoryDoNotMatter) {
  Call call = ask(kBr);
  call.before_exec = [] {
    sigset_t all;
    sigfillset(&all);
    for (int number = 1; number < 32; ++number) signal(number, SIG_IGN);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    umask(0);
    if (mkdir("/tmp/vmt-gone", 0777) != 0 || chdir("/tmp/vmt-gone") != 0 || rmdir("/tmp/vmt-gone") != 0) _exit(97);
  };
  EXPECT_EQ(run(call).status, 0);
  expect_world(before_, "signals");
}

TEST_F(TapHostileTest, StoppedAndKilledAtAnyInstantItLeavesNothing) {
  std::mt19937 random(1);
  allow("allow eth0 max=200");
  for (int i = 0; i < 100; ++i) {
    Running helper = start(ask(i % 2 ? kBr : "eth0"));
    usleep(static_cast<useconds_t>(random() % 4000));
    kill(helper.pid, SIGSTOP);
    usleep(200);
    kill(helper.pid, SIGKILL);
    const Outcome outcome = finish(std::move(helper));
    EXPECT_TRUE(outcome.status == 0 || outcome.status == 128 + SIGKILL);
    // What it started has the tap to wait for, or is gone.
    if (outcome.taps.empty()) expect_world(before_, "killed");
    for (const pid_t child : helpers()) kill(child, SIGKILL);
  }
  expect_world(before_, "killed");
}

}  // namespace
}  // namespace vmt
