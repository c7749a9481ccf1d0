// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/model/stack.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "lib/frame.h"

namespace vmt::model {
namespace {

using Frame = std::vector<std::uint8_t>;
using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t kEther = 14, kArp = kEther, kIp = kEther;
constexpr std::uint16_t kEcho = 7;

unsigned be16(Bytes frame, std::size_t at) {
  return static_cast<unsigned>(frame[at] << 8 | frame[at + 1]);
}

void put(Frame& frame, std::size_t at, Bytes bytes) {
  std::ranges::copy(bytes, frame.begin() + static_cast<std::ptrdiff_t>(at));
}

void swap_bytes(Frame& frame, std::size_t a, std::size_t b, std::size_t size) {
  std::swap_ranges(frame.begin() + static_cast<std::ptrdiff_t>(a),
                   frame.begin() + static_cast<std::ptrdiff_t>(a + size),
                   frame.begin() + static_cast<std::ptrdiff_t>(b));
}

Frame arp_reply(Frame request, const MacAddress& mac) {
  Frame reply = std::move(request);
  reply.resize(42);
  swap_bytes(reply, kArp + 14, kArp + 24, 4);  // the addresses
  put(reply, kArp + 18, Bytes(reply).subspan(kArp + 8, 6));
  put(reply, 0, Bytes(reply).subspan(6, 6));
  put(reply, 6, mac.bytes());
  put(reply, kArp + 8, mac.bytes());
  reply[kArp + 7] = 2;
  return reply;
}

std::uint16_t icmp6_checksum(Bytes packet) {
  std::uint32_t sum = 58 + static_cast<std::uint32_t>(packet.size() - 40);
  for (std::size_t i = 8; i + 1 < packet.size(); i += 2) sum += be16(packet, i);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

// An advertisement: solicited, overriding, with the link-layer address.
Frame advertisement(Bytes solicitation, const MacAddress& mac) {
  Frame reply(solicitation.begin(), solicitation.begin() + kIp + 40 + 24);
  put(reply, 0, solicitation.subspan(6, 6));
  put(reply, 6, mac.bytes());
  put(reply, kIp + 24, solicitation.subspan(kIp + 8, 16));
  put(reply, kIp + 8, solicitation.subspan(kIp + 48, 16));
  const std::array<std::uint8_t, 8> head{136, 0, 0, 0, 0x60, 0, 0, 0};
  put(reply, kIp + 40, head);
  const std::array<std::uint8_t, 2> option{2, 1};
  reply.insert(reply.end(), option.begin(), option.end());
  reply.insert(reply.end(), mac.bytes().begin(), mac.bytes().end());
  reply[kIp + 4] = 0, reply[kIp + 5] = 32, reply[kIp + 7] = 255;
  const std::uint16_t sum = icmp6_checksum(Bytes(reply).subspan(kIp));
  reply[kIp + 42] = static_cast<std::uint8_t>(sum >> 8), reply[kIp + 43] = static_cast<std::uint8_t>(sum);
  return reply;
}

// Addresses and ports change places, which leaves every checksum as it is.
Frame returned(Frame frame, std::size_t addresses, std::size_t size, std::size_t udp) {
  swap_bytes(frame, 0, 6, 6);
  swap_bytes(frame, addresses, addresses + size, size);
  swap_bytes(frame, udp, udp + 2, 2);
  return frame;
}

}  // namespace

Stack::Stack(Fd tap, MacAddress mac)
    : tap_(std::move(tap)), wake_(eventfd(0, EFD_CLOEXEC)), mac_(mac), thread_([this] { serve(); }) {}

Stack::~Stack() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(wake_.get(), &one, sizeof one);
  thread_.join();
}

void Stack::set_addresses(std::set<IpAddress> addresses) {
  const std::lock_guard lock(mutex_);
  addresses_ = std::move(addresses);
}

void Stack::announce(const IpAddress& address) {
  send(question({mac_, address}, address, std::nullopt));
}

bool Stack::resolves(const IpAddress& from, const IpAddress& host, std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  resolved_.erase(host);
  send(question({mac_, from}, host, std::nullopt));
  return heard_.wait_for(lock, patience, [&] { return resolved_.contains(host); });
}

void Stack::serve() {
  std::array<std::uint8_t, 2048> buffer;
  for (;;) {
    std::array<pollfd, 2> ready{{{wake_.get(), POLLIN, 0}, {tap_.get(), POLLIN, 0}}};
    if (poll(ready.data(), ready.size(), -1) < 0 || ready[0].revents != 0) return;
    if (ready[1].revents == 0) continue;
    const ssize_t got = read(tap_.get(), buffer.data(), buffer.size());
    if (got <= 0) {  // the macvtap is gone
      poll(ready.data(), 1, -1);
      return;
    }
    take(Bytes(buffer.data(), static_cast<std::size_t>(got)));
  }
}

void Stack::send(const Frame& frame) {
  [[maybe_unused]] const auto written = write(tap_.get(), frame.data(), frame.size());
}

bool Stack::has(Bytes address) {
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(addresses_,
                             [&](const IpAddress& own) { return std::ranges::equal(own.bytes(), address); });
}

void Stack::take(Bytes frame) {
  if (frame.size() < 42 || std::ranges::equal(frame.subspan(6, 6), mac_.bytes())) return;
  const unsigned type = be16(frame, 12);
  if (const auto heard = hear(frame); heard && (type == 0x86dd ? frame[kIp + 40] == 136 : frame[kArp + 7] == 2)) {
    const std::lock_guard lock(mutex_);
    resolved_.insert(heard->address);
    heard_.notify_all();
  }
  if (type == 0x0806) {
    if (frame[kArp + 7] == 1 && has(frame.subspan(kArp + 24, 4)))
      send(arp_reply(Frame(frame.begin(), frame.end()), mac_));
  } else if (type == 0x0800) {
    if (frame[kIp + 9] == IPPROTO_UDP && be16(frame, kIp + 22) == kEcho && has(frame.subspan(kIp + 16, 4)))
      send(returned(Frame(frame.begin(), frame.end()), kIp + 12, 4, kIp + 20));
  } else if (type == 0x86dd && frame.size() >= kIp + 48) {
    if (frame[kIp + 6] == IPPROTO_UDP && be16(frame, kIp + 42) == kEcho && has(frame.subspan(kIp + 24, 16)))
      send(returned(Frame(frame.begin(), frame.end()), kIp + 8, 16, kIp + 40));
    else if (frame[kIp + 6] == IPPROTO_ICMPV6 && frame[kIp + 40] == 135 && frame.size() >= kIp + 64 &&
             has(frame.subspan(kIp + 48, 16)))
      send(advertisement(frame, mac_));
  }
}

bool echoes(const IpAddress& guest, std::chrono::milliseconds patience) {
  sockaddr_storage to{};
  socklen_t size = 0;
  if (guest.is_v4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(to);
    v4.sin_family = AF_INET, v4.sin_port = htons(kEcho), size = sizeof v4;
    std::memcpy(&v4.sin_addr, guest.bytes().data(), 4);
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(to);
    v6.sin6_family = AF_INET6, v6.sin6_port = htons(kEcho), size = sizeof v6;
    std::memcpy(&v6.sin6_addr, guest.bytes().data(), 16);
  }
  const Fd socket(::socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (connect(socket.get(), reinterpret_cast<sockaddr*>(&to), size) != 0) return false;
  if (::send(socket.get(), "hello", 5, 0) != 5) return false;
  pollfd ready{socket.get(), POLLIN, 0};
  if (poll(&ready, 1, static_cast<int>(patience.count())) != 1) return false;
  std::array<char, 16> answer;
  return recv(socket.get(), answer.data(), answer.size(), 0) == 5;
}

}  // namespace vmt::model
