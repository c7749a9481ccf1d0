// SPDX-License-Identifier: LGPL-2.1-or-later
// The configuration file: what is taken means one thing, in whatever order it stands, and gives no address twice.
#include <set>

#include "lib/config_file.h"
#include "lib/text.h"
#include "tests/fuzz/property.h"

namespace {

using namespace vmt;

std::string spell(std::optional<LearnMode> learn) {
  if (!learn) return {};
  return *learn == LearnMode::kYes ? "learn = yes\n" : *learn == LearnMode::kNo ? "learn = no\n" : "learn = strict\n";
}

// The same settings in one order and one spelling.
std::string spell(const Config& config) {
  std::string text = spell(std::optional(config.learn));
  text += std::string("host-access = ") + (config.host_access ? "yes" : "no");
  text += "\nmax-addresses = " + std::to_string(config.max_addresses) + "\n";
  for (const auto& [name, parent] : config.parents) {
    fuzz::require_valid(name);
    text += "[parent " + name.str() + " ]\n" + spell(parent.learn);
    if (parent.host_access) text += *parent.host_access ? "host-access = yes\n" : "host-access = no\n";
    if (!parent.addresses.empty()) text += "address =";
    for (const auto& address : parent.addresses) text += " " + address.str();
    text += "\n";
    fuzz::require(check_shim_addresses(parent.addresses).has_value(), "one address of each family");
  }
  for (const auto& [name, guest] : config.guests) {
    text += "[guest " + name + " ]\n" + spell(guest.learn);
    std::set<std::string> nics;
    for (const auto& [mac, addresses] : guest.given) {
      std::string line = mac.str() + " =";
      for (const auto& address : addresses) line += " " + address.str();
      nics.insert(line + "\n");
    }
    for (const auto& line : nics) text += line;
  }
  return text;
}

void check(const Config& config) {
  std::set<IpAddress> given;
  for (const auto& [name, guest] : config.guests)
    for (const auto& nic : guest.given)
      for (const auto& address : nic.addresses) {
        fuzz::require(address.why_not_a_guests().empty(), "an address can be a guest's");
        fuzz::require(given.insert(address).second, "no address is given twice");
      }
  fuzz::require(config.max_addresses >= 1 && config.max_addresses <= kMostAddresses, "max-addresses is in range");
}

// The sections, last first: what is set twice would be set otherwise then.
std::string reversed(std::string_view text) {
  std::vector<std::string> sections(1);
  for (const auto line : fuzz::split(text, '\n')) {
    const auto content = trimmed(line.substr(0, line.find('#')));
    if (content.starts_with('[') && content.ends_with(']')) sections.emplace_back();
    sections.back() += std::string(line) + "\n";
  }
  std::string result = sections.front();
  for (auto section = sections.rbegin(); section + 1 != sections.rend(); ++section) result += *section;
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text_of(data, size);
  const auto config = parse_config(text, "file");
  fuzz::require_sound(config);
  if (!config) return 0;
  check(*config);
  const std::string spelled = spell(*config);
  const auto again = parse_config(spelled, "file");
  fuzz::require(again && spell(*again) == spelled, "what is spelled out is the same");
  const auto other = parse_config(reversed(text), "file");
  fuzz::require(other && spell(*other) == spelled, "the order of the sections does not matter");
  return 0;
}
