// SPDX-License-Identifier: LGPL-2.1-or-later
#include "xml/metadata.h"

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <pugixml.hpp>
#include <string_view>

#include "lib/algorithm.h"
#include "lib/text.h"
#include "xml/domain.h"

namespace vmt {
namespace {

// pugixml knows no namespaces: the declaration in force is the nearest ancestor's.
bool is_ours(const pugi::xml_node& node, std::string_view local_name) {
  const std::string_view name = node.name();
  const auto colon = name.find(':');
  const std::string_view prefix = colon == std::string_view::npos ? std::string_view{} : name.substr(0, colon);
  if ((colon == std::string_view::npos ? name : name.substr(colon + 1)) != local_name) return false;
  const std::string declaration = prefix.empty() ? "xmlns" : fmt::format("xmlns:{}", prefix);
  for (pugi::xml_node scope = node; scope; scope = scope.parent())
    if (const auto uri = scope.attribute(declaration.c_str()))
      return std::string_view(uri.value()) == kMetadataNamespace;
  return false;
}

// All text of an element: a comment or a CDATA section may split it.
std::string text_of(const pugi::xml_node& node) {
  std::string text;
  for (const auto& child : node.children())
    if (child.type() == pugi::node_pcdata || child.type() == pugi::node_cdata) text += child.value();
  return std::string(trimmed(text));
}

using Note = std::function<void(const std::string&)>;

std::expected<Placement, Error> parse_placement(const pugi::xml_node& direct) {
  auto parent = IfName::parse(direct.attribute("dev").value());
  if (!parent) return fail(parent.error());
  const std::string_view text = direct.attribute("mode").value();
  const auto mode = text.empty() ? MacvlanMode::kBridge : parse_mode(text);
  if (!mode) return fail(mode.error());
  // It takes frames from a list of MACs only, which nobody gives here.
  if (*mode == MacvlanMode::kSource) return fail(invalid("mode 'source' is none for a guest"));
  return Placement{std::move(*parent), *mode};
}

// <direct dev='eth0' mode='bridge'/>: where the device that the NIC's <target managed='no'> names is to be made.
void parse_direct(const pugi::xml_node& direct, const MacAddress& mac, Guest& guest, const Note& note) {
  const auto placement = parse_placement(direct);
  if (!placement) return note(fmt::format("direct of {}: {}", mac.str(), placement.error().message));
  bool found = false;
  for (auto& nic : guest.nics) {
    auto* source = std::get_if<PremadeSource>(&nic.source);
    if (source == nullptr || nic.mac != mac) continue;
    found = true;
    if (source->wanted && source->wanted != *placement)
      note(fmt::format("a second direct of {}", mac.str()));
    else
      source->wanted = *placement;
  }
  if (!found)
    note(
        fmt::format("direct of {}: no <interface type='ethernet'> with <target managed='no'> has this MAC", mac.str()));
}

void parse_nic(const pugi::xml_node& nic, Guest& guest, std::vector<std::string>& notes) {
  const Note note = [&](const std::string& what) {
    notes.push_back(fmt::format("guest {}: metadata: {}; left out", quoted(guest.name), what));
  };
  auto mac = MacAddress::parse(nic.attribute("mac").value());
  if (!mac) return note(mac.error().message);
  for (const auto& child : nic.children())
    if (is_ours(child, "direct")) parse_direct(child, *mac, guest, note);
  GivenAddresses given{*mac, {}};
  for (const auto& child : nic.children()) {
    if (!is_ours(child, "address")) continue;
    if (given.addresses.size() == kMaxAddresses) {
      note(fmt::format("more than {} addresses for {}: the rest is", kMaxAddresses, mac->str()));
      break;
    }
    auto address = IpAddress::parse(text_of(child));
    if (!address)
      note(address.error().message);
    else if (!contains(given.addresses, *address))
      given.addresses.push_back(*address);
  }
  const auto has_mac = [&](const Nic& other) { return other.mac == *mac; };
  if (std::ranges::none_of(guest.nics, has_mac)) note(fmt::format("no direct interface has the MAC {}", mac->str()));
  guest.given.push_back(std::move(given));
}

}  // namespace

void parse_metadata(const pugi::xml_node& metadata, Guest& guest, std::vector<std::string>& notes) {
  for (const auto& element : metadata.children()) {
    if (!is_ours(element, "host-access")) continue;
    const std::string_view enabled = element.attribute("enabled").value();
    if (enabled == "no")
      guest.host_access = false;
    else if (!enabled.empty() && enabled != "yes")
      notes.push_back(fmt::format("guest {}: metadata: enabled={} is neither 'yes' nor 'no'; taken as 'yes'",
                                  quoted(guest.name), quoted(enabled)));
    for (const auto& child : element.children())
      if (is_ours(child, "nic") && guest.given.size() < kMaxNics) parse_nic(child, guest, notes);
  }
}

}  // namespace vmt
