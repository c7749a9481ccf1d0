// SPDX-License-Identifier: LGPL-2.1-or-later
// Which macvtaps and macvlans are there, in this namespace and in others, and whose is each?
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "lib/guest.h"
#include "lib/rtnl_kernel.h"

namespace vmt::cli {

struct Links {
  std::vector<Child> all;
  bool complete = true;  // false: the caller may not look into other namespaces, and has this one's only
};

inline constexpr std::string_view kIncomplete = "devices in other network namespaces are left out (run as root)";

std::expected<Links, Error> all_links(RtnlKernel& kernel);

// libvirt's guest that has this device, by the tag, the MAC, or (in our namespace) the name; nullptr: none of these.
const Guest* guest_of(const Child& link, const std::vector<Guest>& guests);

}  // namespace vmt::cli
