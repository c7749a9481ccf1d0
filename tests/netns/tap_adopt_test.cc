// SPDX-License-Identifier: LGPL-2.1-or-later
// A guest whose MAC nobody has told qemu-macvtap-helper: what stays behind, and what the first frame does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/netns/tap_fixture.h"

namespace vmt {
namespace {

using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

class TapAdoptTest : public TapTest {
 protected:
  void SetUp() override {
    TapTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) before_ = world();
  }
  void TearDown() override {
    for (const pid_t child : helpers()) kill(child, SIGKILL);
  }
  static std::string status_line(pid_t pid, const std::string& name) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(file, line);)
      if (line.starts_with(name + ":\t")) return line.substr(name.size() + 2);
    return "none";
  }
  static std::vector<std::string> fds_of(pid_t pid) {
    std::vector<std::string> fds;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd"))
      fds.push_back(entry.path().filename().string() + " " + std::filesystem::read_symlink(entry.path()).string());
    std::ranges::sort(fds);
    return fds;
  }

  std::string before_;
};

TEST_F(TapAdoptTest, OneChildWithoutAnyPrivilegeOrFdOfTheCallersStays) {
  const auto begin = std::chrono::steady_clock::now();
  Call call = ask("eth0");
  call.before_exec = [] {
    for (const int fd : {3, 4, 5, 50, 900}) dup2(20, fd);
  };
  const Outcome outcome = run(call);
  // stderr has been read to its end.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  ASSERT_EQ(outcome.taps.size(), 1U) << outcome.err;
  EXPECT_THAT(outcome.err, IsEmpty());
  ASSERT_THAT(helpers(), SizeIs(1));
  const pid_t child = helpers()[0];
  EXPECT_EQ(status_line(child, "Uid"), "1000\t1000\t1000\t1000");
  EXPECT_EQ(status_line(child, "Gid"), "1000\t1000\t1000\t1000");
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"})
    EXPECT_EQ(status_line(child, set), "0000000000000000");
  EXPECT_EQ(status_line(child, "NoNewPrivs"), "1");
  // Nothing else, the socket and the caller's others among it.
  EXPECT_TRUE(soon([&] { return fds_of(child).size() == 3; }));
  const auto fds = fds_of(child);
  ASSERT_THAT(fds, SizeIs(3));
  EXPECT_THAT(fds[0], StartsWith("0 /dev/tap"));
  EXPECT_THAT(fds[1], StartsWith("1 socket:"));
  EXPECT_THAT(fds[2], StartsWith("2 anon_inode:[pidfd]"));
  EXPECT_EQ(std::filesystem::read_symlink("/proc/" + std::to_string(child) + "/cwd"), "/");
  EXPECT_EQ(getsid(child), child);
  // Its user can neither trace it nor take its packet socket.
  const std::string as_user =
      "setpriv --reuid 1000 --regid 1000 --clear-groups ls /proc/" + std::to_string(child) + "/fd";
  EXPECT_NE(status_of(as_user + " >/dev/null 2>&1"), 0);
}

