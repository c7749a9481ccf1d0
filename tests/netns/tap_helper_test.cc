// SPDX-License-Identifier: LGPL-2.1-or-later
// qemu-macvtap-helper as QEMU and libvirt use it, over the real kernel: the protocol, what is refused, the list.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "tests/netns/tap_fixture.h"

namespace vmt {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

const std::string kMac = "52:54:00:12:34:56";

class TapHelperTest : public TapTest {
 protected:
  void SetUp() override {
    TapTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) before_ = world();
  }
  // Non-zero, one line, nothing sent, nothing left.
  void expect_refused(const Outcome& outcome, const std::string& line, const std::string& what) {
    EXPECT_EQ(outcome.status, 1) << what;
    EXPECT_THAT(outcome.err, StartsWith("qemu-macvtap-helper: ")) << what;
    EXPECT_THAT(outcome.err, HasSubstr(line)) << what;
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << what << ": " << outcome.err;
    EXPECT_THAT(outcome.err, testing::EndsWith("\n")) << what;
    EXPECT_TRUE(outcome.taps.empty() && outcome.bytes.empty() && outcome.closed) << what;
  }

  std::string before_;
};

TEST_F(TapHelperTest, GivesOneByteAndOneTapInEveryOrderOfTheArguments) {
  const struct {
    std::vector<std::string> words;
    bool vnet;
  } kRows[] = {
      {{"--use-vnet", "--fd=FD", "--br=eth0/" + kMac}, true},       // QEMU
      {{"--use-vnet", "--br=eth0/" + kMac, "--fd=FD"}, true},       // libvirt
      {{"--br=eth0/" + kMac, "--fd=FD"}, false},                    // libvirt, a NIC without a vnet header
      {{"--br", "eth0/" + kMac, "--fd", "FD", "--use-vnet"}, true}  // getopt's other spelling
  };
  for (const auto& row : kRows) {
    {
      const Outcome outcome = run({.words = row.words});
      EXPECT_EQ(outcome.status, 0);
      EXPECT_THAT(outcome.err, IsEmpty());
      ASSERT_EQ(outcome.bytes.size(), 1U);
      ASSERT_EQ(outcome.taps.size(), 1U);
      const Fd& tap = outcome.taps[0];
      EXPECT_EQ((flags_of(tap) & IFF_VNET_HDR) != 0, row.vnet);
      EXPECT_EQ(flags_of(tap) & (IFF_TAP | IFF_TUN | IFF_NO_PI), IFF_TAP | IFF_NO_PI);
      EXPECT_EQ(mac_of(tap), kMac);
      const Child device = device_of(tap);
      EXPECT_TRUE(device.up && device.allmulticast && device.macvtap);
      EXPECT_EQ(device.use, DeviceUse(ForUser{1000}));
      EXPECT_EQ(output_of("cat /sys/class/net/eth0/ifindex"), std::to_string(device.parent) + "\n");
      EXPECT_THAT(helpers(), IsEmpty());
    }
    expect_world(before_, "after the close");
  }
}

TEST_F(TapHelperTest, ModeAndMacAreInTheName) {
  allow("allow eth0 mode=bridge,vepa,private,passthru,source");
  for (const std::string mode : {"bridge", "vepa", "private", "source", "passthru", "passthrough"}) {
    const bool passthru = mode.starts_with("passthr");
    Fd tap = tap_of("eth0/" + mode + (passthru ? "" : "/" + kMac));
    EXPECT_EQ(device_of(tap).mode, *parse_mode(mode));
    EXPECT_EQ(mac_of(tap), passthru ? "52:54:00:ee:00:10" : kMac);
    EXPECT_THAT(helpers(), IsEmpty());
    // The passthru one must have the parent for itself, and its end is not at once.
    tap = Fd();
    expect_world(before_, mode);
  }
}

TEST_F(TapHelperTest, AGuestThatIsStoppedAndStartedAtOnceGetsItsMacAgain) {
  for (int i = 0; i < 20; ++i) {
    const Fd tap = tap_of("eth0/" + kMac);
    ASSERT_TRUE(tap) << i;
    EXPECT_EQ(mac_of(tap), kMac);
  }
}

