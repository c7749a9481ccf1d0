// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/hash.h"

#include <array>

namespace vmt {

std::uint64_t fnv1a(std::span<const std::uint8_t> bytes, std::uint64_t seed) {
  for (const std::uint8_t byte : bytes) seed = (seed ^ byte) * 0x100000001b3;
  return seed;
}

std::uint64_t fnv1a(std::string_view text, std::uint64_t seed) {
  return fnv1a(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()), seed);
}

MacAddress mac_of_hash(std::uint64_t hash) {
  std::array<std::uint8_t, MacAddress::kSize> bytes{};
  for (auto& byte : bytes) {
    byte = static_cast<std::uint8_t>(hash);
    hash >>= 8;
  }
  bytes[0] = static_cast<std::uint8_t>((bytes[0] & 0xfc) | 0x02);
  return *MacAddress::from_bytes(bytes);
}

}  // namespace vmt
