// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/model/state.h"

#include <fmt/core.h>

namespace vmt::model {
namespace {

IpAddress ip(const std::string& text) {
  return *IpAddress::parse(text);
}

std::string nic_xml(const NicState& nic, const MacAddress& mac) {
  if (nic.premade)
    return fmt::format("<interface type='ethernet'><mac address='{}'/><target dev='{}' managed='no'/></interface>",
                       mac.str(), nic.device);
  return fmt::format(
      "<interface type='direct'><mac address='{}'/><source dev='{}' mode='{}'/><target dev='{}'/></interface>",
      mac.str(), nic.source, nic.mode == MacvlanMode::kPassthru ? "passthrough" : to_string(nic.mode), nic.device);
}

std::string metadata_xml(const GuestState& guest, unsigned number) {
  std::string nics;
  for (unsigned i = 0; i < kNics; ++i) {
    const auto& nic = guest.nics[i];
    if (!nic || (nic->given.empty() && !nic->premade)) continue;
    nics += fmt::format("<v:nic mac='{}'>", mac_of(number, i).str());
    if (nic->premade) nics += fmt::format("<v:direct dev='{}' mode='bridge'/>", nic->source);
    for (const auto& address : nic->given) nics += fmt::format("<v:address>{}</v:address>", address.str());
    nics += "</v:nic>";
  }
  return fmt::format(
      "<metadata><v:host-access xmlns:v='urn:virt-macvtap:host-access:1' enabled='{}'>{}</v:host-access></metadata>",
      guest.switched_off ? "no" : "yes", nics);
}

std::string list(const std::vector<IpAddress>& addresses) {
  std::string text;
  for (const auto& address : addresses) text += " " + address.str();
  return text;
}

}  // namespace

std::string guest_name(unsigned guest) {
  return fmt::format("g{}", guest);
}

std::string uuid_of(unsigned guest) {
  return fmt::format("11111111-2222-3333-4444-00000000000{}", guest);
}

MacAddress mac_of(unsigned guest, unsigned nic) {
  return *MacAddress::parse(fmt::format("52:54:00:12:0{}:0{}", guest, nic));
}

MacAddress standing_mac(unsigned which) {
  return *MacAddress::parse(fmt::format("52:54:00:34:00:0{}", which));
}

std::string standing_name(unsigned which) {
  return fmt::format("stand{}", which);
}

std::string device_name(unsigned guest, unsigned nic, bool premade) {
  return fmt::format("{}{}", premade ? "pre" : "macvtap", guest * kNics + nic);
}

std::optional<IpAddress> address_of(unsigned guest, unsigned nic, unsigned parent, bool v4, unsigned which) {
  const ParentPlan& plan = kPlans[parent];
  if (*(v4 ? plan.v4 : plan.v6) == 0) return std::nullopt;
  return ip(fmt::format("{}{}", v4 ? plan.v4 : plan.v6, 60 + guest * 20 + nic * 10 + which));
}

bool is_a_guests(const MacAddress& mac) {
  for (unsigned guest = 0; guest < kGuests; ++guest)
    for (unsigned nic = 0; nic < kNics; ++nic)
      if (mac_of(guest, nic) == mac) return true;
  return false;
}

bool is_a_guests(const IpAddress& address) {
  return !address.is_v4() || address.bytes().back() >= 60;
}

std::vector<IpAddress> given_by(unsigned guest, unsigned nic, unsigned parent, unsigned bits) {
  std::vector<IpAddress> given;
  const auto add = [&](const std::optional<IpAddress>& address) {
    if (address) given.push_back(*address);
  };
  if (bits & kGivenV4) add(address_of(guest, nic, parent, true, 0));
  if (bits & kGivenV6) add(address_of(guest, nic, parent, false, 0));
  // The host's own, a gateway's, one of another network's.
  if (bits & kGivenBad)
    given.push_back(ip(guest % 3 == 0   ? fmt::format("{}10", kPlans[parent].v4)
                       : guest % 3 == 1 ? fmt::format("{}1", kPlans[0].v4)
                                        : fmt::format("10.0.0.{}", 1 + guest)));
  if (bits & kGivenAnothers) add(address_of((guest + 1) % kGuests, 0, parent, true, 0));
  return given;
}

std::optional<IpAddress> announced_by(unsigned guest, unsigned nic, unsigned parent, unsigned which) {
  if (which == 3) return address_of((guest + 1) % kGuests, 0, parent, true, 1);
  return address_of(guest, nic, parent, which != 1, which == 2 ? 2 : 1);
}

std::vector<IpPrefix> numbered_on(unsigned parent) {
  std::vector<IpPrefix> addresses;
  for (const char* prefix : {kPlans[parent].v4, kPlans[parent].v6})
    if (*prefix) addresses.push_back(*IpPrefix::parse(fmt::format("{}9", prefix)));
  return addresses;
}

std::string domain_xml(const State& state, unsigned guest, const std::string& type) {
  const GuestState& it = state.guests[guest];
  std::string nics;
  for (unsigned i = 0; i < kNics; ++i)
    if (it.nics[i]) nics += nic_xml(*it.nics[i], mac_of(guest, i));
  return fmt::format(
      "<domain type='{}'{}><name>{}</name><uuid>{}</uuid>{}<memory>1024</memory><os><type "
      "arch='i686'>hvm</type></os><devices>{}</devices></domain>",
      type, type == "kvm" ? fmt::format(" id='{}'", 1 + guest) : "", guest_name(guest), uuid_of(guest),
      metadata_xml(it, guest), nics);
}

std::string node_xml(const State& state) {
  std::string domains;
  for (unsigned i = 0; i < kGuests; ++i)
    if (state.guests[i].running) domains += domain_xml(state, i, "test");
  return "<node>" + domains +
         "<cpu><mhz>1</mhz><model>x</model><active>1</active><nodes>1</nodes><sockets>1</sockets><cores>1</cores>"
         "<threads>1</threads></cpu><memory>1000000</memory></node>";
}

std::string config_text(const State& state) {
  constexpr std::array kLearn = {"yes", "strict", "no"};
  std::string text = fmt::format("learn = {}\nmax-addresses = {}\n", kLearn[state.learn], state.max_addresses);
  for (unsigned i = 0; i < kParents; ++i) {
    if (!state.off[i] && !state.numbered[i]) continue;
    text += fmt::format("[parent {}]\n", kPlans[i].name);
    if (state.off[i]) text += "host-access = no\n";
    if (!state.numbered[i]) continue;
    text += "address =";
    for (const auto& address : numbered_on(i)) text += " " + address.str();
    text += "\n";
  }
  for (unsigned i = 0; i < kGuests; ++i)
    if (!state.configured[i].empty())
      text += fmt::format("[guest {}]\n{} ={}\n", guest_name(i), mac_of(i, 0).str(), list(state.configured[i]));
  return text;
}

}  // namespace vmt::model
