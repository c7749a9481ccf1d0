// SPDX-License-Identifier: LGPL-2.1-or-later
// What watch_bench measures with: a LAN, guests, the watcher's process, and the kernel's news. Whatever cannot be set
// up ends the program.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/fd.h"
#include "lib/frame.h"
#include "lib/rtnl_decode.h"

namespace vmt::bench {

using Clock = std::chrono::steady_clock;

inline constexpr const char* kHost = "198.18.0.10";

double milliseconds(Clock::duration duration);
void pause(Clock::duration duration);
void pause_until(Clock::time_point time);
void sh(const std::string& command);
// Runs it in a shell, at once.
pid_t spawn(const std::string& command);
void ip_batch(const std::string& commands);
unsigned index_of(const std::string& link);

// The host's eth0 has kHost/15 and an IPv6 address, the namespace "peer" the other end; nobody says anything.
void make_lan();
// A bridge-mode macvtap g0 on eth0 in a namespace of this name, silent by itself.
void add_guest_namespace(const std::string& name, const MacAddress& mac);
// t0 to t(count - 1) on eth0 with their guest_mac(); those that are there stay. Up; nobody takes what they receive.
void add_guests(int count);

MacAddress guest_mac(int number);
IpAddress address4(int number);  // in eth0's prefixes
IpAddress address6(int number);

// Gratuitous ARP, or an unsolicited neighbour advertisement.
std::vector<std::uint8_t> announcement(const MacAddress& mac, const IpAddress& address);

// Sends frames from a link in a namespace ("": here).
class PacketLink {
 public:
  PacketLink(const std::string& netns, const std::string& link);
  // From another link of that namespace, if told.
  void send(std::span<const std::uint8_t> frame, unsigned link = 0);

 private:
  Fd socket_;
  unsigned link_ = 0;
};

// The kernel's news of links and routes, from the construction on. The time is that of their arrival here.
class News {
 public:
  News();
  void drain();
  std::optional<Clock::time_point> route_appears(const IpAddress& address, Clock::duration patience);
  // Complete: up and with its alias.
  std::optional<Clock::time_point> shim_is_up(unsigned parent, Clock::duration patience);
  // How many of ours, `count` at most.
  int routes_appear(int count, Clock::duration patience);

 private:
  using Wanted = std::function<bool(nlmsghdr*)>;
  std::optional<Clock::time_point> wait_for(const Wanted& wanted, Clock::duration patience);

  Fd socket_;
};

struct Usage {
  double cpu_ms = 0;
  long switches = 0;  // voluntary: how often it went to sleep

  Usage operator-(const Usage& before) const { return {cpu_ms - before.cpu_ms, switches - before.switches}; }
};

// The real one, while this lives.
class Watcher {
 public:
  static inline std::string command;

  // Until it says that it is ready.
  Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  ~Watcher() { stop(); }

  pid_t pid() const { return pid_; }
  double start_ms() const { return start_ms_; }  // from its spawn to READY=1
  void stop();
  Usage usage() const;
  double status_kb(const std::string& key) const;  // of /proc/PID/status: "VmRSS:"

 private:
  pid_t pid_ = -1;
  double start_ms_ = 0;
};

void expect_routes(int count);

}  // namespace vmt::bench
