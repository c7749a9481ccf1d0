// SPDX-License-Identifier: LGPL-2.1-or-later
// Per-device settings that only /proc/sys/net has.
#pragma once

#include <string>

#include "lib/error.h"
#include "lib/if_name.h"

namespace vmt {

// The IPv6 half of the unnumbered shim's recipe, for a link on a host that has IPv6; netlink takes the IPv4 half
// (request::quiet_shim). The source gives each one's reason.
// `takes_ra`: accept_ra is 2 now. Any other value is off already once the link forwards.
Status write_shim_sysctls(const IfName& link, bool takes_ra);

}  // namespace vmt
