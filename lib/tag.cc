// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/tag.h"

#include <fmt/format.h>

#include "lib/hash.h"

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
  return mac_of_hash(fnv1a(parent.bytes(), fnv1a("virt-macvtap shim")));
}

}  // namespace vmt
