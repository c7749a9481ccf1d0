// SPDX-License-Identifier: LGPL-2.1-or-later
// The watcher on the real kernel, when there are too many frames.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "tests/netns/watch_trouble_fixture.h"

namespace vmt {
namespace {

using std::chrono::milliseconds;
using testing::IsEmpty;
using Clock = std::chrono::steady_clock;

constexpr const char* kWeb = kMac;
constexpr const char* kDb = "52:54:00:12:34:62";

std::mt19937& dice() {
  static std::mt19937 generator(1);
  return generator;
}

std::string some_address(bool v4) {
  return v4 ? fmt::format("192.0.2.{}", 100 + dice()() % 150)
            : fmt::format("2001:db8:1::{:x}:{:x}", dice()() % 0xffff, dice()() % 0xffff);
}

MacAddress some_mac() {
  const auto dice_roll = dice()();
  return *MacAddress::from_bytes(hex(fmt::format("5255{:08x}", dice_roll)));
}

// A frame of a kind of flood.
struct FloodKind {
  const char* name;
  Frame (*frame)();
};

Frame garbage() {
  Frame frame = claims(kWeb, some_address(dice()() % 2 == 0))[0];
  frame.resize(15 + dice()() % 1000);
  for (std::size_t i = 14; i < frame.size(); ++i) frame[i] = static_cast<std::uint8_t>(dice()());
  if (frame[12] == 0x86 && frame.size() > 54) frame[20] = 58, frame[54] = static_cast<std::uint8_t>(135 + dice()() % 2);
  return frame;
}

const FloodKind kFloods[] = {
    {"OneAddress", [] { return claims(kWeb, "192.0.2.61")[0]; }},
    {"RandomAddresses", [] { return claims(kWeb, some_address(dice()() % 2 == 0))[0]; }},
    {"Garbage", garbage},
    {"RandomMacs", [] { return claims(some_mac().str(), some_address(true))[0]; }},
    {"Solicitations", [] { return claims(kWeb, some_address(false))[dice()() % 2]; }},
    // From guest to guest: the kernel shows such frames to those who listen on the parent, too.
    {"AnswersToAGuest",
     [] { return put(claims_v4(some_mac(), *IpAddress::parse("192.0.2.66"))[1], 0, MacAddress::parse(kDb)->bytes()); }},
    // Each makes the kernel change its mind about a neighbour, and tell of it.
    {"TheKernelsCache", [] { return claims_v6(some_mac(), *IpAddress::parse("2001:db8:1::66"))[0]; }},
};

class WatchFloodTest : public WatchTroubleTest, public testing::WithParamInterface<FloodKind> {};

// The numbers belong to a bench; the limits here are those of something that has gone wrong.
TEST_P(WatchFloodTest, CostsLittleAndKeepsNobodyElseFromBeingHeard) {
  add_tap_guest("web", kWeb);
  add_tap_guest("db", kDb);
  start();
  ASSERT_TRUE(learning_time("db", kDb, "192.0.2.60"));
  std::vector<Frame> frames;
  for (int i = 0; i < 4096; ++i) frames.push_back(GetParam().frame());
  const double resident = resident_mib();
  const double cpu = used();
  const auto start = Clock::now();
  Flood flood("web", "g0", std::move(frames), 100'000);
  usleep(1'000'000);
  const auto others = learning_time("db", kDb, "192.0.2.62");
  usleep(static_cast<unsigned>(
      std::chrono::duration_cast<std::chrono::microseconds>(start + std::chrono::seconds(5) - Clock::now()).count()));
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const double share = (used() - cpu) / seconds;
  flood.stop();
  const double growth = resident_mib() - resident;
  print(fmt::format("{}: {:.0f} frames a second, {:.2f} % CPU, another guest learned in {} ms, {:+.2f} MiB of {:.1f}",
                    GetParam().name, static_cast<double>(flood.sent()) / seconds, 100 * share,
                    others ? others->count() : -1, growth, resident));
  EXPECT_LT(share, 0.2);
  ASSERT_TRUE(others);
  EXPECT_LT(*others, milliseconds(3000));
  EXPECT_LT(growth, 1.0);
  // Heard again. What it has claimed meanwhile makes room for what it has.
  sh("ip -n web addr add 192.0.2.77/24 dev g0");
  EXPECT_TRUE(learning_time("web", kWeb, "192.0.2.77") || learning_time("web", kWeb, "192.0.2.77"));
  EXPECT_LT(std::ranges::count(log(), '\n'), 20);
}

INSTANTIATE_TEST_SUITE_P(Kinds, WatchFloodTest, testing::ValuesIn(kFloods),
                         [](const auto& kind) { return std::string(kind.param.name); });

TEST_F(WatchTroubleTest, ABusyLanWakesItAHundredTimesASecond) {
  add_tap_guest("web", kWeb);
  start();
  ASSERT_TRUE(eventually([] { return !shims().empty(); }));
  std::vector<Frame> frames;
  for (int i = 0; i < 254; ++i) frames.push_back(claims("52:54:02:00:00:01", fmt::format("192.0.2.{}", 1 + i))[2]);
  for (unsigned i = 0; i < frames.size(); ++i)
    frames[i] = put(frames[i], 10, std::array{std::uint8_t(i), std::uint8_t(0)});
  for (unsigned i = 0; i < frames.size(); ++i)
    frames[i] = put(frames[i], 26, std::array{std::uint8_t(i), std::uint8_t(0)});
  const auto before = wake_ups();
  const double cpu = used();
  Flood lan("peer", "eth0", frames, 1'000);
  usleep(3'000'000);
  lan.stop();
  print(fmt::format("{} frames: {} wake-ups, {:.2f} % CPU", lan.sent(), wake_ups() - before, 100 * (used() - cpu) / 3));
  EXPECT_GT(lan.sent(), 2'500U);
  EXPECT_LT(wake_ups() - before, 2 * 3 * 100U + 50);
  EXPECT_THAT(log(), IsEmpty());
}

}  // namespace
}  // namespace vmt