TEST_F(TapHelperTest, WhatCannotBeIsRefusedAndLeavesNothing) {
  allow("allow all mode=bridge,passthru");
  sh("ip link add br0 type bridge && ip link add bp type veth peer name bq && ip link set bp master br0");
  sh("ip link add link eth0 name mv0 address 52:54:00:12:34:99 type macvlan mode bridge && ip link set mv0 up");
  sh("ip link add pt type veth peer name pu && ip link add link pt name pt0 type macvtap mode passthru");
  sleep(1);  // a new link's operational state settles
  before_ = world();
  const struct {
    const char* br;
    const char* line;
  } kRows[] = {
      {"nosuch0", "look up parent nosuch0: No such device"},
      {"lo", "lo is the loopback"},
      {"bp", "bp is a port of bridge br0; use br0 as the parent"},
      {"mv0", "parent mv0: is a macvlan itself; use eth0 as the parent"},
      {"eth0/passthru", "passthru needs eth0 for itself"},
      {"pt", "pt0 is in passthru mode and has pt for itself"},
      {"pt/52:54:00:12:34:56/private", "no rule"},
      {"pt/passthru", "pt0 is in passthru mode and has pt for itself"},
      {"eth0/52:54:00:12:34:99", "mv0 has the MAC 52:54:00:12:34:99"},
      {"eth0/52:54:00:ee:00:10", "52:54:00:ee:00:10 is the MAC of eth0 itself"},
      {"eth0/53:54:00:12:34:56", "a multicast address cannot be a NIC's"},
      {"eth0/fast", "'fast' is neither a MAC nor a mode"},
      {"eth0/passthru/52:54:00:12:34:56", "takes its parent's MAC"},
      {"", "interface name ''"},
      {"averyveryverylong", "interface name 'averyveryverylong'"},
      {"../../etc", "interface name '..'"},
      {"e\nth0", "interface name 'e\\x0ath0'"},
  };
  for (const auto& row : kRows) {
    expect_refused(get(row.br), row.line, row.br);
    expect_world(before_, row.br);
  }
}

TEST_F(TapHelperTest, WrongArgumentsAreOneLine) {
  const std::vector<std::string> kRows[] = {{},
                                            {"--br=eth0"},
                                            {"--fd=FD"},
                                            {"--br", "--fd=FD"},
                                            {"--fd=FD", "--br"},
                                            {"--br=eth0", "--br=eth0", "--fd=FD"},
                                            {"--br=eth0", "--fd=FD", "--fd=FD"},
                                            {"--br=eth0", "--fd=FD", "--setuid"},
                                            {"--br=eth0", "--fd=FD", "eth1"},
                                            {"--br=eth0", "--fd="},
                                            {"--br=eth0", "--fd=x"},
                                            {"--br=eth0", "--fd=-1"},
                                            {"--br=eth0", "--fd=4294967316"}};
  for (const auto& words : kRows) expect_refused(run({.words = words}), "", testing::PrintToString(words));
  expect_world(before_, "wrong arguments");
}

TEST_F(TapHelperTest, WhatIsNoConnectedStreamSocketIsRefused) {
  const auto pair_of = [](int type) {
    int fds[2];
    if (socketpair(AF_UNIX, type, 0, fds) != 0) _exit(97);
    return fds[0];
  };
  const auto listening = [] {
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un any{};
    any.sun_family = AF_UNIX;
    if (bind(fd, reinterpret_cast<sockaddr*>(&any), sizeof(sa_family_t)) != 0 || listen(fd, 1) != 0) _exit(97);
    return fd;
  };
  const auto lonely = [] {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) _exit(97);
    close(fds[1]);
    return fds[0];
  };
  const auto pipe_end = [] {
    int fds[2];
    if (pipe(fds) != 0) _exit(97);
    return fds[1];
  };
  const struct {
    std::function<int()> make;
    const char* line;
  } kRows[] = {{[] { return open("/etc/hostname", O_RDONLY); }, "not a Unix stream socket"},
               {pipe_end, "not a Unix stream socket"},
               {[] { return socket(AF_INET, SOCK_STREAM, 0); }, "not a Unix stream socket"},
               {[&] { return pair_of(SOCK_DGRAM); }, "not a Unix stream socket"},
               {[&] { return pair_of(SOCK_SEQPACKET); }, "not a Unix stream socket"},
               {[] { return socket(AF_UNIX, SOCK_STREAM, 0); }, "nobody is at the other end"},
               {listening, "nobody is at the other end"},
               {lonely, "send the tap: Broken pipe"}};
  for (const std::string br : {"eth0", "eth0/52:54:00:12:34:56"})
    for (const auto& row : kRows) {
      Call call = ask(br);
      call.before_exec = [&] { dup2(row.make(), 20); };
      expect_refused(run(call), row.line, row.line);
    }
  Call call = ask("eth0");
  call.before_exec = [] { close(20); };
  expect_refused(run(call), "--fd 20: Bad file descriptor", "closed");
  expect_world(before_, "wrong sockets");
}

