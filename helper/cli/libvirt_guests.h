// SPDX-License-Identifier: LGPL-2.1-or-later
// Which guests does libvirt run?
#pragma once

#include <chrono>
#include <expected>
#include <string>
#include <vector>

#include "lib/error.h"
#include "lib/guest.h"

namespace vmt::cli {

// Longer than our hook may hold a domain (10 s).
inline constexpr std::chrono::seconds kLibvirtPatience{15};

struct RunningGuests {
  std::vector<Guest> guests;
  std::vector<std::string> notes;  // what their XML says that makes no sense
};

// All running guests or none: an answer with a hole would make `sync` take a running guest's host access
// away. Takes `patience` at most. Must not be called with the lock held (lib/lock.h): libvirt holds a domain while
// our hook waits for the lock, and answers no question about that domain meanwhile.
std::expected<RunningGuests, Error> running_guests(const std::string& uri,
                                                   std::chrono::milliseconds patience = kLibvirtPatience);

}  // namespace vmt::cli
