// SPDX-License-Identifier: LGPL-2.1-or-later
// IPv4 and IPv6 addresses and prefixes, in network byte order.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "lib/error.h"

namespace vmt {

class IpAddress {
 public:
  // Text as inet_pton(3) takes it: no scope, no prefix, no leading zeros.
  static std::expected<IpAddress, Error> parse(std::string_view text);
  // 4 bytes or 16.
  static std::expected<IpAddress, Error> from_bytes(std::span<const std::uint8_t> bytes);

  bool is_v4() const { return size_ == 4; }
  int family() const;                           // AF_INET or AF_INET6
  unsigned bits() const { return 8U * size_; }  // 32 or 128, a host route's prefix length
  std::span<const std::uint8_t> bytes() const { return {bytes_.data(), size_}; }
  std::string str() const;

  // Multicast, unspecified, loopback, link-local, 0/8, 240/4 and v4-mapped: nothing that a host route to a guest can
  // lead to. The reason in words ("is a multicast address"), empty for an ordinary unicast address.
  std::string_view why_not_a_guests() const;

  auto operator<=>(const IpAddress&) const = default;

 private:
  IpAddress() = default;

  std::uint8_t size_ = 4;
  std::array<std::uint8_t, 16> bytes_{};
};

struct IpPrefix {
  IpAddress address;
  unsigned length = 0;  // bits

  // "192.168.1.60/24"; without a length, a host's own (/32, /128).
  static std::expected<IpPrefix, Error> parse(std::string_view text);

  bool contains(const IpAddress& other) const;
  // The network's own address (all host bits 0) or its IPv4 broadcast address (all 1); neither exists in a /31 or /32.
  bool is_reserved(const IpAddress& other) const;
  std::string str() const;

  auto operator<=>(const IpPrefix&) const = default;
};

}  // namespace vmt
