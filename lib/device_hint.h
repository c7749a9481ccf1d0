// SPDX-License-Identifier: LGPL-2.1-or-later
// Why did the kernel refuse? It says "Invalid argument" and "Device or resource busy" for a dozen reasons; these look
// at the parent and its devices afterwards and name the one that fits, with its cure. Empty: the kernel's words will
// do.
#pragma once

#include <string>

#include "lib/kernel.h"
#include "lib/rtnl_decode.h"
#include "lib/rtnl_socket.h"

namespace vmt {

// It cannot have devices: it is a port of something, which is to be used instead, or no Ethernet link.
std::string why_no_parent(RtnlSocket& socket, const LinkAnswer& link);

// Whether what the kernel refused may be possible in a moment. Passthru and everything else exclude each other, and a
// self-removing device stays for a while after its last user, seen by nobody once its namespace has no number any more.
bool may_be_going(RtnlSocket& socket, const DeviceSpec& spec, const Error& error);

std::string why_not_created(RtnlSocket& socket, const DeviceSpec& spec);
// `kind`: what the kernel said; kInUse is about the MAC and nothing else is.
std::string why_not_up(RtnlSocket& socket, const DeviceSpec& spec, ErrorKind kind);
std::string why_not_changed(RtnlSocket& socket, const ChangeDevice& change, ErrorKind kind);

}  // namespace vmt
