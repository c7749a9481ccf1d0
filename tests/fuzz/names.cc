// SPDX-License-Identifier: LGPL-2.1-or-later
// Names and tags, as anybody may give them to a link: only what we would have written is read as ours.
#include "lib/device.h"
#include "lib/ip_address.h"
#include "lib/tag.h"
#include "tests/fuzz/property.h"

namespace {

using namespace vmt;

void check(const IfName& name) {
  fuzz::require_valid(name);
  if (const auto user = user_of_name(name))
    fuzz::require(unique_name(*user).str().starts_with(name.str().substr(0, 10)), "a name of that user's begins so");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text_of(data, size);
  const auto name = IfName::parse(text);
  fuzz::require_sound(name);
  if (name) check(*name);
  std::uint32_t number = 0;
  for (const auto byte : std::span(data, std::min<std::size_t>(size, 4))) number = number << 8 | byte;
  fuzz::require(user_of_name(unique_name(number)) == number, "the user can be read back");
  fuzz::require_valid(shim_name(number));

  if (const auto use = use_of_alias(text)) fuzz::require(use_of_alias(alias_of(*use)) == use, "an alias says the use");
  const auto role = role_of_alias(text);
  fuzz::require(role == ShimRole::kUnfinished || alias_of(role) == text, "an alias says the role");

  const auto mac = MacAddress::parse(text);
  fuzz::require_sound(mac);
  if (mac) fuzz::require(MacAddress::parse(mac->str()) == *mac && !(mac->bytes()[0] & 1), "a MAC is unicast");
  if (mac) fuzz::require((shim_mac(*mac).bytes()[0] & 3) == 2, "a shim's MAC is local and unicast");
  fuzz::require((mac_from_text(text).bytes()[0] & 3) == 2, "a MAC made of text is local and unicast");
  const auto prefix = IpPrefix::parse(text);
  fuzz::require_sound(prefix);
  if (prefix) fuzz::require(IpPrefix::parse(prefix->str()) == *prefix, "a prefix is the same again");
  if (prefix) fuzz::require(prefix->contains(prefix->address), "an address is in its own network");
  const auto uuid = Uuid::parse(text);
  fuzz::require_sound(uuid);
  if (uuid) fuzz::require(Uuid::parse(uuid->str()) == *uuid, "a UUID is the same again");
  return 0;
}
