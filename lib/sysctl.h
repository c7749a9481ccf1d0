// SPDX-License-Identifier: LGPL-2.1-or-later
// Per-device settings that only /proc/sys/net has.
#pragma once

#include <string>

#include "lib/error.h"
#include "lib/if_name.h"

namespace vmt {

// Writes the recipe of the unnumbered shim for `link` (see shim_sysctls in the source for each one's reason). IPv6 is left
// out on a host that has none.
Status write_shim_sysctls(const IfName& link);

}  // namespace vmt
