// SPDX-License-Identifier: LGPL-2.1-or-later
// Which guest has an address? Each is asked alone, over the shim, so that the LAN hears nothing of it.
#pragma once

#include <expected>
#include <map>
#include <vector>

#include "lib/error.h"
#include "lib/ip_address.h"
#include "lib/mac_address.h"

namespace vmt::cli {

struct GuestQuestions {
  unsigned shim = 0;  // ifindex
  MacAddress shim_mac;
  std::map<IpAddress, IpAddress> wanted;  // a guest's address, and the host's that asks for it
  std::vector<MacAddress> guests;         // on the shim's parent
};

// The answers that came within some tenths of a second, at once when all are there. Whom a guest's stack does not
// answer, or nobody has, is left out. Needs CAP_NET_RAW.
std::expected<std::map<IpAddress, MacAddress>, Error> ask_guests(const GuestQuestions& questions);

}  // namespace vmt::cli
