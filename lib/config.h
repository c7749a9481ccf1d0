// SPDX-License-Identifier: LGPL-2.1-or-later
// What the administrator may decide; every member has a working default.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/guest.h"

namespace vmt {

// A shim's own addresses (numbered strategy): ordinary unicast addresses, at most one per family.
Status check_shim_addresses(const std::vector<IpPrefix>& addresses);

// Whether the watcher learns addresses from guests.
enum class LearnMode {
  kYes,
  kStrict,  // a guest that was given addresses is held to them
  kNo,      // only given addresses count
};

struct ParentConfig {
  std::optional<bool> host_access;
  std::optional<LearnMode> learn;
  std::vector<IpPrefix> addresses;  // at most one per family; empty: borrow the host's
};

struct GuestConfig {
  std::optional<LearnMode> learn;
  std::vector<GivenAddresses> given;
};

struct NicConfig {
  std::vector<IpAddress> given;
  std::optional<LearnMode> learn;
};

inline constexpr unsigned kMostAddresses = 64;  // that `max-addresses` may allow

struct Config {
  bool host_access = true;
  LearnMode learn = LearnMode::kYes;
  unsigned max_addresses = 8;  // learned ones, of one NIC
  std::map<IfName, ParentConfig> parents;
  std::map<std::string, GuestConfig, std::less<>> guests;  // key: name, or UUID in lower case

  bool host_access_on(const IfName& parent) const;
  // The numbered shim's; empty: it borrows the host's.
  std::vector<IpPrefix> shim_addresses(const IfName& parent) const;
  // The guest's own section counts before the one that only names the NIC's MAC (`written`, out of nics()), and that
  // before the parent's. nullptr: there is none that is known.
  LearnMode learning(const IfName& parent, const NicConfig* written, const Guest* guest) const;
  // What the file says about each NIC that it names by its MAC, whoever's that is: the watcher may know no names.
  std::map<MacAddress, NicConfig> nics() const;
  // What the file gives a guest, by its name and by its UUID.
  std::vector<GivenAddresses> given_to(const Guest& guest) const;
};

}  // namespace vmt
