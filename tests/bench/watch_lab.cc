// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/bench/watch_lab.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include "lib/device.h"
#include "lib/netns.h"
#include "tests/frames.h"

namespace vmt::bench {
namespace {

[[noreturn]] void die(const std::string& what) {
  std::perror(("watch_bench: " + what).c_str());
  std::exit(1);
}

int routes_of_ours() {
  int count = 0;
  FILE* pipe = popen("{ ip -4 route show proto 118; ip -6 route show proto 118; } | wc -l", "r");
  if (pipe == nullptr || std::fscanf(pipe, "%d", &count) != 1) die("count routes");
  pclose(pipe);
  return count;
}

}  // namespace

double milliseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

void pause(Clock::duration duration) {
  std::this_thread::sleep_for(duration);
}

void pause_until(Clock::time_point time) {
  std::this_thread::sleep_until(time);
}

void sh(const std::string& command) {
  if (std::system(command.c_str()) != 0) die(command);
}

pid_t spawn(const std::string& command) {
  std::string text = command;
  char shell[] = "/bin/sh", option[] = "-c";
  char* words[] = {shell, option, text.data(), nullptr};
  pid_t pid = -1;
  if (posix_spawn(&pid, shell, nullptr, nullptr, words, environ) != 0) die(command);
  return pid;
}

void ip_batch(const std::string& commands) {
  std::ofstream("/run/batch") << commands;
  sh("ip -batch /run/batch");
}

unsigned index_of(const std::string& link) {
  const unsigned index = if_nametoindex(link.c_str());
  if (index == 0) die(link);
  return index;
}

void make_lan() {
  sh(fmt::format(
      "ip netns add peer && ip netns exec peer sysctl -qw net.ipv6.conf.all.disable_ipv6=1 "
      "net.ipv6.conf.default.disable_ipv6=1 && ip link add eth0 type veth peer name eth0 netns peer && "
      "sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.default.accept_dad=0 && "
      "ip addr add {}/15 dev eth0 && ip addr add 2001:db8:1::10/64 dev eth0 nodad && ip link set eth0 up && "
      "ip -n peer addr add 198.18.0.1/15 dev eth0 && ip -n peer link set eth0 up",
      kHost));
}

void add_guest_namespace(const std::string& name, const MacAddress& mac) {
  sh(
      fmt::format("ip netns add {0} && ip netns set {0} auto && ip netns exec {0} sysctl -qw "
                  "net.ipv6.conf.default.disable_ipv6=1 && ip link add link eth0 name g0 index {1} address {2} netns "
                  "{0} type macvtap mode bridge && ip -n {0} link set g0 up",
                  name, unique_index(), mac.str()));
}

void add_guests(int count) {
  std::string batch;
  for (int i = 0; i < count; ++i)
    if (if_nametoindex(fmt::format("t{}", i).c_str()) == 0)
      batch +=
          fmt::format("link add link eth0 name t{0} address {1} type macvtap mode bridge\nlink set t{0} arp off up\n",
                      i, guest_mac(i).str());
  sh("sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
  ip_batch(batch);
  sh("sysctl -qw net.ipv6.conf.default.disable_ipv6=0");
}

MacAddress guest_mac(int number) {
  const auto byte = [&](int shift) { return static_cast<std::uint8_t>(number >> shift); };
  const std::uint8_t bytes[] = {0x52, 0x54, 0x01, byte(16), byte(8), byte(0)};
  return *MacAddress::from_bytes(bytes);
}

IpAddress address4(int number) {
  const int host = number + 256;
  const std::uint8_t bytes[] = {198, 18, static_cast<std::uint8_t>(host >> 8), static_cast<std::uint8_t>(host)};
  return *IpAddress::from_bytes(bytes);
}

IpAddress address6(int number) {
  return *IpAddress::parse(fmt::format("2001:db8:1::1:{:x}", number));
}

std::vector<std::uint8_t> announcement(const MacAddress& mac, const IpAddress& address) {
  if (address.is_v4()) return question({mac, address}, address, std::nullopt);
  Frame frame = kAdvertisement;
  for (const std::ptrdiff_t at : {6, 80}) std::ranges::copy(mac.bytes(), frame.begin() + at);
  for (const std::ptrdiff_t at : {22, 62}) std::ranges::copy(address.bytes(), frame.begin() + at);
  return frame;
}

// ---- sending and hearing

PacketLink::PacketLink(const std::string& netns, const std::string& link) {
  const auto open = [&]() -> Status {
    socket_ = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    link_ = index_of(link);
    return {};
  };
  if (netns.empty()) {
    [[maybe_unused]] const auto status = open();
  } else {
    const Fd inside(::open(("/run/netns/" + netns).c_str(), O_RDONLY | O_CLOEXEC));
    if (!in_netns(inside.get(), open)) die(netns);
  }
  if (!socket_) die("packet socket");
}

void PacketLink::send(std::span<const std::uint8_t> frame, unsigned link) {
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(link != 0 ? link : link_);
  if (sendto(socket_.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0)
    die("send");
}

News::News() : socket_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE)) {
  const int room = 8 << 20;
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  if (setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0 ||
      bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
    die("rtnetlink news");
}

void News::drain() {
  char ignored[1];
  while (recv(socket_.get(), ignored, sizeof ignored, MSG_TRUNC) >= 0) {
  }
}

std::optional<Clock::time_point> News::wait_for(const Wanted& wanted, Clock::duration patience) {
  const auto deadline = Clock::now() + patience;
  alignas(nlmsghdr) char buffer[32 * 1024];
  for (;;) {
    const ssize_t size = recv(socket_.get(), buffer, sizeof buffer, 0);
    const auto now = Clock::now();
    if (size < 0 && errno != EAGAIN) die("rtnetlink news");
    if (size < 0) {
      pollfd ready{.fd = socket_.get(), .events = POLLIN, .revents = 0};
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
      if (left <= 0 || poll(&ready, 1, static_cast<int>(left)) == 0) return std::nullopt;
      continue;
    }
    auto* message = reinterpret_cast<nlmsghdr*>(buffer);
    for (auto left = static_cast<unsigned>(size); NLMSG_OK(message, left); message = NLMSG_NEXT(message, left))
      if (wanted(message)) return now;
  }
}

std::optional<Clock::time_point> News::route_appears(const IpAddress& address, Clock::duration patience) {
  return wait_for(
      [&](nlmsghdr* message) {
        const auto answer = message->nlmsg_type == RTM_NEWROUTE ? decode_route(message) : std::nullopt;
        return answer && answer->route.destination.address == address && answer->route.protocol == kGuestProtocol;
      },
      patience);
}

std::optional<Clock::time_point> News::shim_is_up(unsigned parent, Clock::duration patience) {
  return wait_for(
      [&](nlmsghdr* message) {
        const auto link = message->nlmsg_type == RTM_NEWLINK ? decode_link(message) : std::nullopt;
        return link && link->index == shim_index(parent) && (link->flags & IFF_UP) && !link->alias.empty();
      },
      patience);
}

int News::routes_appear(int count, Clock::duration patience) {
  int seen = 0;
  wait_for(
      [&](nlmsghdr* message) {
        const auto answer = message->nlmsg_type == RTM_NEWROUTE ? decode_route(message) : std::nullopt;
        if (answer && answer->route.protocol == kGuestProtocol) ++seen;
        return seen == count;
      },
      patience);
  return seen;
}

// ---- the watcher

Watcher::Watcher() {
  constexpr std::string_view kName("\0watch-bench", 12);  // abstract: the namespace's own
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::memcpy(address.sun_path, kName.data(), kName.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + kName.size());
  const timeval patience{.tv_sec = 60, .tv_usec = 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size) < 0) die("notification socket");
  setenv("NOTIFY_SOCKET", "@watch-bench", 1);
  const auto begin = Clock::now();
  pid_ = spawn(command);
  char word[64] = {};
  if (recv(socket.get(), word, sizeof word - 1, 0) <= 0) die("the watcher is not ready");
  start_ms_ = milliseconds(Clock::now() - begin);
}

void Watcher::stop() {
  if (pid_ < 0) return;
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

Usage Watcher::usage() const {
  clockid_t clock{};
  timespec time{};
  if (clock_getcpuclockid(pid_, &clock) != 0 || clock_gettime(clock, &time) != 0) die("the watcher is gone");
  return {.cpu_ms = static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6,
          .switches = static_cast<long>(status_kb("voluntary_ctxt_switches:"))};
}

double Watcher::status_kb(const std::string& key) const {
  std::ifstream file(fmt::format("/proc/{}/status", pid_));
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key)) return std::strtod(line.c_str() + key.size(), nullptr);
  die(key);
}

void expect_routes(int count) {
  if (const int there = routes_of_ours(); there != count) die(fmt::format("{} routes instead of {}", there, count));
}

}  // namespace vmt::bench
