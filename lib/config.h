// SPDX-License-Identifier: LGPL-2.1-or-later
// What the administrator has written into /etc/virt-macvtap.conf. Everything has a working default; no file is needed.
//
//   host-access = no                       # for parents and guests that are not named below; default yes
//   [parent eth0]
//   host-access = yes
//   address = 192.168.1.60/32 2001:db8::60 # numbered: guests reach the host here instead of at its usual address
//   [guest web]                            # by name, or by UUID
//   52:54:00:12:34:56 = 192.168.1.61 2001:db8::61
//
// Blanks or commas separate addresses; '#' starts a comment.
#pragma once

#include <expected>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lib/error.h"
#include "lib/guest.h"

namespace vmt {

inline constexpr const char* kConfigPath = "/etc/virt-macvtap.conf";

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

// Strict: an unknown section or key, a bad value, a duplicate key and an address given twice are errors of the form
// "FILE:LINE: what is wrong".
std::expected<Config, Error> parse_config(std::string_view text, std::string_view file);

// The defaults when there is no file. Regular files up to 1 MiB only.
std::expected<Config, Error> read_config(const char* path = kConfigPath);

}  // namespace vmt
