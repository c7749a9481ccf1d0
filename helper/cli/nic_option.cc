// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/cli/nic_option.h"

#include <fmt/core.h>

#include <charconv>
#include <limits>
#include <set>

#include "lib/text.h"

namespace vmt::cli {
namespace {

constexpr std::string_view kAuto = "auto:";

std::expected<std::uint32_t, Error> parse_number(std::string_view text, std::uint32_t least, std::uint32_t most) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most)
    return fail(invalid(fmt::format("{} is no number from {} to {}", quoted(text), least, most)));
  return value;
}

std::expected<MacAddress, Error> parse_mac(std::string_view text) {
  if (!text.starts_with(kAuto)) return MacAddress::parse(text);
  if (text.size() == kAuto.size()) return fail(invalid("'auto:' needs a name behind it"));
  return mac_from_text(text.substr(kAuto.size()));
}

std::expected<Vhost, Error> parse_vhost(std::string_view text) {
  if (text == "auto") return Vhost::kAuto;
  if (text == "on") return Vhost::kOn;
  if (text == "off") return Vhost::kOff;
  return fail(invalid(fmt::format("{} is not auto, on or off", quoted(text))));
}

// Stores the value where it belongs, or says what is wrong with it.
template <typename T, typename Target>
Status store(std::expected<T, Error> value, Target& target) {
  if (!value) return fail(value.error());
  target = std::move(*value);
  return {};
}

// A parent is stored apart: a NicOption cannot be without one.
struct Draft {
  std::optional<IfName> parent;
  NicOption nic;
};

Status take(std::string_view key, std::string_view value, Draft& draft) {
  constexpr auto kMost = std::numeric_limits<std::uint32_t>::max();
  NicOption& nic = draft.nic;
  if (key == "parent") return store(IfName::parse(value), draft.parent);
  if (key == "mac") return store(parse_mac(value), nic.mac);
  if (key == "mode") return store(parse_mode(value), nic.mode);
  if (key == "name") return store(IfName::parse(value), nic.name);
  if (key == "queues") return store(parse_number(value, 1, kMaxQueues), nic.queues);
  if (key == "vhost") return store(parse_vhost(value), nic.vhost);
  if (key == "mtu") return store(parse_number(value, 68, 65535), nic.mtu);
  if (key == "bcqueuelen") return store(parse_number(value, 1, kMost), nic.bc_queue_length);
  if (key == "nopromisc" && value == "on") nic.promiscuous = false;
  if (key == "nopromisc" && (value == "on" || value == "off")) return {};
  if (key == "allow-mac") {
    auto mac = MacAddress::parse(value);
    if (!mac) return fail(mac.error());
    nic.allowed.push_back(*mac);
    return {};
  }
  return fail(
      invalid(fmt::format("{} is not known; there are parent, mac, mode, queues, vhost, mtu, bcqueuelen, "
                          "nopromisc=on, allow-mac and name",
                          quoted(key))));
}

}  // namespace

std::expected<NicOption, Error> parse_nic_option(std::string_view text) {
  const auto refuse = [&](std::string_view why) {
    return fail(invalid(fmt::format("--nic {}: {}", quoted(text), why)));
  };
  Draft draft{.parent = {}, .nic = {.parent = unique_name(0), .mac = {}, .name = {}, .mtu = {}, .allowed = {}}};
  std::set<std::string_view> seen;
  for (std::string_view rest = text; !rest.empty();) {
    const auto comma = rest.find(',');
    const std::string_view pair = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos) return refuse(fmt::format("{} is not KEY=VALUE", quoted(pair)));
    const std::string_view key = pair.substr(0, equals);
    if (!seen.insert(key).second && key != "allow-mac") return refuse(fmt::format("{} is given twice", quoted(key)));
    if (auto status = take(key, pair.substr(equals + 1), draft); !status) return refuse(status.error().message);
  }
  if (!draft.parent) return refuse("parent=LINK is missing");
  draft.nic.parent = std::move(*draft.parent);
  return draft.nic;
}

DeviceSpec spec_of(const NicOption& nic) {
  return {.name = nic.name.value_or(unique_name(0)),
          .parent_name = nic.parent,
          .mode = nic.mode,
          .mac = nic.mac,
          .mtu = nic.mtu,
          .bc_queue_length = nic.bc_queue_length,
          .promiscuous = nic.promiscuous,
          .allowed = nic.allowed,
          .owner = {}};
}

}  // namespace vmt::cli
