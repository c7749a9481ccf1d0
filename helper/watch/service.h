// SPDX-License-Identifier: LGPL-2.1-or-later
// What systemd is told about the service: sd_notify(3)'s protocol, one datagram. Not libsystemd's: linking it would
// make the start of every other command slower.
#pragma once

#include <string_view>

#include "lib/error.h"

namespace vmt::watch {

// "READY=1", "RELOADING=1", "STATUS=...", "STOPPING=1"; several, each on a line of its own. Nothing happens where
// nobody wants to know ($NOTIFY_SOCKET). Never waits: a state that does not fit into the receiver's queue is an error.
Status notify(std::string_view state);

}  // namespace vmt::watch
