// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/device.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <array>
#include <charconv>
#include <cstring>

#include "lib/hash.h"

namespace vmt {
namespace {

constexpr std::string_view kStandingAlias = "virt-macvtap: standing";
constexpr std::string_view kGuestAlias = "virt-macvtap: guest ";
constexpr std::string_view kUserAlias = "virt-macvtap: user ";

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
  if (const auto* user = std::get_if<ForUser>(&use)) return fmt::format("{}{}", kUserAlias, user->user);
  return std::string(kStandingAlias);
}

std::optional<DeviceUse> use_of_alias(std::string_view alias) {
  if (alias == kStandingAlias) return Standing{};
  if (alias.starts_with(kGuestAlias)) {
    auto guest = Uuid::parse(alias.substr(kGuestAlias.size()));
    return guest ? std::optional<DeviceUse>(ForGuest{std::move(*guest)}) : std::nullopt;
  }
  if (!alias.starts_with(kUserAlias)) return std::nullopt;
  const std::string_view digits = alias.substr(kUserAlias.size());
  uid_t user = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), user);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return ForUser{user};
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
  for (const std::string_view prefix : {"vnet", "macvtap", "macvlan"})
    if (name.str().starts_with(prefix))
      return fail(
          invalid(fmt::format("{}: names that begin with '{}' are libvirt's; choose another", name.str(), prefix)));
  return {};
}

MacAddress random_mac() {
  return mac_of_hash(random_value<std::uint64_t>());
}

MacAddress mac_from_text(std::string_view text) {
  return mac_of_hash(fnv1a(text));
}

unsigned unique_index() {
  return 0x20000000U | (random_value<std::uint32_t>() & 0x0fffffffU);
}

IfName unique_name() {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz234567";
  std::string name = "vmt";
  for (const std::uint8_t byte : random_value<std::array<std::uint8_t, 12>>()) name += kLetters[byte % kLetters.size()];
  return *IfName::parse(name);
}

}  // namespace vmt
