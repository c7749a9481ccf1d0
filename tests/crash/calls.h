// SPDX-License-Identifier: LGPL-2.1-or-later
// Which system calls are worth a crash, and how may each of them fail?
#pragma once

#include <span>
#include <string>

namespace vmt::crash {

// "sendmsg"; the number where we have no name for it.
std::string call_name(long number);

// False for calls that change nothing outside the process and wait for nobody: memory, signals, identity, clocks, file
// attributes. A crash there leaves the same world as one at the next call that counts.
bool counts(long number);

// Of EINTR, ENOBUFS, EBUSY, EPERM, ENOMEM and ENODEV those that the call can fail with, on some file or at some time;
// positive. None for close(), whose error tells nothing that anybody could act on.
std::span<const int> errors_of(long number);

}  // namespace vmt::crash
