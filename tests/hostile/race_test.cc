// SPDX-License-Identifier: LGPL-2.1-or-later
// The list changes while helpers read it, and many helpers ask at once: is there ever an allow that no list gives, or a
// device more than max=?
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <random>
#include <thread>

#include "tests/hostile/fixture.h"

namespace vmt {
namespace {

using testing::HasSubstr;

constexpr const char* kList = "/etc/qemu/macvtap.conf";
constexpr const char* kMore = "/etc/qemu/more";

void write_list(const std::string& path, const std::string& text) {
  std::ofstream(path + ".new") << text;
  if (std::rename((path + ".new").c_str(), path.c_str()) != 0) std::abort();
}

class HostileListTest : public HostileTest {
 protected:
  // While `change` is done over and over, the user asks; once it is done before, as another list was in force until
  // then.
  std::vector<Outcome> ask_while(const std::function<void(int turn)>& change, int times) {
    std::atomic<bool> over = false;
    std::vector<Outcome> outcomes;
    change(0);
    {
      const std::jthread changer([&] {
        for (int turn = 1; !over; ++turn) change(turn);
      });
      for (int i = 0; i < times; ++i) {
        outcomes.push_back(run(ask_installed()));
        outcomes.back().taps.clear();  // its MAC is wanted by the next one
      }
      over = true;
    }
    return outcomes;
  }
  void expect_none_allowed(const std::vector<Outcome>& outcomes) {
    const auto allowed = std::ranges::count(outcomes, 0, &Outcome::status);
    EXPECT_EQ(allowed, 0) << "of " << outcomes.size();
    expect_world(before_, "refused");
  }
};

TEST_F(HostileListTest, OneThatIsReplacedIsTheOldOneOrTheNewOne) {
  expect_none_allowed(ask_while(
      [](int turn) { write_list(kList, turn % 2 ? "allow eth0 user=1001\n" : "allow eth0\ndeny all user=1000\n"); },
      60));
}

TEST_F(HostileListTest, OneThatIsMovedAwayAndBackDeniesMeanwhile) {
  allow("allow eth0 user=1001");
  expect_none_allowed(ask_while(
      [](int turn) {
        if (turn % 2)
          std::rename("/etc/qemu/away", kList);
        else
          std::rename(kList, "/etc/qemu/away");
      },
      60));
}

TEST_F(HostileListTest, AnIncludeThatVanishesAndComesBackDeniesMeanwhile) {
  write_list(kMore, "deny all user=1000\n");
  allow("allow eth0\ninclude /etc/qemu/more");
  expect_none_allowed(ask_while(
      [](int turn) {
        if (turn % 2)
          std::rename("/etc/qemu/away", kMore);
        else
          std::rename(kMore, "/etc/qemu/away");
      },
      60));
}

// At each moment one of the two files denies him. Between them is much to read.
TEST_F(HostileListTest, ADenyThatMovesBetweenTheListAndItsIncludeIsNeverMissed) {
  std::ofstream("/etc/qemu/long") << std::string(4000, '#') << "\n";
  std::string includes;
  for (int i = 0; i < 60; ++i) includes += "include /etc/qemu/long\n";
  const std::string deny = "deny all user=1000\n", rest = "allow eth0\n" + includes + "include /etc/qemu/more\n";
  write_list(kMore, deny);
  write_list(kList, rest);
  const auto outcomes = ask_while(
      [&](int turn) {
        if (turn % 2 == 0) {
          write_list(kList, deny + rest);
          write_list(kMore, "");
        } else {
          write_list(kMore, deny);
          write_list(kList, rest);
        }
        usleep(300);
      },
      150);
  expect_none_allowed(outcomes);
}

TEST_F(HostileListTest, AnAllowThatNeverChangesIsStillAnAllowWhenTheListIsTouchedNowAndThen) {
  const auto outcomes = ask_while(
      [](int) {
        write_list(kList, "allow eth0\n");
        usleep(20'000);
      },
      30);
  EXPECT_EQ(std::ranges::count(outcomes, 0, &Outcome::status), 30);
}

class HostileMaxTest : public HostileTest {
 protected:
  static std::string mac(int number) {
    char text[40];
    snprintf(text, sizeof text, "eth0/52:54:00:00:%02x:%02x", number >> 8, number & 255);
    return text;
  }
  static unsigned devices_of(uid_t user) {
    const auto all = devices();
    return static_cast<unsigned>(
        std::ranges::count_if(all, [&](const Child& device) { return device.use == DeviceUse(ForUser{user}); }));
  }
};

TEST_F(HostileMaxTest, TwoHundredHelpersAtOnceAreNeverMoreThanMax) {
  allow("allow eth0 max=7");
  std::vector<Running> running;
  unsigned most = 0;
  for (int i = 0; i < 200; ++i) {
    running.push_back(start(ask_installed(i % 2 ? mac(i) : "eth0")));
    if (i % 10 == 0) most = std::max(most, devices_of(kUser));
  }
  std::vector<Outcome> outcomes;
  for (auto& helper : running) outcomes.push_back(finish(std::move(helper)));
  EXPECT_EQ(std::ranges::count(outcomes, 0, &Outcome::status), 7);
  for (const auto& outcome : outcomes)
    if (outcome.status != 0) {
      EXPECT_THAT(outcome.err, HasSubstr("max=7 allows no more"));
    }
  EXPECT_LE(most, 7U);
  EXPECT_EQ(devices_of(kUser), 7U);
  for (const pid_t child : helpers()) kill(child, SIGKILL);
}

TEST_F(HostileMaxTest, TwoHundredHelpersOfWhichManyAreKilledAreNeverMoreThanMax) {
  allow("allow eth0 max=7");
  std::mt19937 random(1);
  std::vector<Running> running;
  unsigned most = 0;
  for (int i = 0; i < 200; ++i) {
    running.push_back(start(ask_installed(mac(i))));
    if (random() % 2) kill(running[random() % running.size()].pid, SIGKILL);
    if (i % 10 == 0) most = std::max(most, devices_of(kUser));
  }
  {
    std::vector<Outcome> outcomes;
    for (auto& helper : running) outcomes.push_back(finish(std::move(helper)));
    EXPECT_LE(std::max(most, devices_of(kUser)), 7U);
  }
  expect_world(before_, "killed and closed");
  std::vector<Fd> again;  // what was killed does not count
  for (int i = 0; i < 7; ++i) again.push_back(tap_of(mac(i)));
}

TEST_F(HostileMaxTest, StoppedHelpersDoNotOpenAGap) {
  allow("allow eth0 max=3");
  std::mt19937 random(2);
  std::vector<Running> running;
  for (int i = 0; i < 40; ++i) {
    running.push_back(start(ask_installed(mac(i))));
    usleep(static_cast<useconds_t>(random() % 2500));
    kill(running.back().pid, SIGSTOP);
    EXPECT_LE(devices_of(kUser), 3U);
  }
  for (const auto& helper : running) kill(helper.pid, SIGCONT);
  std::vector<Outcome> outcomes;
  for (auto& helper : running) outcomes.push_back(finish(std::move(helper)));
  EXPECT_EQ(std::ranges::count(outcomes, 0, &Outcome::status), 3);
}

TEST_F(HostileMaxTest, OneUsersCrowdDoesNotTakeAnothersPlace) {
  allow("allow eth0 max=2");
  std::vector<Running> crowd;
  for (int i = 0; i < 50; ++i) crowd.push_back(start(ask_installed(mac(i))));
  const Outcome other = run(ask_installed(mac(1000), 1001));
  EXPECT_EQ(other.status, 0) << other.err;
  for (auto& helper : crowd) finish(std::move(helper));
}

TEST_F(HostileMaxTest, ATapThatIsPassedOnStillCounts) {
  allow("allow eth0 max=1");
  const Fd tap = tap_of(mac(1));
  const Fd copy(dup(tap.get()));
  EXPECT_EQ(run(ask_installed(mac(2))).status, 1);
}

TEST_F(HostileMaxTest, AMacThatHeChangesStillCounts) {
  allow("allow eth0 max=1");
  const Fd tap = tap_of(mac(1));
  EXPECT_TRUE(set_mac(tap, "52:54:00:99:99:99"));
  EXPECT_EQ(run(ask_installed(mac(2))).status, 1);
}

TEST_F(HostileMaxTest, ATapThatIsBeingClosedCountsUntilItsDeviceIsGone) {
  allow("allow eth0 max=1");
  for (int i = 0; i < 20; ++i) {
    Fd tap = tap_of(mac(i));
    const std::jthread closer([&] { tap = Fd(); });
    {
      const Outcome outcome = run(ask_installed(mac(100 + i)));
      expect_all_or_nothing(outcome, "while another closes");
      EXPECT_LE(devices_of(kUser), 1U);
    }
    EXPECT_TRUE(soon([] { return devices_of(kUser) == 0; }));
  }
}

}  // namespace
}  // namespace vmt
