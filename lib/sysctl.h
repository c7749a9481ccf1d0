// SPDX-License-Identifier: LGPL-2.1-or-later
// Per-device settings that only /proc/sys/net has.
#pragma once

#include <string>

#include "lib/error.h"
#include "lib/if_name.h"

namespace vmt {

// The IPv6 half of the unnumbered shim's recipe; netlink takes the IPv4 half (request::quiet_shim). The source gives
// each one's reason. False: the host has no IPv6, and there is nothing to set.
std::expected<bool, Error> write_shim_sysctls(const IfName& link);

// No IPv6 of the host's on a guest's device: its link-local address would be a duplicate of the guest's, and each new
// device's multicast would go to all its siblings. Fine where the host has no IPv6.
Status disable_ipv6(const IfName& link);
// The same for all links that a network namespace is yet to get.
Status disable_ipv6_by_default();

}  // namespace vmt
