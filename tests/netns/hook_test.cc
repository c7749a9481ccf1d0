// SPDX-License-Identifier: LGPL-2.1-or-later
// The hook as libvirt runs it: the real program, over the real kernel, with foreign objects beside ours.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "lib/text.h"
#include "tests/netns/namespace.h"
#include "tests/netns/programs.h"

namespace vmt {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const std::string kHook = kBuild + "/virt-macvtap-hook";

std::string domain(const std::string& name, const std::string& nic, const std::string& addresses = "",
                   const std::string& mac = "52:54:00:12:34:56") {
  std::string given;
  for (std::string_view rest = addresses; !rest.empty();) {
    const auto end = std::min(rest.find(' '), rest.size());
    given += "<v:address>" + std::string(rest.substr(0, end)) + "</v:address>";
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return "<domain type='kvm' id='1'><name>" + name +
         "</name><uuid>6e0c3a0e-7a4b-4a3e-9c43-0ecd0a7f0001</uuid><metadata><v:host-access "
         "xmlns:v='urn:virt-macvtap:host-access:1'><v:nic mac='" +
         mac + "'>" + given + "</v:nic></v:host-access></metadata><devices>" + nic + "</devices></domain>";
}
std::string direct(const std::string& parent, const std::string& mode, const std::string& mac = "52:54:00:12:34:56") {
  return "<interface type='direct'><mac address='" + mac + "'/><source dev='" + parent + "' mode='" + mode +
         "'/></interface>";
}
const std::string kWeb = domain("web", direct("eth0", "bridge"), "192.0.2.61 2001:db8:1::61");

class HookTest : public NamespaceTest {
 protected:
  void SetUp() override {
    NamespaceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    add_lan();
    // Strangers, each as close to something of ours as can be.
    sh("ip link add link eth0 name macvlan0 type macvlan mode bridge && ip link set macvlan0 alias 'virt-macvtap: host "
       "access for guests' up");
    sh("ip route add 192.0.2.200 dev macvlan0 proto static && ip neigh add 192.0.2.200 lladdr 52:54:00:12:34:56 dev "
       "macvlan0");
    sh("ip -6 route add 2001:db8:1::200 dev macvlan0 && ip neigh add proxy 2001:db8:1::200 dev macvlan0");
    sh("ip link add vmt-4000 group 1986884609 type veth peer name stranger && ip route add 198.51.100.0/24 dev "
       "macvlan0 proto 118");
    before_ = network_state();
  }

  struct Result {
    int status;
    std::string out, err;
  };
  static Result call(const std::string& operation, const std::string& xml, const std::string& prefix = "",
                     const std::string& name = "web") {
    std::ofstream("/run/domain.xml", std::ios::binary) << xml;
    Result result;
    result.status = status_of(prefix + " " + kHook + " " + name + " " + operation +
                              " begin - </run/domain.xml >/run/out 2>/run/err");
    result.out = output_of("cat /run/out");
    result.err = output_of("cat /run/err");
    return result;
  }
  static std::string ours() {
    return output_of(
        "ip -br link show type macvlan group 1986884609; ip route show proto 118 | grep -v 198.51; ip -6 route show "
        "proto 118");
  }

  std::string before_;
};

TEST_F(HookTest, AWholeLifeLeavesNothingBehindAndPrintsNothing) {
  for (const char* operation :
       {"prepare", "start", "started", "reconnect", "reconnect", "stopped", "release", "release"}) {
    const Result result = call(operation, kWeb);
    EXPECT_EQ(result.status, 0) << operation;
    EXPECT_THAT(result.out, IsEmpty()) << operation;
    EXPECT_THAT(result.err, IsEmpty()) << operation;
    if (std::string(operation) == "reconnect") {
      EXPECT_THAT(ours(), HasSubstr("192.0.2.61 dev vmt-"));
    }
  }
  EXPECT_EQ(network_state(), before_);
}

TEST_F(HookTest, OutOfOrderIsFineToo) {
  for (const char* operation : {"release", "stopped", "start", "prepare", "release", "start", "stopped", "start"})
    EXPECT_EQ(call(operation, kWeb).status, 0);
  EXPECT_THAT(ours(), HasSubstr("2001:db8:1::61 dev vmt-"));
  call("release", kWeb);
  EXPECT_EQ(network_state(), before_);
}

TEST_F(HookTest, NothingToDoIsSilentWithoutReadingTheXml) {
  for (const char* operation : {"migrate", "restore", "started", "attach", "hibernate", "''"}) {
    const Result result = call(operation, "not xml");
    EXPECT_EQ(result.status, 0) << operation;
    EXPECT_THAT(result.out + result.err, IsEmpty()) << operation;
  }
  EXPECT_EQ(status_of(kHook), 0);
  EXPECT_EQ(status_of(kHook + " web"), 0);
}

TEST_F(HookTest, BadInputIsOneClearLineAndTheGuestStarts) {
  const struct {
    std::string xml;
    const char* line;
  } kRows[] = {
      {"", "domain XML: "},
      {kWeb.substr(0, 150), "domain XML: "},
      {std::string("\x7f"
                   "ELF\0\0\0",
                   7),
       "domain XML: "},
      {"<network><name>lan</name></network>", "root element is 'network'"},
      {std::string(5 * 1024 * 1024, 'x'), "larger than 4 MiB"},
      {domain("web", "<interface type='direct'><source dev='eth0' mode='bridge'/></interface>"), "MAC address ''"},
      {domain("web", direct("eth0", "bridge", "52:54:zz:12:34:56")), "MAC address '52:54:zz:12:34:56'"},
      {domain("web", direct("nosuch0", "bridge")), "look up parent nosuch0: No such device"},
      {domain("web", direct("../../etc", "bridge")), "interface name '../../etc'"},
      {domain("web", direct("e th0", "bridge")), "interface name 'e th0'"},
      {domain("a b", direct("eth0", "vepa"), "192.0.2.61"),
       "guest 'a b' (52:54:00:12:34:56 on eth0): no host access in mode vepa"},
      {domain("web", direct("eth0", "private")), "no host access in mode private"},
      {domain("wéb\"&#10;x", direct("eth0", "vepa")), "guest 'wéb\"\\x0ax'"},
  };
  for (const auto& row : kRows) {
    const Result result = call("start", row.xml);
    EXPECT_EQ(result.status, 0) << row.line;
    EXPECT_THAT(result.out, IsEmpty()) << row.line;
    EXPECT_THAT(result.err, HasSubstr(row.line));
    EXPECT_THAT(result.err, testing::StartsWith("virt-macvtap: "));
    EXPECT_EQ(network_state(), before_) << row.line;
  }
}

TEST_F(HookTest, ABadAddressIsRefusedAndTheGoodOneWorks) {
  const struct {
    const char* address;
    const char* why;
  } kRows[] = {{"192.0.2.10", "is the host's own address"},
               {"192.0.2.1", "is a gateway's address"},
               {"198.51.100.7", "is off-link"},
               {"224.0.0.9", "is a multicast address"},
               {"2001:db8:1::10", "is the host's own address"}};
  for (const auto& row : kRows) {
    const Result result =
        call("start", domain("web", direct("eth0", "bridge"), std::string(row.address) + " 192.0.2.61"));
    EXPECT_THAT(result.err, HasSubstr(row.why));
    EXPECT_THAT(ours(), HasSubstr("192.0.2.61 dev vmt-"));
    call("release", kWeb);
  }
  EXPECT_EQ(network_state(), before_);
}

TEST_F(HookTest, TwoGuestsWithOneAddressAreToldApart) {
  sh("ip link add link eth0 name macvtap0 address 52:54:00:12:34:56 type macvtap mode bridge");
  call("start", kWeb);
  const std::string second = "52:54:00:12:34:57";
  const Result result = call("start", domain("db", direct("eth0", "bridge", second), "192.0.2.61", second));
  EXPECT_THAT(
      result.err,
      HasSubstr(
          "guest 'db' (52:54:00:12:34:57 on eth0): address 192.0.2.61 is held by the guest with 52:54:00:12:34:56"));
  EXPECT_THAT(output_of("ip neigh show 192.0.2.61"), HasSubstr("52:54:00:12:34:56"));
}

// Runs a command with this configuration file in a throw-away view of /etc.
const std::string kWithConfiguration =
    "unshare -m sh -c 'mount -t overlay -o lowerdir=/run/etc:/etc overlay /etc; exec \"$@\"' sh";

TEST_F(HookTest, AConfigurationIsRead) {
  sh("mkdir /run/etc && printf '[parent eth0]\\naddress = 192.0.2.60\\n[guest web]\\n52:54:00:12:34:56 = "
     "192.0.2.62\\n' "
     ">/run/etc/virt-macvtap.conf");
  EXPECT_THAT(call("start", kWeb, kWithConfiguration).err, IsEmpty());
  EXPECT_THAT(ours(), HasSubstr("192.0.2.61 dev vmt-2 scope link src 192.0.2.60"));
  EXPECT_THAT(ours(), HasSubstr("192.0.2.62 dev vmt-2 scope link src 192.0.2.60"));
  sh("echo 'host-access = no' >/run/etc/virt-macvtap.conf");
  call("release", kWeb);
  EXPECT_THAT(call("start", kWeb, kWithConfiguration).err, IsEmpty());
  EXPECT_EQ(network_state(), before_);
}

TEST_F(HookTest, ABrokenConfigurationIsAWarningAndTheDefaultsHold) {
  sh("mkdir /run/etc && echo 'host-acess = no' >/run/etc/virt-macvtap.conf");
  const Result result = call("start", kWeb, kWithConfiguration);
  EXPECT_THAT(result.err, HasSubstr("/etc/virt-macvtap.conf:1: unknown key 'host-acess'; using the defaults"));
  EXPECT_THAT(ours(), HasSubstr("192.0.2.61 dev vmt-"));
}

TEST_F(HookTest, AnUnprivilegedUserIsNoneOfOurBusiness) {
  sh("cp " + kHook + " /run/hook && chmod 755 /run /run/hook");
  EXPECT_EQ(
      status_of(
          "setpriv --reuid 65534 --regid 65534 --clear-groups /run/hook web start begin - </dev/null >/run/out 2>&1"),
      0);
  EXPECT_THAT(output_of("cat /run/out"), IsEmpty());
}

TEST_F(HookTest, APassthroughGuestGetsAnIdleShimOutOfItsWay) {
  call("start", kWeb);
  sh("ip neigh flush nud permanent dev vmt-$(cat /sys/class/net/eth0/ifindex)");
  EXPECT_THAT(call("prepare", domain("p", direct("eth0", "passthrough"))).err, IsEmpty());
  EXPECT_EQ(network_state(), before_);
}

TEST_F(HookTest, FinishesInABoundedTimeWhateverStdinAndTheLockDo) {
  const auto start = std::chrono::steady_clock::now();
  // A pipe with a writer that writes nothing.
  EXPECT_EQ(status_of("mkfifo /run/fifo && exec 3<>/run/fifo && " + kHook + " web start begin - </run/fifo 2>/run/err"),
            0);
  EXPECT_THAT(output_of("cat /run/err"), HasSubstr("gave up after 10 s"));
  // Neither does a pipe on stderr that is full and that nobody reads.
  EXPECT_EQ(status_of("mkfifo /run/full && exec 4<>/run/full && { timeout 1 cat /dev/zero >&4; " + kHook +
                      " web start begin - </run/full 2>&4; }"),
            0);
  sh("flock /run/virt-macvtap.lock sleep 30 >/dev/null 2>&1 & sleep 0.2");
  const Result locked = call("start", kWeb);
  EXPECT_EQ(locked.status, 0);
  EXPECT_THAT(locked.err, HasSubstr("held by another process"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(40));
}

TEST_F(HookTest, SixtyFourGuestsAtOnceAllGetTheirRoutesAndLeaveNothing) {
  for (int i = 0; i < 64; ++i) {
    const std::string number = std::to_string(100 + i);
    const std::string mac = "52:54:00:00:01:" + output_of("printf %02x " + std::to_string(i));
    std::ofstream("/run/guest" + std::to_string(i) + ".xml")
        << domain("guest" + number, direct("eth0", "bridge", mac), "192.0.2." + number + " 2001:db8:1::" + number, mac);
  }
  const auto all = [&](const char* operation) {
    sh("for i in $(seq 0 63); do " + kHook + " g$i " + operation +
       " begin - </run/guest$i.xml & done 2>/run/err; wait");
    EXPECT_THAT(output_of("cat /run/err"), IsEmpty());
  };
  all("start");
  EXPECT_EQ(output_of("ip route show proto 118 | grep -c 'dev vmt-'"), "64\n");
  EXPECT_EQ(output_of("ip -6 route show proto 118 | grep -c 'dev vmt-'"), "64\n");
  EXPECT_EQ(output_of("ip -br link show type macvlan group 1986884609 | wc -l"), "1\n");
  all("stopped");
  all("release");
  EXPECT_EQ(network_state(), before_);
}

TEST_F(HookTest, KilledAtAnySystemCallTheNextCallRepairsIt) {
  call("start", kWeb);
  const std::string started = network_state();
  call("release", kWeb);
  std::ofstream("/run/domain.xml") << kWeb;
  // Links are listed by their ifindex.
  const auto neutral = [](const std::string& state) {
    std::ofstream("/run/state") << state;
    return output_of("sed -E 's/^[0-9]+: (vmt-)/N: \\1/' /run/state");
  };
  for (const char* operation : {"start", "release"}) {
    for (const char* syscall : {"sendmsg", "openat"}) {
      bool survived = false;
      for (int n = 1; n < 60 && !survived; ++n) {
        if (std::string(operation) == "release") call("start", kWeb);
        // strace dies of its tracee's signal as well.
        survived = status_of("strace -qq -o /dev/null -e trace=" + std::string(syscall) + " -e inject=" + syscall +
                             ":signal=KILL:when=" + std::to_string(n) + " " + kHook + " web " + operation +
                             " begin - </run/domain.xml 2>/dev/null") == 0;
        EXPECT_EQ(call("start", kWeb).err, "") << operation << " " << syscall << " " << n;
        EXPECT_EQ(neutral(network_state()), neutral(started)) << operation << " killed at " << syscall << " " << n;
        call("release", kWeb);
        ASSERT_EQ(network_state(), before_) << operation << " killed at " << syscall << " " << n;
      }
      EXPECT_TRUE(survived) << operation << " " << syscall;
    }
  }
}

}  // namespace
}  // namespace vmt
