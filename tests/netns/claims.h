// SPDX-License-Identifier: LGPL-2.1-or-later
// What a guest can send to claim an address, in every form there is, and a guest that does not stop sending.
#pragma once

#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "lib/fd.h"
#include "lib/frame.h"
#include "lib/netns.h"
#include "tests/frames.h"

namespace vmt {

inline Frame put(Frame frame, std::size_t at, std::span<const std::uint8_t> bytes) {
  std::ranges::copy(bytes, frame.begin() + static_cast<std::ptrdiff_t>(at));
  return frame;
}

// Where the fields of the frames in tests/frames.h are.
inline constexpr std::size_t kSourceAt = 6;
inline constexpr std::size_t kArpOperationAt = 20;
inline constexpr std::size_t kArpShaAt = 22;
inline constexpr std::size_t kArpSenderAt = 28;
inline constexpr std::size_t kArpTargetAt = 38;
inline constexpr std::size_t kHopLimitAt = 21;
inline constexpr std::size_t kTargetAt = 62;
inline constexpr std::size_t kLinkLayerAt = 80;  // of a question and of kAdvertisement

// ARP: announced as a request and as a reply, in a question for the host, as a probe; DHCP.
inline std::vector<Frame> claims_v4(const MacAddress& mac, const IpAddress& address) {
  const auto as = [&](Frame frame) {
    return put(put(std::move(frame), kSourceAt, mac.bytes()), kArpShaAt, mac.bytes());
  };
  const Frame asks = as(put(kArpRequest, kArpSenderAt, address.bytes()));
  const Frame announces = put(asks, kArpTargetAt, address.bytes());
  Frame probe = patched(announces, {{kArpSenderAt, "00000000"}});
  std::string digits;
  for (const auto byte : address.bytes())
    digits += "0123456789abcdef"[byte >> 4], digits += "0123456789abcdef"[byte & 15];
  const Frame lease = put(put(dhcp("350103 3204" + digits + "ff"), kSourceAt, mac.bytes()), kBootp + 28, mac.bytes());
  return {announces, patched(announces, {{kArpOperationAt, "0002"}}), asks, std::move(probe), lease};
}

// Neighbour discovery: a question for the host, duplicate detection, an advertisement.
inline std::vector<Frame> claims_v6(const MacAddress& mac, const IpAddress& address) {
  const auto as = [&](const Frame& frame) { return put(frame, kSourceAt, mac.bytes()); };
  const Frame asks = question({mac, address}, *IpAddress::parse("2001:db8:1::10"), std::nullopt);
  Frame advertises = put(put(as(kAdvertisement), kTargetAt, address.bytes()), kLinkLayerAt, mac.bytes());
  return {asks, put(as(kDetection), kTargetAt, address.bytes()), std::move(advertises)};
}

inline std::vector<Frame> claims(const std::string& mac, const std::string& address) {
  const auto ip = *IpAddress::parse(address);
  return ip.is_v4() ? claims_v4(*MacAddress::parse(mac), ip) : claims_v6(*MacAddress::parse(mac), ip);
}

// Sends the frames from a link of a namespace, again and again, at `rate` a second, while it lives.
class Flood {
 public:
  Flood(const std::string& netns, const std::string& link, std::vector<Frame> frames, unsigned rate)
      : frames_(std::move(frames)), rate_(rate), thread_([=, this] { run(netns, link); }) {}
  ~Flood() { stop(); }

  void stop() {
    stopped_ = true;
    if (thread_.joinable()) thread_.join();
  }
  unsigned long sent() const { return sent_; }

 private:
  static constexpr unsigned kMostBatch = 64;

  void run(const std::string& netns, const std::string& link) {
    const Fd inside(::open(("/run/netns/" + netns).c_str(), O_RDONLY | O_CLOEXEC));
    [[maybe_unused]] const auto status = in_netns(inside.get(), [&]() -> Status {
      const Fd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
      sockaddr_ll to{};
      to.sll_family = AF_PACKET;
      to.sll_ifindex = static_cast<int>(if_nametoindex(link.c_str()));
      send_all(socket.get(), to);
      return {};
    });
  }

  void send_all(int socket, sockaddr_ll& to) {
    const auto start = std::chrono::steady_clock::now();
    const unsigned batch = std::clamp(rate_ / 1'000, 1U, kMostBatch);
    std::size_t next = 0;
    while (!stopped_) {
      std::array<iovec, kMostBatch> parts;
      std::array<mmsghdr, kMostBatch> messages{};
      for (unsigned i = 0; i < batch; ++i, next = (next + 1) % frames_.size()) {
        parts[i] = {.iov_base = frames_[next].data(), .iov_len = frames_[next].size()};
        messages[i].msg_hdr = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &parts[i], .msg_iovlen = 1};
      }
      if (const int count = sendmmsg(socket, messages.data(), batch, 0); count > 0)
        sent_ += static_cast<unsigned>(count);
      tried_ += batch;
      std::this_thread::sleep_until(start + std::chrono::nanoseconds(1'000'000'000 / rate_) * tried_);
    }
  }

  std::vector<Frame> frames_;
  const unsigned rate_;
  std::atomic<bool> stopped_ = false;
  std::atomic<unsigned long> sent_ = 0;
  unsigned long tried_ = 0;
  std::thread thread_;
};

}  // namespace vmt