TEST_F(TapHelperTest, TheListDecidesByUserGroupModeAndMac) {
  const struct {
    const char* list;
    const char* br;
    uid_t uid;
    std::vector<gid_t> groups;
    bool allowed;
  } kRows[] = {
      {"allow eth0 user=1000", "eth0/52:54:00:12:34:56", 1000, {}, true},
      {"allow eth0 user=1000", "eth0/52:54:00:12:34:56", 1001, {}, false},
      {"allow eth0 group=500", "eth0/52:54:00:12:34:56", 1001, {7, 500}, true},
      {"allow eth0 group=500", "eth0/52:54:00:12:34:56", 1001, {7}, false},
      {"allow eth0 group=1001", "eth0/52:54:00:12:34:56", 1001, {}, true},
      {"allow eth0 mode=private", "eth0/private/52:54:00:12:34:56", 1000, {}, true},
      {"allow eth0 mode=private", "eth0/vepa/52:54:00:12:34:56", 1000, {}, false},
      {"allow eth0", "eth0/passthru", 1000, {}, false},
      {"allow eth0 mac=52:54:00", "eth0/52:54:00:12:34:56", 1000, {}, true},
      {"allow eth0 mac=52:54:01", "eth0/52:54:00:12:34:56", 1000, {}, false},
      {"allow eth0 mac=52:54:00", "eth0", 1000, {}, false},
      {"deny eth0\nallow all", "eth0/52:54:00:12:34:56", 1000, {}, false},
      {"allow all\ndeny eth0 group=500", "eth0/52:54:00:12:34:56", 1000, {500}, false},
      {"allow all\ndeny eth0", "lan", 1000, {}, false},  // an alternative name
      {"allow lan", "eth0/52:54:00:12:34:56", 1000, {}, false},
      {"allow all\ndeny eth0", "mv0", 1000, {}, false},        // its traffic would be eth0's
      {"allow eth1", "eth0/52:54:00:12:34:56", 0, {}, false},  // root is nobody special
      {"", "eth0/52:54:00:12:34:56", 1000, {}, false},
      {"allow eth0\nnonsense", "eth0/52:54:00:12:34:56", 1000, {}, false},
      {"allow eth0\ninclude /etc/qemu/none", "eth0/52:54:00:12:34:56", 1000, {}, false},
      {"allow eth0\ninclude /etc/qemu/macvtap.conf", "eth0/52:54:00:12:34:56", 1000, {}, false},
      {"include /etc/qemu/more", "eth0/52:54:00:12:34:56", 1000, {}, true},
      {"allow eth0\ninclude /etc/qemu/secret", "eth0/52:54:00:12:34:56", 1000, {}, false},
  };
  sh("ip link property add dev eth0 altname lan && ip link add link eth0 name mv0 type macvlan mode bridge");
  sh("echo allow eth0 >/etc/qemu/more && chmod 644 /etc/qemu/more && install -m 600 /etc/qemu/more /etc/qemu/secret");
  before_ = world();
  for (const auto& row : kRows) {
    allow(row.list);
    Call call = ask(row.br, row.uid);
    call.groups = row.groups;
    const Outcome outcome = run(call);
    if (row.allowed)
      EXPECT_TRUE(outcome.status == 0 && outcome.taps.size() == 1) << row.list << ": " << outcome.err;
    else
      expect_refused(outcome, "", row.list);
  }
  allow("allow eth0");
  EXPECT_EQ(get("lan/" + kMac).status, 0);  // by which name does not matter
  expect_world(before_, "lists");
}

