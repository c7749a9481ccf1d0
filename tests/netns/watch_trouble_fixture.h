// SPDX-License-Identifier: LGPL-2.1-or-later
// A watcher whose memory, time and wake-ups are looked at, and many guests for it.
#pragma once

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <optional>
#include <string>

#include "lib/device.h"
#include "tests/netns/claims.h"
#include "tests/netns/watch_fixture.h"

namespace vmt {

class WatchTroubleTest : public WatchTest {
 protected:
  std::string status(const std::string& key) {
    std::ifstream file(fmt::format("/proc/{}/status", watcher()));
    for (std::string line; std::getline(file, line);)
      if (line.starts_with(key + ":")) return line.substr(key.size() + 1);
    return {};
  }
  double resident_mib() { return std::stod(status("VmRSS")) / 1024; }
  unsigned long wake_ups() { return std::stoul(status("voluntary_ctxt_switches")); }
  // Seconds of CPU.
  double used() {
    std::ifstream file(fmt::format("/proc/{}/stat", watcher()));
    std::string word;
    double ticks = 0;
    for (int field = 1; file >> word && field <= 15; ++field)
      if (field >= 14) ticks += std::stod(word);
    return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
  }
  // Announces it as a guest does that is not answered, until it is learned; nullopt: not in ten seconds.
  static std::optional<std::chrono::milliseconds> learning_time(const std::string& name, const char* mac,
                                                                const std::string& address) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 20; ++i) {
      announce(name, mac, address);
      for (int wait = 0; wait < 25; ++wait) {
        if (has_route(address))
          return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
        usleep(10'000);
      }
    }
    return std::nullopt;
  }
  // Many macvtaps in one namespace without stacks, m0 to m(count-1), on the parent that `parent` names.
  static std::string mac_of(unsigned i) { return fmt::format("52:54:01:00:{:02x}:{:02x}", i / 256, i % 256); }
  static void add_many(unsigned count, const std::function<std::string(unsigned)>& parent) {
    const unsigned base = unique_index();
    {
      std::ofstream batch("/run/batch");
      for (unsigned i = 0; i < count; ++i)
        batch << fmt::format("link add link {} name m{} index {} address {} netns many up type macvtap mode bridge\n",
                             parent(i), i, base + i, mac_of(i));
    }
    sh("ip netns add many && ip netns set many auto && ip netns exec many sh -c 'echo 1 "
       ">/proc/sys/net/ipv6/conf/default/disable_ipv6' && ip -batch /run/batch");
  }
  // Each says that it has its address, one right after the other.
  static void announce_all(unsigned count, const std::function<std::string(unsigned)>& address) {
    const Fd inside(::open("/run/netns/many", O_RDONLY | O_CLOEXEC));
    const auto status = in_netns(inside.get(), [&]() -> Status {
      const Fd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
      for (unsigned i = 0; i < count; ++i) {
        const Frame frame = claims(mac_of(i), address(i))[0];
        sockaddr_ll to{};
        to.sll_family = AF_PACKET;
        to.sll_ifindex = static_cast<int>(if_nametoindex(fmt::format("m{}", i).c_str()));
        if (sendto(socket.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0)
          return fail(errno_error(errno, "send frame"));
      }
      return {};
    });
    ASSERT_TRUE(status) << status.error().message;
  }
  static std::size_t routes() { return std::stoul(output_of("ip -4 route show proto 118 | grep -c 'dev vmt-'")); }
  static void print(const std::string& text) { std::fprintf(stderr, "  %s\n", text.c_str()); }
};

}  // namespace vmt
