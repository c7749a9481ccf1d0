// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/config.h"

#include <fmt/core.h>

#include <utility>

#include "lib/algorithm.h"

namespace vmt {

Status check_shim_addresses(const std::vector<IpPrefix>& addresses) {
  bool seen[2] = {};
  for (const auto& own : addresses) {
    if (const auto why = own.address.why_not_a_guests(); !why.empty())
      return fail(invalid(fmt::format("address {} {}", own.address.str(), why)));
    if (std::exchange(seen[own.address.is_v4()], true))
      return fail(invalid(fmt::format("address {}: a second one of its family", own.str())));
  }
  return {};
}

bool Config::host_access_on(const IfName& parent) const {
  const auto it = parents.find(parent);
  return it == parents.end() ? host_access : it->second.host_access.value_or(host_access);
}

std::vector<IpPrefix> Config::shim_addresses(const IfName& parent) const {
  const auto it = parents.find(parent);
  return it == parents.end() ? std::vector<IpPrefix>{} : it->second.addresses;
}

LearnMode Config::learning(const IfName& parent, const NicConfig* written, const Guest* guest) const {
  if (guest != nullptr)
    for (const auto& key : {guest->name, guest->uuid ? guest->uuid->str() : std::string{}})
      if (const auto it = guests.find(key); it != guests.end() && it->second.learn) return *it->second.learn;
  if (written != nullptr && written->learn) return *written->learn;
  const auto it = parents.find(parent);
  return it == parents.end() ? learn : it->second.learn.value_or(learn);
}

std::map<MacAddress, NicConfig> Config::nics() const {
  std::map<MacAddress, NicConfig> all;
  for (const auto& [name, guest] : guests)
    for (const auto& [mac, addresses] : guest.given) {
      NicConfig& nic = all[mac];
      nic.given.insert(nic.given.end(), addresses.begin(), addresses.end());
      if (guest.learn) nic.learn = guest.learn;
    }
  return all;
}

std::vector<GivenAddresses> Config::given_to(const Guest& guest) const {
  std::vector<GivenAddresses> all;
  const auto append = [&](std::string_view key) {
    if (const auto it = guests.find(key); it != guests.end())
      all.insert(all.end(), it->second.given.begin(), it->second.given.end());
  };
  append(guest.name);
  if (guest.uuid) append(guest.uuid->str());
  return all;
}

}  // namespace vmt
