// SPDX-License-Identifier: LGPL-2.1-or-later
// `virt-macvtap exec` on real parents: what the command gets, and that nothing is left of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <vector>

#include "tests/netns/namespace.h"
#include "tests/netns/programs.h"

namespace vmt {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;
using Clock = std::chrono::steady_clock;

const std::string kTool = kBuild + "/virt-macvtap";
const std::string kExec = kTool + " exec --nic parent=eth0";
const std::string kMac = "52:54:00:12:34:56";

// A tap's ioctls, as a shell cannot do them: prints "IFNAME FLAGS MAC" of each fd.
const std::string kTapInfo =
    "python3 -c '\n"
    "import fcntl, struct, sys\n"
    "for fd in map(int, sys.argv[1].split(\":\")):\n"
    "    r = fcntl.ioctl(fd, 0x800454d2, bytes(40)); m = fcntl.ioctl(fd, 0x8927, bytes(40))\n"
    "    print(r[:16].rstrip(bytes(1)).decode(), hex(struct.unpack(\"H\", r[16:18])[0]), m[18:24].hex(\":\"))\n"
    "' ";

class ExecTest : public NamespaceTest {
 protected:
  void SetUp() override {
    NamespaceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    add_lan();
    before_ = traces();
  }

  // What a device would leave behind: links, namespaces that have a number, tap nodes.
  static std::string traces() { return output_of("ip -br link; ip netns list-id; ip -br maddr show dev eth0"); }

  // Its namespace takes some milliseconds to die.
  void expect_nothing_left(milliseconds patience = milliseconds(1000)) {
    const auto deadline = Clock::now() + patience;
    while (traces() != before_ && Clock::now() < deadline) std::this_thread::sleep_for(milliseconds(2));
    EXPECT_EQ(traces(), before_);
  }

