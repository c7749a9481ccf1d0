// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/tag.h"

#include <fmt/format.h>

namespace vmt {
namespace {

constexpr std::string_view kGuestsAlias = "virt-macvtap: host access for guests";
constexpr std::string_view kManualAlias = "virt-macvtap: host access, made by host up";
constexpr std::string_view kShimPrefix = "vmt-";

}  // namespace

std::string_view alias_of(ShimRole role) {
  switch (role) {
    case ShimRole::kGuests:
      return kGuestsAlias;
    case ShimRole::kManual:
      return kManualAlias;
    case ShimRole::kUnfinished:
      break;
  }
  return {};
}

ShimRole role_of_alias(std::string_view alias) {
  if (alias == kManualAlias) return ShimRole::kManual;
  return alias == kGuestsAlias ? ShimRole::kGuests : ShimRole::kUnfinished;
}

IfName shim_name(unsigned parent_index) {
  return *IfName::parse(fmt::format("{}{}", kShimPrefix, parent_index));
}

MacAddress shim_mac(const MacAddress& parent) {
  // FNV-1a, 64 bit: the point is spread, not secrecy.
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto mix = [&](std::uint8_t byte) { hash = (hash ^ byte) * 0x100000001b3; };
  for (const char c : std::string_view("virt-macvtap shim")) mix(static_cast<std::uint8_t>(c));
  for (const std::uint8_t byte : parent.bytes()) mix(byte);
  std::array<std::uint8_t, MacAddress::kSize> bytes{};
  for (auto& byte : bytes) {
    byte = static_cast<std::uint8_t>(hash);
    hash >>= 8;
  }
  bytes[0] = static_cast<std::uint8_t>((bytes[0] & 0xfc) | 0x02);
  return *MacAddress::from_bytes(bytes);
}

}  // namespace vmt
