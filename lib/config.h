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

struct ParentConfig {
  std::optional<bool> host_access;
  std::vector<IpPrefix> addresses;  // at most one per family; empty: borrow the host's
};

struct Config {
  bool host_access = true;
  std::map<IfName, ParentConfig> parents;
  std::map<std::string, std::vector<GivenAddresses>, std::less<>> guests;  // key: name, or UUID in lower case

  bool host_access_on(const IfName& parent) const;
  // What the file gives a guest, by its name and by its UUID.
  std::vector<GivenAddresses> given_to(const Guest& guest) const;
};

}  // namespace vmt
