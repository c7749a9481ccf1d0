// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/macvlan_mode.h"

#include <fmt/core.h>

#include "lib/text.h"

namespace vmt {
namespace {

struct Spelling {
  MacvlanMode mode;
  std::string_view iproute2;
  std::string_view libvirt;
};

constexpr Spelling kSpellings[] = {
    {MacvlanMode::kPrivate, "private", "private"}, {MacvlanMode::kVepa, "vepa", "vepa"},
    {MacvlanMode::kBridge, "bridge", "bridge"},    {MacvlanMode::kPassthru, "passthru", "passthrough"},
    {MacvlanMode::kSource, "source", "source"},
};

}  // namespace

std::expected<MacvlanMode, Error> parse_mode(std::string_view text) {
  for (const auto& spelling : kSpellings)
    if (text == spelling.iproute2 || text == spelling.libvirt) return spelling.mode;
  return fail(invalid(fmt::format("mode {}: not bridge, vepa, private, passthru or source", quoted(text))));
}

std::expected<MacvlanMode, Error> mode_from_kernel(std::uint32_t value) {
  for (const auto& spelling : kSpellings)
    if (static_cast<std::uint32_t>(spelling.mode) == value) return spelling.mode;
  return fail(invalid(fmt::format("macvlan mode {}: not one this program knows", value)));
}

std::string_view to_string(MacvlanMode mode) {
  for (const auto& spelling : kSpellings)
    if (spelling.mode == mode) return spelling.iproute2;
  return "unknown";
}

}  // namespace vmt
