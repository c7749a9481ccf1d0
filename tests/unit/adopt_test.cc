// SPDX-License-Identifier: LGPL-2.1-or-later
// The bound of the process that waits for a guest's first frame. What it does with a real tap: netns/tap_adopt_test.
#include "helper/tap/adopt.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <thread>

namespace vmt::tap {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// A guest whose MAC can never be set, as another device has it, sends without a pause.
TEST(AdoptTest, AFloodDoesNotKeepItBeyondItsBound) {
  std::array<int, 2> ends{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const Fd frames(ends[0]);
  const Fd guest(ends[1]);
  const Fd never(eventfd(0, EFD_CLOEXEC));
  const Fd no_tap(open("/dev/null", O_RDWR | O_CLOEXEC));
  std::atomic<bool> over = false;
  std::thread flood([&] {
    constexpr std::array<std::uint8_t, 14> kFrame = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0, 0, 1, 8, 6};
    const auto give_up = Clock::now() + milliseconds(3000);
    while (!over && Clock::now() < give_up) send(guest.get(), kFrame.data(), kFrame.size(), MSG_DONTWAIT);
  });
  const auto start = Clock::now();
  adopt(no_tap, frames, never, start + milliseconds(100));
  const auto took = Clock::now() - start;
  over = true;
  flood.join();
  EXPECT_GE(took, milliseconds(100));
  EXPECT_LT(took, milliseconds(600));
}

}  // namespace
}  // namespace vmt::tap
