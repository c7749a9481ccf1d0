// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/mac_address.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "lib/text.h"

namespace vmt {
namespace {

constexpr std::size_t kTextLength = 3 * MacAddress::kSize - 1;

}  // namespace

std::expected<MacAddress, Error> MacAddress::parse(std::string_view text) {
  const auto malformed = [&] {
    return fail(invalid(fmt::format("MAC address {}: not six bytes in hex", quoted(text))));
  };
  if (text.size() != kTextLength) return malformed();
  std::array<std::uint8_t, kSize> bytes{};
  for (std::size_t i = 0; i < kSize; ++i) {
    const char* first = text.data() + 3 * i;
    const auto [end, error] = std::from_chars(first, first + 2, bytes[i], 16);
    if (error != std::errc{} || end != first + 2) return malformed();
    if (i + 1 < kSize && first[2] != ':') return malformed();
  }
  return from_bytes(bytes);
}

std::expected<MacAddress, Error> MacAddress::from_bytes(std::span<const std::uint8_t> bytes) {
  if (bytes.size() != kSize)
    return fail(invalid(fmt::format("MAC address of {} bytes: an Ethernet one has 6", bytes.size())));
  std::array<std::uint8_t, kSize> copy{};
  std::ranges::copy(bytes, copy.begin());
  const MacAddress address(copy);
  if (copy[0] & 1)
    return fail(invalid(fmt::format("MAC address {}: a multicast address cannot be a NIC's", address.str())));
  if (std::ranges::all_of(copy, [](std::uint8_t b) { return b == 0; }))
    return fail(invalid("MAC address 00:00:00:00:00:00: the zero address cannot be a NIC's"));
  return address;
}

// By hand: a format string with six fields takes ten times as long, and this stands in every operation's name.
std::string MacAddress::str() const {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(kTextLength, ':');
  for (std::size_t i = 0; i < kSize; ++i) {
    text[3 * i] = kDigits[bytes_[i] >> 4];
    text[3 * i + 1] = kDigits[bytes_[i] & 0xf];
  }
  return text;
}

}  // namespace vmt