  std::string before_;
};

// Its thread, by which the kernel is told of the new network namespace, has another number outside.
TEST_F(ExecTest, WorksInAProcessNamespaceOfItsOwn) {
  const std::string said = output_of("unshare --pid --fork --mount-proc " + kTool +
                                     " exec --nic parent=eth0 -- sh -c ': {0.fd}; " + kTool + " list'");
  EXPECT_THAT(said, HasSubstr("PID 1, 'sh'"));
}

TEST_F(ExecTest, TheCommandGetsTheTapOfADeviceWithTheMacAskedFor) {
  const auto out =
      output_of(kExec + ",mac=" + kMac + " -- sh -c '" + "echo {0.mac} {0.ifname}; exec " +
                "python3 -c \"import fcntl,sys; print(fcntl.ioctl(int(sys.argv[1]), 0x800454d2, bytes(40))[:16]"
                ".rstrip(bytes(1)).decode(), fcntl.ioctl(int(sys.argv[1]), 0x8927, bytes(40))[18:24].hex(\\\":\\\"))\" "
                "{0.fd}'");
  std::istringstream words(out);
  std::string said_mac, said_name, name, mac;
  words >> said_mac >> said_name >> name >> mac;
  EXPECT_EQ(said_mac, kMac) << out;
  EXPECT_EQ(mac, kMac);
  EXPECT_EQ(name, said_name);
  EXPECT_THAT(name, testing::StartsWith("vmt"));
  expect_nothing_left();
}

TEST_F(ExecTest, FourQueuesAreFourTapsOfOneDevice) {
  const auto out = output_of(kExec + ",queues=4 -- " + kTapInfo + "{0.fds} | sort | uniq -c");
  // IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE, as libvirt sets them
  EXPECT_THAT(out, testing::ContainsRegex("^ *4 vmt[a-z2-7]{12} 0x5102 ([0-9a-f]{2}:){5}[0-9a-f]{2}\n$"));
}

TEST_F(ExecTest, OnlyTheTapsAreAddedToWhatTheCommandWouldInherit) {
  const std::string list = "ls /proc/self/fd | wc -l";
  const int plain = std::stoi(output_of("sh -c '" + list + "'"));
  EXPECT_EQ(std::stoi(output_of(kExec + ",queues=3 -- sh -c ': {0.fds}; " + list + "'")), plain + 3);
  // What the caller meant the command to have stays.
  sh("echo hello >/run/file");
  EXPECT_EQ(output_of("exec 9</run/file; " + kExec + " -- sh -c ': {0.fd}; cat <&9'"), "hello\n");
}

// The lock is the program's own: a command that inherited it would keep everybody else out for as long as it runs.
TEST_F(ExecTest, ACommandWithAStandingDeviceHoldsNoLock) {
  const auto fds = output_of(kExec + ",name=tap-web --standing -- sh -c 'ls -l /proc/self/fd; : {0.fd}'");
  EXPECT_THAT(fds, HasSubstr("/tap"));
  EXPECT_THAT(fds, testing::Not(HasSubstr(".lock")));
}

TEST_F(ExecTest, TheCommandHasThePidOfItsCaller) {
  EXPECT_EQ(
      output_of("sh -c 'a=$$; exec " + kExec + " -- sh -c \"[ \\$\\$ = $a ] && echo same {0.fd}\"' | cut -d' ' -f1"),
      "same\n");
}

TEST_F(ExecTest, ATapIsNeverAStandardStream) {
  EXPECT_THAT(output_of("sh -c '" + kExec + " -- sh -c \"echo {0.fd} >&2\" 0<&- 1>&-'"),
              testing::MatchesRegex("[3-9]\n"));
}

TEST_F(ExecTest, AnotherUserMayUseTheTap) {
  const auto out = output_of(kExec + " --user 1234:4321 -- sh -c 'id -u; id -g; id -G; " +
                             "grep CapEff /proc/self/status; : >&{0.fd}'");
  EXPECT_THAT(out, HasSubstr("1234\n4321\n4321\nCapEff:\t0000000000000000\n"));
  EXPECT_EQ(status_of(kExec + " --user no-such-user -- true {0.fd} 2>/dev/null"), 1);
}

TEST_F(ExecTest, ItNeverRunsTheCommandAsSomebodyElse) {
  for (const char* without : {"setuid", "setgid"}) {
    EXPECT_EQ(status_of(std::string("setpriv --bounding-set=-") + without + " " + kExec +
                        " --user 1234:4321 -- sh -c 'touch /run/ran; : {0.fd}' 2>/run/err"),
              1);
    EXPECT_THAT(output_of("cat /run/err"), HasSubstr("Operation not permitted")) << without;
    EXPECT_NE(status_of("test -e /run/ran"), 0) << without;
  }
}

TEST_F(ExecTest, ThatUserHasTheGroupsOfTheNameService) {
  const auto groups = output_of("id -G daemon");
  sh("mount -t tmpfs tmpfs /mnt && cp /etc/group /mnt && echo others:x:54321:daemon >>/mnt/group && "
     "mount --bind /mnt/group /etc/group");
  EXPECT_EQ(output_of(kExec + " --user daemon -- sh -c 'id -G; : >&{0.fd}'"), output_of("id -G daemon"));
  EXPECT_NE(output_of("id -G daemon"), groups);
}

TEST_F(ExecTest, WithoutTheLookUpProgramOnlyItsAnswersAreMissing) {
  sh("mount -t tmpfs tmpfs /mnt && cp " + kTool + " /mnt/");
  EXPECT_EQ(status_of("/mnt/virt-macvtap exec --nic parent=eth0 -- sh -c ': >&{0.fd}'"), 0);
  EXPECT_EQ(status_of("/mnt/virt-macvtap list"), 0);
  EXPECT_THAT(output_of("/mnt/virt-macvtap exec --user daemon --nic parent=eth0 -- true {0.fd} 2>&1"),
              HasSubstr("virt-macvtap-lookup: No such file or directory"));
}

TEST_F(ExecTest, AKilledCommandLeavesNothingWithinATenthOfASecond) {
  for (int i = 0; i < 5; ++i) {
    sh("mkfifo /run/ready; " + kExec +
       ",queues=2 -- sh -c 'echo {0.fds} >/run/ready; exec sleep 60' & echo $! >/run/pid; "
       "read line </run/ready; rm /run/ready");
    ASSERT_NE(traces(), before_);
    sh("kill -9 $(cat /run/pid)");
    expect_nothing_left(milliseconds(100));
  }
}

TEST_F(ExecTest, ACommandThatCannotRunLeavesNothing) {
  EXPECT_EQ(status_of(kExec + " -- no-such-command {0.fd} 2>/run/err"), 127);
  EXPECT_EQ(output_of("cat /run/err"), "virt-macvtap: run no-such-command: No such file or directory\n");
  EXPECT_EQ(status_of(kExec + " -- /etc {0.fd} 2>/dev/null"), 126);
  EXPECT_EQ(status_of(kExec + " --user nobody -- /etc {0.fd} 2>/run/err"), 126);
  EXPECT_EQ(output_of("cat /run/err"), "virt-macvtap: run /etc as nobody: Permission denied\n");
  EXPECT_EQ(status_of(kExec + ",name=tap-x --standing -- no-such-command {0.fd} 2>/dev/null"), 127);
  expect_nothing_left();
}

TEST_F(ExecTest, ACommandWithoutPlaceIsRefusedBeforeAnythingIsMade) {
  sh("(ip monitor link nsid >/run/events & echo $! >/run/pid); sleep 0.1");
  for (const std::string& words :
       {kExec + " -- true", kExec + " -- true {0.mac}", kExec + " -- true {1.fd}", kExec, kExec + " --",
        kExec + " -- true {0.fdx}", kExec + ",queues=2 -- true {0.fd}", kExec + ",vhost=on -- true {0.fd}",
        kExec + ",name=tap-x -- true {0.fd}", kExec + " --standing -- true {0.fd}", kTool + " exec -- true {0.fd}",
        kExec + ",mode=passthru,mac=" + kMac + " -- true {0.fd}", kExec + " --nic parent=eth0 -- true {0.fd}",
        kExec + ",mac=" + kMac + " --nic parent=eth0,mac=" + kMac + " -- true {0.fd} {1.fd}",
        kExec + ",name=a --nic parent=eth0,name=a --standing -- true {0.fd} {1.fd}"})
    EXPECT_EQ(status_of(words + " 2>/run/err"), 2) << words << output_of("cat /run/err");
  sh("sleep 0.1; kill $(cat /run/pid)");
  EXPECT_EQ(output_of("cat /run/events"), "");
}

TEST_F(ExecTest, WhatTheKernelRefusesIsSaidPlainly) {
  const std::string use = " -- true {0.fd} 2>&1";
  sh("ip link add br0 type bridge && ip link add p0 type veth peer name p1 && ip link set p0 master br0");
  sh("ip link add link eth0 name m0 type macvlan mode bridge && ip link set m0 address 52:54:00:00:00:77 && ip link "
     "set m0 up");
  before_ = traces();
  const auto says = [&](const std::string& nic) { return output_of(kTool + " exec --nic " + nic + use); };
  EXPECT_THAT(says("parent=eth9"), HasSubstr("look up parent eth9: No such device (see `ip link`)"));
  EXPECT_THAT(says("parent=lo"), HasSubstr("loopback"));
  EXPECT_THAT(says("parent=p0"), HasSubstr("p0 is a port of bridge br0; use br0 as the parent"));
  EXPECT_THAT(says("parent=m0"), HasSubstr("use eth0 as the parent"));
  EXPECT_THAT(says("parent=eth0,mode=passthru"), HasSubstr("passthru needs eth0 for itself"));
  EXPECT_THAT(says("parent=eth0,mtu=9000"), HasSubstr("eth0 has an MTU of 1500"));
  EXPECT_THAT(says("parent=eth0,mac=52:54:00:00:00:77"), HasSubstr("m0 has the MAC"));
  EXPECT_THAT(says("parent=eth0,mac=52:54:00:ee:00:10"), HasSubstr("is the MAC of eth0 itself"));
  expect_nothing_left();
  sh("ip link del m0; ip link set p1 up");
  EXPECT_THAT(says("parent=p1"), HasSubstr("p1 has no carrier"));
}

TEST_F(ExecTest, AMacWhoseLastHolderIsDyingIsWaitedFor) {
  for (int i = 0; i < 20; ++i) ASSERT_EQ(output_of(kExec + ",mac=" + kMac + " -- true {0.fd}"), "") << i;
}

// It has its parent for itself, and is seen by nobody while its namespace dies.
TEST_F(ExecTest, APassthruDeviceThatIsDyingIsWaitedFor) {
  for (int i = 0; i < 4; ++i)
    for (const char* mode : {"passthru", "passthru", "bridge"})
      ASSERT_EQ(output_of(kExec + ",mode=" + mode + " -- true {0.fd} 2>&1"), "") << mode << " " << i;
}

TEST_F(ExecTest, TwoNicsMayBeOnTwoParents) {
  sh("ip link add p0 type veth peer name p1 && ip link set p1 up && ip link set p0 up");
  const auto out = output_of(kExec + ",mac=" + kMac +
                             " --nic parent=p0,mode=passthru -- sh -c ': {0.fd} {1.fd}; echo {1.mac}' 2>/dev/null");
  EXPECT_EQ(out, output_of("cat /sys/class/net/p0/address"));
}

TEST_F(ExecTest, AStandingDeviceStaysUntilItIsDeleted) {
  sh(kExec + ",name=tap-web,mac=" + kMac + " --standing -- true {0.fd}");
  EXPECT_THAT(output_of("ip -d link show tap-web"), HasSubstr(kMac));
  EXPECT_THAT(output_of(kExec + ",name=macvtap7 --standing -- true {0.fd}"), HasSubstr("libvirt's"));
  EXPECT_THAT(output_of(kExec + ",name=tap-web --standing -- true {0.fd}"), HasSubstr("a link of this name exists"));
  EXPECT_THAT(output_of("ip -d link show tap-web"), HasSubstr(kMac));
}

TEST_F(ExecTest, VhostIsTakenWhereItIsThereAndLeftOutWhereNot) {
  const std::string command = ",queues=2,vhost=auto -- echo tap,fds={0.fds},vhostfds={0.vhostfds}";
  if (access("/dev/vhost-net", F_OK) != 0) {
    EXPECT_THAT(output_of(kExec + command), testing::ContainsRegex("^tap,fds=[0-9]+:[0-9]+\n$"));
    EXPECT_THAT(output_of(kExec + ",vhost=on -- echo {0.fd} {0.vhostfds}"), HasSubstr("open /dev/vhost-net"));
    // The fds are only passed on, so any device will do in its place.
    sh("mkdir /run/dev && mount -t tmpfs dev /run/dev && mknod -m 666 /run/dev/null c 1 3 && mknod /run/dev/vhost-net "
       "c 1 3 && "
       "mount --move /run/dev /dev");
  }
  EXPECT_THAT(output_of(kExec + command), testing::ContainsRegex("^tap,fds=[0-9]+:[0-9]+,vhostfds=[0-9]+:[0-9]+\n$"));
}

// A /dev without tap nodes, as in a container: the node is one of our own, seen nowhere.
TEST_F(ExecTest, WithoutTapNodesInDevItWorksAllTheSame) {
  sh("mkdir -p /run/dev && mount -t tmpfs dev /run/dev && mknod -m 666 /run/dev/null c 1 3 && mount --move /run/dev "
     "/dev");
  EXPECT_THAT(output_of(kExec + ",mac=" + kMac + " -- sh -c 'readlink /proc/self/fd/{0.fd}; ls /dev'"),
              testing::ContainsRegex("^/tap[0-9]+[^\n]*\nnull\n$"));
}

TEST_F(ExecTest, ThousandInALoopLeaveNone) {
  sh("i=0; while [ $i -lt 1000 ]; do " + kExec + " -- true {0.fd} || exit 1; i=$((i+1)); done");
  expect_nothing_left();
}

// All at once, each with a name and a MAC of its own, while another namespace holds nodes that they must not open.
TEST_F(ExecTest, TwoHundredAtOnceShareNothingAndLeaveNone) {
  sh("ip netns add other && ip -n other link add p0 type veth peer name p1 && for i in $(seq 20); do ip -n other link "
     "add link "
     "p0 type macvtap; done");
  before_ = traces();
  sh("mkdir /run/out; mkfifo /run/go; for i in $(seq 200); do " + kExec + " -- sh -c '" +
     ": {0.fd}; echo {0.mac} {0.ifname} >/run/out/'$i'; read line </run/go' & done; "
     "until [ $(cat /run/out/* 2>/dev/null | wc -l) = 200 ]; do sleep 0.05; done; cat /run/out/* >/run/all; "
     "ls /dev | grep -c '^tap[0-9]\\{9\\}' >/run/nodes; timeout 5 sh -c 'exec 3<>/run/go; yes >&3' & wait $(jobs -p | "
     "head "
     "-200)");
  EXPECT_EQ(output_of("cut -d' ' -f1 /run/all | sort -u | wc -l"), "200\n");
  EXPECT_EQ(output_of("cut -d' ' -f2 /run/all | sort -u | wc -l"), "200\n");
  EXPECT_GE(std::stoi(output_of("cat /run/nodes")), 200);
  expect_nothing_left(milliseconds(5000));
}

}  // namespace
}  // namespace vmt
