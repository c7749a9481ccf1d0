// SPDX-License-Identifier: LGPL-2.1-or-later
// An Ethernet address that a guest's NIC can carry.
#pragma once

#include <endian.h>

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "lib/error.h"

namespace vmt {

// Six bytes, unicast and not all zero: the kernel refuses anything else on a macvlan (EADDRNOTAVAIL).
class MacAddress {
 public:
  static constexpr std::size_t kSize = 6;

  // "52:54:00:12:34:56", any case, exactly two digits a byte, as libvirt prints it.
  static std::expected<MacAddress, Error> parse(std::string_view text);
  static std::expected<MacAddress, Error> from_bytes(std::span<const std::uint8_t> bytes);

  std::span<const std::uint8_t, kSize> bytes() const { return bytes_; }
  std::string str() const;

  bool operator==(const MacAddress&) const = default;
  // As bytes would compare. As numbers: what a watcher does for each frame of a LAN is to look MACs up.
  std::strong_ordering operator<=>(const MacAddress& other) const { return number() <=> other.number(); }

 private:
  explicit MacAddress(const std::array<std::uint8_t, kSize>& bytes) : bytes_(bytes) {}

  std::uint64_t number() const {
    std::uint32_t high = 0;
    std::uint16_t low = 0;
    std::memcpy(&high, bytes_.data(), sizeof high);
    std::memcpy(&low, bytes_.data() + sizeof high, sizeof low);
    return std::uint64_t{be32toh(high)} << 16 | be16toh(low);
  }

  std::array<std::uint8_t, kSize> bytes_;
};

}  // namespace vmt
