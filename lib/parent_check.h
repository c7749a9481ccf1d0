// SPDX-License-Identifier: LGPL-2.1-or-later
// Is this link fit to be the parent of a macvtap, and will it work there?
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "lib/error.h"
#include "lib/if_name.h"
#include "lib/rtnl_socket.h"

namespace vmt {

struct ParentLink {
  unsigned index = 0;
  IfName name;  // the kernel's own, when an alternative name was asked for
  // Sentences for people: it is down, has no carrier, or is wireless. Devices on it can be made all the same.
  std::vector<std::string> notes;
};

bool is_wireless(const IfName& name);

// An error for what the kernel would refuse with three words, and for a macvlan or macvtap: it would put the device
// beside that one, on the real parent, which is not what was asked for and may not be allowed.
std::expected<ParentLink, Error> check_parent(RtnlSocket& socket, const IfName& name);

}  // namespace vmt
