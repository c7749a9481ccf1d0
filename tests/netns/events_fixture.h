// SPDX-License-Identifier: LGPL-2.1-or-later
// A host with a LAN, a namespace "web" for devices elsewhere, and an ear for rtnetlink news.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "lib/rtnl_events.h"
#include "tests/netns/namespace.h"

namespace vmt {

inline void PrintTo(const Event& event, std::ostream* out) {
  *out << "{kind " << static_cast<int>(event.kind) << (event.gone ? " gone" : "") << (event.child ? " child" : "")
       << " link " << event.link << " lower " << event.lower << " nsid " << event.nsid.value_or(-1) << " protocol "
       << int{event.protocol} << " state " << event.state << " address " << (event.address ? event.address->str() : "-")
       << "}";
}

using Events = std::vector<Event>;
using Kind = Event::Kind;
using testing::Field;

inline auto is(Kind kind) {
  return Field("kind", &Event::kind, kind);
}
inline auto link_news(unsigned link, bool gone = false) {
  return testing::AllOf(is(Kind::kLink), Field("link", &Event::link, link), Field("gone", &Event::gone, gone));
}
inline auto news_at(Kind kind, unsigned link, const std::string& address, bool gone = false) {
  return testing::AllOf(is(kind), Field("link", &Event::link, link), Field("gone", &Event::gone, gone),
                        Field("address", &Event::address, std::optional(*IpPrefix::parse(address))));
}

class RtnlEventsTest : public NamespaceTest {
 protected:
  void SetUp() override {
    NamespaceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    add_lan();
    settle("eth0");
    sh("ip netns add web");
    eth0_ = if_nametoindex("eth0");
  }
  // The carrier's news come late, and addresses with it; who waits for a lock on the links has waited for both.
  static void settle(const std::string& link) {
    sh("for i in $(seq 500); do grep -q up /sys/class/net/" + link +
       "/operstate && ! ip -6 addr show tentative | "
       "grep -q . && break; sleep 0.01; done; ip link set lo up");
  }
  static RtnlEvents listen(int receive_buffer = RtnlEvents::kReceiveBuffer) {
    auto events = RtnlEvents::open(receive_buffer);
    if (!events) ADD_FAILURE() << events.error().message;
    return std::move(*events);
  }
  static Events take(RtnlEvents& events, std::span<const std::uint32_t> own = {}) {
    auto taken = events.take(own);
    if (!taken) ADD_FAILURE() << taken.error().message;
    return std::move(*taken);
  }
  // What the command causes before it ends.
  static Events news_of(RtnlEvents& events, const std::string& command) {
    take(events);
    sh(command);
    return take(events);
  }
  // For what the kernel does later: everything up to the first event that fits, or what came within five seconds.
  static Events until(RtnlEvents& events, const std::function<bool(const Event&)>& fits) {
    Events all;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (std::ranges::none_of(all, fits) && std::chrono::steady_clock::now() < deadline) {
      pollfd ready{.fd = events.fd(), .events = POLLIN, .revents = 0};
      poll(&ready, 1, 100);
      std::ranges::move(take(events), std::back_inserter(all));
    }
    return all;
  }
  static bool readable(const RtnlEvents& events) {
    pollfd ready{.fd = events.fd(), .events = POLLIN, .revents = 0};
    return poll(&ready, 1, 0) == 1;
  }
  // A macvtap on eth0 in the namespace "web".
  static void add_macvtap_elsewhere(const std::string& name = "m0") {
    sh("ip link add link eth0 name " + name + " netns web type macvtap mode bridge");
  }
  static unsigned index_in_web(const std::string& name) {
    return static_cast<unsigned>(std::stoul(output_of("ip netns exec web cat /sys/class/net/" + name + "/ifindex")));
  }

  unsigned eth0_ = 0;
};

}  // namespace vmt
