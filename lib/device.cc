// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/device.h"

#include <fmt/core.h>
#include <sys/random.h>

#include <array>
#include <cstring>

#include "lib/hash.h"
#include "lib/tag.h"

namespace vmt {
namespace {

constexpr std::string_view kStandingAlias = "virt-macvtap: standing";
constexpr std::string_view kGuestAlias = "virt-macvtap: guest ";
constexpr unsigned kUniqueIndices = 0x20000000;
constexpr unsigned kUniqueIndicesMask = 0xf0000000;
constexpr std::string_view kUniquePrefix = "vmt";
constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz234567";  // RFC 4648, 5 bits each

// getrandom() of up to 256 bytes neither fails nor returns less, once the system has been seeded.
template <typename T>
T random_value() {
  T value{};
  [[maybe_unused]] const ssize_t got = getrandom(&value, sizeof value, 0);
  return value;
}

}  // namespace

std::string alias_of(const DeviceUse& use) {
  if (const auto* guest = std::get_if<ForGuest>(&use)) return fmt::format("{}{}", kGuestAlias, guest->guest.str());
  return std::string(kStandingAlias);
}

std::optional<DeviceUse> use_of_alias(std::string_view alias) {
  if (alias == kStandingAlias) return Standing{};
  if (!alias.starts_with(kGuestAlias)) return std::nullopt;
  auto guest = Uuid::parse(alias.substr(kGuestAlias.size()));
  return guest ? std::optional<DeviceUse>(ForGuest{std::move(*guest)}) : std::nullopt;
}

Status check(const DeviceSpec& spec) {
  const auto refuse = [&](std::string_view why) { return fail(invalid(fmt::format("{}: {}", spec.name.str(), why))); };
  if (spec.mode == MacvlanMode::kPassthru && spec.mac)
    return refuse("a passthru device takes its parent's MAC; the kernel would ignore another");
  if (spec.mode != MacvlanMode::kPassthru && !spec.mac) return refuse("no MAC");
  if (spec.mode != MacvlanMode::kPassthru && !spec.promiscuous) return refuse("nopromisc is for mode passthru only");
  if (spec.mode != MacvlanMode::kSource && !spec.allowed.empty())
    return refuse("a list of allowed MACs is for mode source only");
  if (spec.allowed.size() > kMaxAllowed) return refuse(fmt::format("at most {} allowed MACs", kMaxAllowed));
  if (!spec.macvtap && spec.owner) return refuse("a macvlan has no tap node that could be owned");
  return {};
}

Status check_standing_name(const IfName& name) {
  const auto refuse = [&](std::string_view why) {
    return fail(invalid(fmt::format("create {}: {}; choose another name", name.str(), why)));
  };
  for (const std::string_view prefix : {"vnet", "macvtap", "macvlan"})
    if (name.str().starts_with(prefix)) return refuse(fmt::format("names that begin with '{}' are libvirt's", prefix));
  if (name.str().starts_with(kShimPrefix))
    return refuse(fmt::format("names that begin with '{}' are those of the host's own links to guests", kShimPrefix));
  // Else the kernel's "Invalid argument".
  if (name.str() == "all" || name.str() == "default") return refuse("in /proc/sys/net it means something else");
  return {};
}

MacAddress random_mac() {
  return mac_of_hash(random_value<std::uint64_t>());
}

MacAddress mac_from_text(std::string_view text) {
  return mac_of_hash(fnv1a(text));
}

unsigned unique_index() {
  return kUniqueIndices | (random_value<std::uint32_t>() & ~kUniqueIndicesMask);
}

std::vector<unsigned> unique_indices(std::size_t count) {
  std::vector<unsigned> indices;
  for (unsigned next = unique_index(); indices.size() < count; ++next)
    indices.push_back(kUniqueIndices | (next & ~kUniqueIndicesMask));
  return indices;
}

bool is_unique_index(unsigned index) {
  return (index & kUniqueIndicesMask) == kUniqueIndices;
}

IfName unique_name(uid_t user) {
  std::string name(kUniquePrefix);
  for (int shift = 30; shift >= 0; shift -= 5) name += kLetters[(user >> shift) & 31];
  for (const std::uint8_t byte : random_value<std::array<std::uint8_t, 5>>()) name += kLetters[byte & 31];
  return *IfName::parse(name);
}

std::optional<uid_t> user_of_name(const IfName& name) {
  if (name.str().size() != 15 || !name.str().starts_with(kUniquePrefix)) return std::nullopt;
  std::uint64_t user = 0;
  for (const char letter : name.str().substr(kUniquePrefix.size(), 7)) {
    const auto value = kLetters.find(letter);
    if (value == std::string_view::npos) return std::nullopt;
    user = user << 5 | value;
  }
  return user <= 0xffffffff ? std::optional(static_cast<uid_t>(user)) : std::nullopt;
}

}  // namespace vmt
