// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/tag.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "lib/hash.h"

namespace vmt {
namespace {

constexpr std::string_view kGuestsAlias = "virt-macvtap: host access for guests";
constexpr std::string_view kManualAlias = "virt-macvtap: host access, made by host up";

// Where the kernel keeps a macvlan, of 256 slots: macvlan_eth_hash(), which is hash_64() of the six bytes.
unsigned macvlan_slot(const MacAddress& mac) {
  constexpr std::uint64_t kGoldenRatio = 0x61c8864680b583eb;
  std::uint64_t value = 0;
  std::memcpy(&value, mac.bytes().data(), MacAddress::kSize);
  value = std::endian::native == std::endian::little ? value << 16 : value >> 16;
  return static_cast<unsigned>(value * kGoldenRatio >> 56);
}

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

IpAddress mark_address(const MacAddress& mac) {
  const std::uint64_t hash = fnv1a(mac.bytes(), fnv1a("virt-macvtap mark"));
  const auto byte = [&](unsigned shift) { return static_cast<std::uint8_t>(hash >> shift); };
  const std::uint8_t bytes[] = {static_cast<std::uint8_t>(0xf0 | (byte(24) & 0x0f)), byte(16), byte(8), byte(0)};
  return *IpAddress::from_bytes(bytes);
}

MacAddress mark_of(const Uuid& domain, const MacAddress& mac, std::span<const IpAddress> given) {
  std::vector<IpAddress> sorted(given.begin(), given.end());
  std::ranges::sort(sorted);
  std::uint64_t hash = fnv1a(mac.bytes(), fnv1a(domain.str()));
  for (const auto& address : sorted) hash = fnv1a(address.bytes(), hash);
  return mac_of_hash(hash);
}

MacAddress shim_mac(const MacAddress& parent) {
  std::uint64_t hash = fnv1a(parent.bytes(), fnv1a("virt-macvtap shim"));
  MacAddress mac = mac_of_hash(hash);
  while (macvlan_slot(mac) != 0) {  // 256 times on average, some 5 us
    hash = fnv1a(mac.bytes(), hash);
    mac = mac_of_hash(hash);
  }
  return mac;
}

}  // namespace vmt
