// SPDX-License-Identifier: LGPL-2.1-or-later
// An Ethernet address that a guest's NIC can carry.
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

// Six bytes, unicast and not all zero: the kernel refuses anything else on a macvlan (EADDRNOTAVAIL).
class MacAddress {
 public:
  static constexpr std::size_t kSize = 6;

  // "52:54:00:12:34:56", any case, exactly two digits a byte, as libvirt prints it.
  static std::expected<MacAddress, Error> parse(std::string_view text);
  static std::expected<MacAddress, Error> from_bytes(std::span<const std::uint8_t> bytes);

  std::span<const std::uint8_t, kSize> bytes() const { return bytes_; }
  std::string str() const;

  auto operator<=>(const MacAddress&) const = default;

 private:
  explicit MacAddress(const std::array<std::uint8_t, kSize>& bytes) : bytes_(bytes) {}

  std::array<std::uint8_t, kSize> bytes_;
};

}  // namespace vmt
