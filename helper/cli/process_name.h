// SPDX-License-Identifier: LGPL-2.1-or-later
// What does a process that runs a guest call it?
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lib/tap_holders.h"

namespace vmt::cli {

// The value of QEMU's -name, which is "web" or "guest=web,debug-threads=on"; nullopt when there is none. `command_line`
// is as in /proc/PID/cmdline: each word ends with a NUL.
std::optional<std::string> name_in_command_line(std::string_view command_line);

// That of the process's own words, else the command's. Anybody can call his process as he likes.
std::string guest_name_of(const TapHolder& holder);

}  // namespace vmt::cli
