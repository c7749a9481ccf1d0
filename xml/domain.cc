// SPDX-License-Identifier: LGPL-2.1-or-later
#include "xml/domain.h"

#include <fmt/core.h>

#include <charconv>
#include <pugixml.hpp>
#include <string_view>

#include "lib/algorithm.h"
#include "lib/text.h"
#include "xml/metadata.h"

namespace vmt {
namespace {

using Notes = std::vector<std::string>;

std::string_view attribute(const pugi::xml_node& node, const char* name) {
  return node.attribute(name).value();
}

std::expected<NicSource, Error> direct_source(const pugi::xml_node& interface) {
  const pugi::xml_node source = interface.child("source");
  auto parent = IfName::parse(attribute(source, "dev"));
  if (!parent) return fail(parent.error());
  const std::string_view mode_text = attribute(source, "mode");
  auto mode = mode_text.empty() ? MacvlanMode::kVepa : parse_mode(mode_text);  // libvirt's own default
  if (!mode) return fail(mode.error());
  return DirectSource{*parent, *mode, std::string(attribute(source, "network"))};
}

// The one kind of 'ethernet' interface that may be a macvtap: <target dev='X' managed='no'/>.
std::expected<NicSource, Error> premade_source(const pugi::xml_node& interface) {
  auto device = IfName::parse(attribute(interface.child("target"), "dev"));
  if (!device) return fail(device.error());
  return PremadeSource{*device};
}

bool is_premade(const pugi::xml_node& interface) {
  return attribute(interface, "type") == "ethernet" && attribute(interface.child("target"), "managed") == "no";
}

bool may_be_direct(const pugi::xml_node& interface) {
  const std::string_view type = attribute(interface, "type");
  return type == "direct" || type == "network" || is_premade(interface);
}

std::expected<NicSource, Error> source_of(const pugi::xml_node& interface) {
  if (attribute(interface, "type") == "direct") return direct_source(interface);
  if (is_premade(interface)) return premade_source(interface);
  const pugi::xml_node source = interface.child("source");
  return NetworkSource{std::string(attribute(source, "network")), std::string(attribute(source, "portgroup"))};
}

unsigned queues_of(const pugi::xml_node& interface) {
  const std::string_view text = attribute(interface.child("driver"), "queues");
  unsigned queues = 1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), queues);
  return error == std::errc{} && end == text.data() + text.size() && queues > 0 ? queues : 1;
}

std::expected<Nic, Error> parse_nic(const pugi::xml_node& interface) {
  auto mac = MacAddress::parse(attribute(interface.child("mac"), "address"));
  if (!mac) return fail(mac.error());
  auto source = source_of(interface);
  if (!source) return fail(source.error());
  Nic nic{.mac = *mac,
          .source = std::move(*source),
          .target = {},
          .model = std::string(attribute(interface.child("model"), "type"))};
  if (auto target = IfName::parse(attribute(interface.child("target"), "dev"))) nic.target = std::move(*target);
  nic.queues = queues_of(interface);
  nic.link_up = attribute(interface.child("link"), "state") != "down";
  nic.trusts_rx_filters = attribute(interface, "trustGuestRxFilters") == "yes";
  return nic;
}

void parse_nics(const pugi::xml_node& domain, Guest& guest, Notes& notes) {
  for (const auto& interface : domain.child("devices").children("interface")) {
    if (!may_be_direct(interface)) continue;
    auto nic = parse_nic(interface);
    if (!nic) {
      notes.push_back(fmt::format("guest {}: interface left out: {}", quoted(guest.name), nic.error().message));
      continue;
    }
    if (guest.nics.size() == kMaxNics) {
      notes.push_back(
          fmt::format("guest {}: more than {} interfaces; the rest is left out", quoted(guest.name), kMaxNics));
      return;
    }
    if (contains(guest.nics, nic->mac, &Nic::mac))
      notes.push_back(fmt::format("guest {}: two interfaces have the MAC {}", quoted(guest.name), nic->mac.str()));
    guest.nics.push_back(std::move(*nic));
  }
}

void parse_identity(const pugi::xml_node& domain, Guest& guest, Notes& notes) {
  guest.name = domain.child("name").text().get();
  if (const pugi::xml_node uuid = domain.child("uuid")) {
    auto parsed = Uuid::parse(trimmed(uuid.text().get()));
    if (parsed)
      guest.uuid = std::move(*parsed);
    else
      notes.push_back(fmt::format("guest {}: {}", quoted(guest.name), parsed.error().message));
  }
  const std::string_view id = attribute(domain, "id");
  int number = 0;
  if (const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
      error == std::errc{} && end == id.data() + id.size() && number >= 0)
    guest.id = number;
}

}  // namespace

std::expected<ParsedDomain, Error> parse_domain(std::string text) {
  if (text.size() > kMaxDomainXml)
    return fail(invalid(fmt::format("domain XML: larger than {} MiB", kMaxDomainXml / (1024 * 1024))));
  pugi::xml_document document;
  const auto result = document.load_buffer_inplace(text.data(), text.size(), pugi::parse_default, pugi::encoding_utf8);
  if (!result) return fail(invalid(fmt::format("domain XML: {} at byte {}", result.description(), result.offset)));
  pugi::xml_node domain = document.child("domain");
  if (!domain) domain = document.child("domstatus").child("domain");
  if (!domain)
    return fail(invalid(
        fmt::format("domain XML: the root element is {}, not 'domain'", quoted(document.document_element().name()))));
  ParsedDomain parsed;
  parse_identity(domain, parsed.guest, parsed.notes);
  parse_nics(domain, parsed.guest, parsed.notes);
  parse_metadata(domain.child("metadata"), parsed.guest, parsed.notes);
  if (parsed.notes.size() > kMaxNotes) {
    const auto more = parsed.notes.size() - kMaxNotes;
    parsed.notes.resize(kMaxNotes);
    parsed.notes.push_back(fmt::format("guest {}: and {} more of the kind", quoted(parsed.guest.name), more));
  }
  return parsed;
}

}  // namespace vmt