TEST_F(TapHelperTest, AListThatIsNotRootsAloneDenies) {
  for (const char* spoil :
       {"rm /etc/qemu/macvtap.conf", "chmod o+w /etc/qemu/macvtap.conf", "chmod g+w /etc/qemu/macvtap.conf",
        "chown 1000 /etc/qemu/macvtap.conf", "chmod 600 /etc/qemu/macvtap.conf",
        "rm /etc/qemu/macvtap.conf; mkfifo /etc/qemu/macvtap.conf",
        "head -c 100000 /dev/urandom >/etc/qemu/macvtap.conf"}) {
    allow("allow eth0");
    sh(spoil);
    expect_refused(get("eth0/" + kMac), "/etc/qemu/macvtap.conf", spoil);
  }
  allow("allow eth0");
  sh("chmod 600 /etc/qemu/macvtap.conf");
  expect_refused(get("eth0/" + kMac), "(everybody has to be able to read it: chmod go+r /etc/qemu/macvtap.conf)",
                 "0600");
  expect_world(before_, "spoilt lists");
}

TEST_F(TapHelperTest, MaxIsCountedForEachUser) {
  allow("allow eth0 max=2");
  Fd first = tap_of("eth0/52:54:00:00:00:01");
  const Fd second = tap_of("eth0/52:54:00:00:00:02");
  expect_refused(get("eth0/52:54:00:00:00:03"), "user 1000 has 2 macvtaps already, and max=2", "a third");
  EXPECT_TRUE(tap_of("eth0/52:54:00:00:00:04", 1001));
  first = Fd();
  EXPECT_TRUE(soon([] { return get("eth0/52:54:00:00:00:05").status == 0; }));
}

TEST_F(TapHelperTest, TwoDozenAtOnceAreNoMoreThanMax) {
  allow("allow eth0 max=5");
  std::vector<Running> running;
  for (int i = 0; i < 24; ++i) running.push_back(start(ask("eth0/52:54:00:00:01:" + std::to_string(10 + i))));
  std::vector<Outcome> winners;
  for (auto& helper : running) {
    Outcome outcome = finish(std::move(helper));
    if (outcome.status == 0)
      winners.push_back(std::move(outcome));
    else
      expect_refused(outcome, "max=5", "one too many");
  }
  EXPECT_EQ(winners.size(), 5U);
  EXPECT_EQ(devices().size(), 5U);
}

TEST_F(TapHelperTest, TheLockIsRootsWhoeverIsFirst) {
  allow("allow eth0 max=5");
  EXPECT_TRUE(tap_of("eth0/" + kMac));
  EXPECT_EQ(output_of("stat -c '%u %g %a %s' /run/virt-macvtap.lock"), "0 0 600 0\n");
  // Made as root makes it, so that whoever comes second finds it.
  EXPECT_TRUE(soon([] { return get("eth0/" + kMac).status == 0; }));
  sh("rm /run/virt-macvtap.lock && mkdir /run/virt-macvtap.lock");
  expect_refused(get("eth0/" + kMac), "open /run/virt-macvtap.lock: Is a directory", "no lock");
}

TEST_F(TapHelperTest, TwoHundredAtOnceAreAllDistinctAndAllGoneAfterwards) {
  std::vector<Running> running;
  for (int i = 0; i < 200; ++i) {
    char mac[18];
    snprintf(mac, sizeof mac, "52:54:00:00:02:%02x", i);
    running.push_back(start(ask(std::string("eth0/") + mac)));
  }
  {
    std::vector<Outcome> outcomes;
    std::set<std::string> names, macs;
    for (auto& helper : running) {
      outcomes.push_back(finish(std::move(helper)));
      ASSERT_EQ(outcomes.back().taps.size(), 1U) << outcomes.back().err;
      EXPECT_EQ(outcomes.back().status, 0);
      names.insert(name_of(outcomes.back().taps[0]));
      macs.insert(mac_of(outcomes.back().taps[0]));
    }
    std::set<int> nsids;
    for (const auto& device : devices()) nsids.insert(device.nsid.value_or(-1));
    EXPECT_EQ(names.size(), 200U);
    EXPECT_EQ(macs.size(), 200U);
    EXPECT_EQ(nsids.size(), 200U);
  }
  expect_world(before_, "two hundred");
}

}  // namespace
}  // namespace vmt