TEST_F(TapAdoptTest, TheFirstFrameTellsTheMacAndTheChildGoes) {
  for (const bool vnet : {true, false}) {
    Call call = ask("eth0");
    if (!vnet) call.words.erase(call.words.begin());
    Outcome outcome = run(call);
    ASSERT_EQ(outcome.taps.size(), 1U);
    const Fd& tap = outcome.taps[0];
    ASSERT_THAT(helpers(), SizeIs(1));
    send_frame(tap, "52:54:00:aa:bb:cc");
    EXPECT_TRUE(soon([&] { return mac_of(tap) == "52:54:00:aa:bb:cc"; }, 1000));
    EXPECT_TRUE(soon([&] { return helpers().empty(); }, 1000));
    EXPECT_EQ(device_of(tap).mac.str(), "52:54:00:aa:bb:cc");
    send_frame(tap, "52:54:00:aa:bb:dd");  // a bridge inside the guest: the first counts
    usleep(20'000);
    EXPECT_EQ(mac_of(tap), "52:54:00:aa:bb:cc");
    outcome.taps.clear();
    expect_world(before_, "adopted and closed");
  }
}

TEST_F(TapAdoptTest, WhatIsNoNicsAddressChangesNothing) {
  const Fd tap = tap_of("eth0");
  const std::string mac = mac_of(tap);
  for (const char* sender : {"01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"}) send_frame(tap, sender);
  // What others send is not the guest's.
  sh("ip netns exec peer ping -c 3 -i 0.01 -W 1 192.0.2.10 >/dev/null; ip netns exec peer arping -c 1 -w 1 -I eth0 "
     "192.0.2.99 >/dev/null 2>&1; ip netns exec peer ping -c 1 -W 0.05 -b 192.0.2.255 >/dev/null 2>&1; true");
  usleep(50'000);
  EXPECT_EQ(mac_of(tap), mac);
  EXPECT_THAT(helpers(), SizeIs(1));
  send_frame(tap, "52:54:00:aa:bb:cc");
  EXPECT_TRUE(soon([&] { return mac_of(tap) == "52:54:00:aa:bb:cc"; }, 1000));
}

TEST_F(TapAdoptTest, AMacInUseIsTriedAgainWithALaterFrame) {
  Fd sibling = tap_of("eth0/52:54:00:aa:bb:cc");
  const Fd tap = tap_of("eth0");
  const std::string mac = mac_of(tap);
  send_frame(tap, "52:54:00:aa:bb:cc");
  usleep(50'000);
  EXPECT_EQ(mac_of(tap), mac);
  EXPECT_THAT(helpers(), SizeIs(1));
  sibling = Fd();
  EXPECT_TRUE(soon([&] {
    send_frame(tap, "52:54:00:aa:bb:cc");
    return mac_of(tap) == "52:54:00:aa:bb:cc";
  }));
  EXPECT_TRUE(soon([&] { return helpers().empty(); }, 1000));
}

TEST_F(TapAdoptTest, TheChildGoesWithTheProcessThatAsked) {
  // Stands for QEMU: makes the socket pair, gets the tap, is killed.
  const pid_t vmm = fork();
  if (vmm == 0) {
    const Fd tap = tap_of("eth0");
    for (;;) pause();
  }
  ASSERT_TRUE(soon([&] { return devices().size() == 1 && helpers().size() == 1; }));
  const auto begin = std::chrono::steady_clock::now();
  kill(vmm, SIGKILL);
  EXPECT_TRUE(soon([&] { return helpers().empty() && devices().empty(); }, 1000));
  RecordProperty("gone_after_ms",
                 static_cast<int>((std::chrono::steady_clock::now() - begin) / std::chrono::milliseconds(1)));
  waitpid(vmm, nullptr, 0);
  expect_world(before_, "killed");
}

TEST_F(TapAdoptTest, AChildThatCannotWaitIsAnErrorAndNoTapIsHandedOver) {
  Call call = ask("eth0");
  call.uid = call.gid = 0;
  call.program = "/usr/bin/strace";
  call.words = {"-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                "trace=close_range",
                "-e",
                "inject=close_range:error=ENOMEM",
                "/run/bin/qemu-macvtap-helper",
                "--br=eth0",
                "--fd=FD"};
  const Outcome outcome = run(call);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, testing::HasSubstr("the process that waits for the guest's first frame"));
  EXPECT_THAT(outcome.taps, IsEmpty());
  EXPECT_THAT(helpers(), IsEmpty());
  expect_world(before_, "a child that cannot wait");
}

TEST_F(TapAdoptTest, KilledAtAnyMessageItLeavesNoChild) {
  // The last message is the tap's: by then the child is there.
  bool survived = false;
  int last = 0;
  for (int n = 1; n < 30 && !survived; ++n) {
    Call call = ask("eth0");
    call.uid = call.gid = 0;
    call.program = "/usr/bin/strace";
    call.words = {"-qq",
                  "-o",
                  "/dev/null",
                  "-e",
                  "trace=sendmsg",
                  "-e",
                  "inject=sendmsg:signal=KILL:when=" + std::to_string(n),
                  "/run/bin/qemu-macvtap-helper",
                  "--br=eth0",
                  "--fd=FD"};
    const Outcome outcome = run(call);
    survived = outcome.status == 0;
    EXPECT_EQ(outcome.taps.size(), survived ? 1U : 0U);
    if (!survived) expect_world(before_, "killed at message " + std::to_string(n));
    last = n;
  }
  EXPECT_TRUE(survived);
  EXPECT_GT(last, 4);
}

}  // namespace
}  // namespace vmt
