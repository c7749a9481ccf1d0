// SPDX-License-Identifier: LGPL-2.1-or-later
// The watcher's ears, when what they listen on goes.
#include "helper/watch/ears.h"

#include <gmock/gmock.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/asio/steady_timer.hpp>

#include "tests/netns/frame_fixture.h"

namespace vmt::watch {
namespace {

class EarsTest : public FrameLanTest {
 protected:
  static Place place() {
    return {.parent = if_nametoindex("eth0"),
            .parent_mac = *MacAddress::parse("52:54:00:ee:00:10"),
            .shim = if_nametoindex("vmt-1"),
            .shim_mac = *MacAddress::parse("52:54:00:ee:00:20"),
            .guests = {*MacAddress::parse(kMac)}};
  }
};

// Timers that have run out are beyond recall, whatever happens to their owners before it is their turn.
TEST_F(EarsTest, APlaceMayGoAsThePauseAfterItsFramesEnds) {
  boost::asio::io_context io;
  boost::asio::steady_timer leave(io);
  int heard = 0;
  std::optional<Ears> ears;
  const auto on_heard = [&](unsigned, std::span<const Heard>) {
    ++heard;
    leave.expires_after(std::chrono::milliseconds(1));
    leave.async_wait([&](const auto&) { ears->listen({}); });
    usleep(50'000);
  };
  ears.emplace(
      io, on_heard, [](unsigned, const MacAddress&, std::chrono::seconds) {},
      [](std::string_view line) { ADD_FAILURE() << line; });
  const Place at[] = {place()};
  ears->listen(at);
  auto web = listen("web", "g0");
  send(web, kArpRequest);
  io.run_for(std::chrono::milliseconds(500));
  EXPECT_EQ(heard, 1);
  EXPECT_TRUE(io.stopped()) << "nothing is left to wait for";
}

TEST_F(EarsTest, WhatCannotBeOpenedIsToldAndOpenedLater) {
  boost::asio::io_context io;
  int heard = 0;
  std::vector<std::string> log;
  Ears ears(
      io, [&](unsigned, std::span<const Heard>) { ++heard; }, [](unsigned, const MacAddress&, std::chrono::seconds) {},
      [&](std::string_view line) { log.emplace_back(line); });
  const Place at[] = {place()};
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct before[2], without[2];
  ASSERT_EQ(syscall(SYS_capget, &header, before), 0);
  std::ranges::copy(before, without);
  without[0].effective &= ~(1U << CAP_NET_RAW);
  ASSERT_EQ(syscall(SYS_capset, &header, without), 0);
  EXPECT_FALSE(ears.listen(at));
  ASSERT_EQ(syscall(SYS_capset, &header, before), 0);
  EXPECT_EQ(log.size(), 1U);
  EXPECT_TRUE(ears.listen(at));
  auto web = listen("web", "g0");
  send(web, kArpRequest);
  io.run_for(std::chrono::milliseconds(500));
  EXPECT_EQ(heard, 1);
  Place gone = place();
  gone.shim = 4711;
  EXPECT_TRUE(ears.listen(std::span(&gone, 1)));
  sh("ip link del vmt-1");
  EXPECT_TRUE(ears.listen(at)) << "whoever made it, or deletes it, knows";
}

}  // namespace
}  // namespace vmt::watch
