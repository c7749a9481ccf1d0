// SPDX-License-Identifier: LGPL-2.1-or-later
// The configuration file: what the administrator has written down. No file is needed. Apart from config.h, because it
// needs Boost, which the privileged helper must not have.
//
//   host-access = no                       # for parents and guests that are not named below; default yes
//   learn = strict                         # yes (default): the watcher learns addresses; no; strict: not those of
//   guests
//                                          # that were given some
//   max-addresses = 8                      # that it learns of one NIC, 1 to 64
//   [parent eth0]
//   host-access = yes
//   learn = yes
//   address = 192.168.1.60/32 2001:db8::60 # numbered: guests reach the host here instead of at its usual address
//   [guest web]                            # by name, or by UUID
//   52:54:00:12:34:56 = 192.168.1.61 2001:db8::61
//   learn = no                             # of the NICs above
//
// Blanks or commas separate addresses; '#' starts a comment.
#pragma once

#include <expected>
#include <string_view>

#include "lib/config.h"
#include "lib/error.h"

namespace vmt {

inline constexpr const char* kConfigPath = "/etc/virt-macvtap.conf";

// Strict: an unknown section or key, a bad value, a duplicate key and an address given twice are errors of the form
// "FILE:LINE: what is wrong".
std::expected<Config, Error> parse_config(std::string_view text, std::string_view file);

// The defaults when there is no file. Regular files up to 1 MiB only.
std::expected<Config, Error> read_config(const char* path = kConfigPath);

}  // namespace vmt
