// SPDX-License-Identifier: LGPL-2.1-or-later
// The watcher when somebody takes away what it makes, or does not let it wait.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>

#include "tests/netns/claims.h"
#include "tests/netns/watch_fixture.h"

namespace vmt {
namespace {

using testing::HasSubstr;

class WatchFightTest : public WatchTest {
 protected:
  // Announced as a guest does that is not answered.
  static bool learns(const std::string& address) {
    return eventually([&] {
      announce("web", kMac, address);
      return has_route(address);
    });
  }
};

// Another program, or another watcher in a namespace that shares ours, that takes away what we make as fast as it can.
TEST_F(WatchFightTest, AFightForTheShimIsNotFoughtAsFastAsTheMachineCan) {
  add_tap_guest("web", kMac);
  sh("ip -n web addr add 192.0.2.61/24 dev g0");
  start();
  ASSERT_TRUE(learns("192.0.2.61"));
  sh("shim=$(ip -o link show group 1986884609 | grep -o 'vmt-[0-9]*'); end=$(($(date +%s) + 6)); while [ $(date +%s) "
     "-lt $end ]; do ip link del $shim 2>/dev/null && echo >>/run/rounds; done; true");
  const int rounds = std::stoi(output_of("grep -c '' /run/rounds"));
  EXPECT_GE(rounds, 3);
  EXPECT_LE(rounds, 20) << "a few at once, then one a second";
  EXPECT_LT(std::ranges::count(log(), '\n'), 20);
  // The other one has gone.
  ASSERT_TRUE(eventually([] { return has_route("192.0.2.61"); }));
  EXPECT_TRUE(eventually([] { return reaches("", "192.0.2.61"); }));
  EXPECT_TRUE(learns("192.0.2.71"));
}

TEST_F(WatchFightTest, AFightForARouteIsSaidAndFoughtOnceASecond) {
  add_tap_guest("web", kMac);
  start();
  ASSERT_TRUE(learns("192.0.2.61"));
  sh("end=$(($(date +%s) + 6)); while [ $(date +%s) -lt $end ]; do ip route del 192.0.2.61 2>/dev/null && echo "
     ">>/run/rounds; done; true");
  const int rounds = std::stoi(output_of("grep -c '' /run/rounds"));
  EXPECT_GE(rounds, 7);
  EXPECT_LE(rounds, 20);
  EXPECT_THAT(log(), HasSubstr("somebody keeps undoing this: add route 192.0.2.61"));
  ASSERT_TRUE(eventually([] { return has_route("192.0.2.61"); }));
}

// Its service manager starts it anew; one that cannot be stopped, or that hears nothing, stays.
TEST_F(WatchFightTest, WhoCannotWaitForSignalsSaysSoAndEnds) {
  start({}, "strace -qq -o /run/trace -e trace=ioctl -e inject=ioctl:error=EPERM:when=1");
  ASSERT_THAT(output_of("head -n 1 /run/trace"), testing::AllOf(HasSubstr("FIONBIO"), HasSubstr("INJECTED")));
  int status = 0;
  EXPECT_TRUE(eventually([&] { return waitpid(watcher(), &status, WNOHANG) == watcher(); }));
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << status;
  EXPECT_THAT(log(), HasSubstr("virt-macvtap: wait for signals: Operation not permitted"));
  if (WIFEXITED(status)) watcher_ = -1;
}

}  // namespace
}  // namespace vmt
