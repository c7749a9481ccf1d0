// SPDX-License-Identifier: LGPL-2.1-or-later
// The modes of a macvlan or macvtap, and the three spellings they have.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

#include "lib/error.h"

namespace vmt {

// The values are the kernel's MACVLAN_MODE_* bits; a unit test compares them with <linux/if_link.h>.
enum class MacvlanMode : std::uint32_t { kPrivate = 1, kVepa = 2, kBridge = 4, kPassthru = 8, kSource = 16 };

// libvirt says "passthrough", iproute2 "passthru"; both are taken.
std::expected<MacvlanMode, Error> parse_mode(std::string_view text);
std::expected<MacvlanMode, Error> mode_from_kernel(std::uint32_t value);

// As iproute2 and the kernel's documentation spell it.
std::string_view to_string(MacvlanMode mode);

}  // namespace vmt
