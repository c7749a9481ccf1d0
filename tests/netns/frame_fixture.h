// SPDX-License-Identifier: LGPL-2.1-or-later
// A LAN, a guest "web" on the parent eth0, and a shim vmt-1 that is listened on.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <poll.h>

#include <algorithm>
#include <string>
#include <vector>

#include "helper/watch/frame_socket.h"
#include "lib/frame.h"
#include "lib/netns.h"
#include "tests/frames.h"
#include "tests/netns/namespace.h"

namespace vmt {

class FrameLanTest : public NamespaceTest {
 protected:
  void SetUp() override {
    NamespaceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    add_lan();
    add_guest("web", kMac, "192.0.2.61", "2001:db8:1::61");
    sh("ip link add link eth0 name vmt-1 address 52:54:00:ee:00:20 type macvlan mode bridge && ip link set vmt-1 up");
  }

  // On a link of the namespace NAME ("": the host's).
  static FrameSocket listen(const std::string& name, const std::string& link, const FilterRules& rules = {}) {
    std::optional<FrameSocket> socket;
    in(name, [&] {
      auto opened = FrameSocket::open(if_nametoindex(link.c_str()), rules);
      if (!opened) return Status(fail(opened.error()));
      socket = std::move(*opened);
      return Status();
    });
    return std::move(socket.value());
  }
  static void in(const std::string& name, const std::function<Status()>& what) {
    const std::string path = name.empty() ? "/proc/thread-self/ns/net" : "/run/netns/" + name;
    const Fd netns(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    const auto status = in_netns(netns.get(), what);
    ASSERT_TRUE(status) << status.error().message;
  }

  static void send(FrameSocket& from, const Frame& frame) {
    const auto status = from.send(frame);
    ASSERT_TRUE(status) << status.error().message;
  }

  // What hear() makes of the frames up to the one that says `last` ("MAC ADDRESS"), without those that say nothing of
  // a guest's; all within two seconds, if that does not come.
  static std::vector<std::string> heard(FrameSocket& socket, const std::string& last) {
    FrameBatch batch;
    std::vector<std::string> all;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    while (std::chrono::steady_clock::now() < deadline) {
      pollfd waiting{.fd = socket.fd(), .events = POLLIN};
      poll(&waiting, 1, 100);
      const auto frames = socket.receive(batch);
      EXPECT_TRUE(frames) << frames.error().message;
      if (!frames) break;
      for (const auto& frame : *frames)
        if (const auto said = hear(frame)) {
          all.push_back(said->mac.str() + " " + said->address.str());
          if (all.back() == last) return all;
        }
    }
    return all;
  }
  static bool hears(FrameSocket& socket, const std::string& what) {
    const auto all = heard(socket, what);
    return !all.empty() && all.back() == what;
  }

  static constexpr const char* kWeb4 = "52:54:00:12:34:56 192.0.2.61";
  static constexpr const char* kWeb6 = "52:54:00:12:34:56 2001:db8:1::61";
};

}  // namespace vmt
