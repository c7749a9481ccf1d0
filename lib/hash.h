// SPDX-License-Identifier: LGPL-2.1-or-later
// A stable hash and the MAC that it stands for.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "lib/mac_address.h"

namespace vmt {

// FNV-1a, 64 bit: the point is spread, not secrecy. `seed` continues an earlier hash.
inline constexpr std::uint64_t kFnvSeed = 0xcbf29ce484222325;
std::uint64_t fnv1a(std::span<const std::uint8_t> bytes, std::uint64_t seed = kFnvSeed);
std::uint64_t fnv1a(std::string_view text, std::uint64_t seed = kFnvSeed);

// The lower 48 bits, made unicast and locally administered.
MacAddress mac_of_hash(std::uint64_t hash);

}  // namespace vmt
