// SPDX-License-Identifier: LGPL-2.1-or-later
// Does an access control list ever give more than it says? A deny never allows, whatever is wrong denies.
#include "helper/tap/acl_file.h"
#include "tests/fuzz/property.h"

namespace {

using namespace vmt;
using namespace vmt::tap;

const Accounts kAccounts{.uid = [](std::string_view name) { return std::optional<uid_t>(name.size()); },
                         .gid = [](std::string_view name) { return std::optional<gid_t>(name.size()); }};

std::expected<Acl, Error> parse(const std::string& text) {
  auto rules = parse_acl(text, "acl", kAccounts, [](const std::string&) { return std::vector<AclRule>{}; });
  fuzz::require_sound(rules);
  if (!rules) return fail(rules.error());
  return Acl("acl", *std::move(rules));
}

// Every line of the input is a list's; the first one is put behind the others as a deny, too.
void check(const std::string& text, const AclRequest& request) {
  const auto acl = parse(text);
  if (!acl) {
    fuzz::require(!parse(text + "\nallow all"), "what cannot be read is not healed by a line more");
    return;
  }
  const auto before = acl->authorise(request);
  fuzz::require_sound(before);
  const std::string conditions = text.starts_with("allow ") ? text.substr(6, text.find('\n') - 6) : "all";
  for (const std::string& deny : {"\ndeny " + conditions, std::string("\ndeny all")})
    if (const auto denying = parse(text + deny); denying && !before)
      fuzz::require(!denying->authorise(request), "no deny allows");
  fuzz::require(!parse(text + "\ndeny all")->authorise(request), "deny all is for all");
  fuzz::require(!parse("deny all\n" + text)->authorise(request), "the order does not matter");
  if (const auto more = parse(text + "\nallow " + request.parent.str() + " max=1"); before && more)
    fuzz::require(more->authorise(request).has_value(), "no allow denies");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(fuzz::text_of(data, size));
  const gid_t groups[] = {3, 108};
  for (const auto mode : {MacvlanMode::kBridge, MacvlanMode::kPassthru})
    for (const auto& mac : {std::optional<MacAddress>{}, std::optional(*MacAddress::parse("52:54:00:12:34:56"))})
      check(text, {.parent = *IfName::parse("eth0"), .uid = 1000, .gids = groups, .mode = mode, .mac = mac});
  return 0;
}
