// SPDX-License-Identifier: LGPL-2.1-or-later
// What is stacked on a link: netlink has no question for it but the list of all links, sysfs has.
#pragma once

#include <optional>
#include <vector>

#include "lib/if_name.h"

namespace vmt {

// The names of the links on this one, of whatever kind: macvtaps, VLANs, a bridge. nullopt: sysfs does not tell, or it
// is another network namespace's, where `known`, which is on the link, is not to be found.
std::optional<std::vector<IfName>> upper_links(const IfName& link, const IfName& known);

}  // namespace vmt
