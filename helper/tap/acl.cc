// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/tap/acl.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <limits>
#include <type_traits>
#include <utility>

#include "lib/algorithm.h"
#include "lib/text.h"

namespace vmt::tap {
namespace {

constexpr std::uint32_t bit(MacvlanMode mode) {
  return static_cast<std::uint32_t>(mode);
}

constexpr std::uint32_t kEveryMode = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint32_t kHarmlessModes =
    bit(MacvlanMode::kBridge) | bit(MacvlanMode::kVepa) | bit(MacvlanMode::kPrivate);

// kUnlessMac: all holds but for the MAC, which is not known.
enum class Match { kNo, kUnlessMac, kYes };

Match match(const AclRule& rule, const AclRequest& request) {
  const auto modes = rule.modes.value_or(rule.verdict == AclRule::Verdict::kAllow ? kHarmlessModes : kEveryMode);
  if (rule.parent && *rule.parent != request.parent) return Match::kNo;
  if (rule.uid && *rule.uid != request.uid) return Match::kNo;
  if (rule.gid && !contains(request.gids, *rule.gid)) return Match::kNo;
  if (!(modes & bit(request.mode))) return Match::kNo;
  if (!rule.mac) return Match::kYes;
  if (!request.mac) return Match::kUnlessMac;
  return rule.mac->covers(*request.mac) ? Match::kYes : Match::kNo;
}

Error refusal(const AclRequest& request, std::string_view why, bool mac_would_help) {
  const std::string& parent = request.parent.str();
  std::string message = fmt::format("macvtap on {} for uid {} (mode {}, {}): {}", parent, request.uid,
                                    to_string(request.mode), request.mac ? request.mac->str() : "no MAC given", why);
  if (mac_would_help) message += fmt::format(" (give the guest's MAC in the name: br='{}/52:54:00:12:34:56')", parent);
  return {ErrorKind::kPermission, std::move(message)};
}

// uid_t and gid_t alike. The last number is no id: to the kernel it says "leave as it is".
using Id = std::uint32_t;
static_assert(std::is_same_v<Id, uid_t>);
static_assert(std::is_same_v<Id, gid_t>);
constexpr Id kNoId = std::numeric_limits<Id>::max();

template <typename Number>
std::optional<Number> decimal(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// All digits are a number and never a name, lest an account called "0" gives away what was meant for root.
template <typename Lookup>
std::expected<Id, Error> read_id(std::string_view kind, std::string_view text, const Lookup& lookup) {
  const bool is_number = text.find_first_not_of("0123456789") == std::string_view::npos;
  const std::optional<Id> id = is_number ? decimal<Id>(text) : lookup(text);
  if (id && *id != kNoId) return *id;
  if (is_number) return fail(invalid(fmt::format("{} {}: not a name, nor 0 to {}", kind, quoted(text), kNoId - 1)));
  return fail(invalid(fmt::format("unknown {0} {1} (one from outside /etc/{2} goes by number)", kind, quoted(text),
                                  kind == "user" ? "passwd" : "group")));
}

Status read_user(std::string_view value, const Accounts& accounts, AclRule& rule) {
  const auto id = read_id("user", value, accounts.uid);
  if (!id) return fail(id.error());
  rule.uid = *id;
  return {};
}

Status read_group(std::string_view value, const Accounts& accounts, AclRule& rule) {
  const auto id = read_id("group", value, accounts.gid);
  if (!id) return fail(id.error());
  rule.gid = *id;
  return {};
}

Status read_modes(std::string_view value, const Accounts&, AclRule& rule) {
  std::uint32_t modes = 0;
  for (bool more = true; more;) {
    const auto comma = std::min(value.find(','), value.size());
    const auto mode = parse_mode(value.substr(0, comma));
    if (!mode) return fail(mode.error());
    modes |= bit(*mode);
    more = comma < value.size();
    if (more) value.remove_prefix(comma + 1);
  }
  rule.modes = modes;
  return {};
}

Status read_mac(std::string_view value, const Accounts&, AclRule& rule) {
  const auto prefix = MacPrefix::parse(value);
  if (!prefix) return fail(prefix.error());
  rule.mac = *prefix;
  return {};
}

Status read_max(std::string_view value, const Accounts&, AclRule& rule) {
  if (rule.verdict != AclRule::Verdict::kAllow) return fail(invalid("max= on a deny, which has no use for it"));
  rule.max = decimal<std::uint16_t>(value);
  if (!rule.max || *rule.max == 0) return fail(invalid(fmt::format("max {}: not 1 to 65535", quoted(value))));
  return {};
}

struct Condition {
  std::string_view name;
  Status (*read)(std::string_view value, const Accounts& accounts, AclRule& rule);
};

constexpr Condition kConditions[] = {
    {"user", read_user}, {"group", read_group}, {"mode", read_modes}, {"mac", read_mac}, {"max", read_max}};

}  // namespace

std::expected<MacPrefix, Error> MacPrefix::parse(std::string_view text) {
  // Whatever completes a prefix to an address: what is left for MacAddress to judge is the prefix.
  constexpr std::string_view kRest = ":00:00:00:00:01";
  constexpr std::size_t kTextLength = 2 + kRest.size();
  if (text.size() % 3 == 2 && text.size() <= kTextLength)
    if (const auto padded = MacAddress::parse(std::string(text).append(kRest.substr(text.size() - 2))); padded)
      return MacPrefix(*padded, (text.size() + 1) / 3);
  return fail(invalid(fmt::format("mac {}: neither a NIC's MAC address nor its first 1 to 5 bytes", quoted(text))));
}

bool MacPrefix::covers(const MacAddress& mac) const {
  return std::ranges::equal(mac.bytes().first(size_), padded_.bytes().first(size_));
}

std::expected<AclRule, Error> parse_rule(std::span<const std::string_view> words, const Accounts& accounts) {
  AclRule rule;
  if (words.empty() || (words[0] != "allow" && words[0] != "deny"))
    return fail(invalid(fmt::format("{} is neither allow, deny nor include", quoted(words.empty() ? "" : words[0]))));
  if (words[0] == "allow") rule.verdict = AclRule::Verdict::kAllow;
  if (words.size() < 2) return fail(invalid(fmt::format("{} what? A parent's name or 'all' is missing", words[0])));
  if (words[1] != "all") {
    const auto parent = IfName::parse(words[1]);
    if (!parent) return fail(parent.error());
    rule.parent = *parent;
  }
  bool seen[std::size(kConditions)] = {};
  for (const auto word : words.subspan(2)) {
    const auto equals = std::min(word.find('='), word.size());
    const auto condition = std::ranges::find(kConditions, word.substr(0, equals), &Condition::name);
    if (condition == std::end(kConditions) || equals == word.size())
      return fail(invalid(fmt::format("{}: not user=, group=, mode=, mac= or max=", quoted(word))));
    if (std::exchange(seen[condition - kConditions], true))
      return fail(invalid(fmt::format("{}= is given twice", condition->name)));
    if (auto status = condition->read(word.substr(equals + 1), accounts, rule); !status) return fail(status.error());
  }
  return rule;
}

std::expected<Allowed, Error> Acl::authorise(const AclRequest& request) const {
  const AclRule* denied_unless_mac = nullptr;
  bool allowed_unless_mac = false;
  std::optional<Allowed> allowed;
  const auto denied_by = [&](const AclRule& rule, bool mac_would_help) {
    return fail(refusal(request, fmt::format("line {} of {} denies it", rule.line, rule.file), mac_would_help));
  };
  for (const AclRule& rule : rules_) {
    const Match matched = match(rule, request);
    if (matched == Match::kNo) continue;
    if (rule.verdict == AclRule::Verdict::kDeny) {
      if (matched == Match::kYes) return denied_by(rule, false);
      if (!denied_unless_mac) denied_unless_mac = &rule;
    } else if (matched == Match::kUnlessMac) {
      allowed_unless_mac = true;
    } else if (!allowed) {
      allowed = Allowed{rule.max};
    } else {
      allowed->max = allowed->max && rule.max ? std::max(allowed->max, rule.max) : std::nullopt;
    }
  }
  if (denied_unless_mac) return denied_by(*denied_unless_mac, true);
  if (allowed) return *allowed;
  std::string why = fmt::format("no rule of {} allows it", file_);
  if (!(kHarmlessModes & bit(request.mode)))
    why += fmt::format(" (only one with mode={} would)", to_string(request.mode));
  return fail(refusal(request, why, allowed_unless_mac));
}

}  // namespace vmt::tap
