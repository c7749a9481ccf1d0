// SPDX-License-Identifier: LGPL-2.1-or-later
// A program may be started with its standard input, output or errors closed. What it opens next gets their numbers, and
// what it says is written into that: a lock, a socket.
#pragma once

namespace vmt {

// Opens /dev/null in the place of each that is closed, close-on-exec: what the program becomes finds it closed again.
// False when that cannot be done: nothing should be opened then.
bool fill_standard_fds();

}  // namespace vmt
