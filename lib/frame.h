// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once
#include "lib/ip_address.h"
#include "lib/mac_address.h"
namespace vmt {
struct Heard {
  enum class Kind { kClaim, kLease };
  Kind kind;
  MacAddress mac;
  IpAddress address;
};
}  // namespace vmt
