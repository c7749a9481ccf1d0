// SPDX-License-Identifier: LGPL-2.1-or-later
// From NICs that are to have host access to a plan: what host_access.h and watch_plan.h have in common.
#pragma once

#include "lib/desire.h"
#include "lib/host_access.h"
#include "lib/kernel.h"

namespace vmt {

// What a plan for all of the host is made from, beside the NICs: all that we own, and what of it stays anyway.
struct Whole {
  Owned owned;
  Desired kept;
};

// Whether it has been decided already who may have an address that two guests claim.
enum class Contention { kLook, kDecided };

// nullptr: for these NICs alone, which adds to what is there and takes nothing from others.
PlanResult plan_attachments(Kernel& kernel, Attachments wanted, const Config& config, const Whole* whole,
                            Contention contention = Contention::kLook);

// The MAC that `host up` was told, or found out; nullopt: neither. `shim`: ifindex.
std::optional<MacAddress> manual_mac(const Owned& owned, unsigned shim, const IpAddress& guest);

// What was made by hand, as a wish: so a plan for all repairs it and takes nothing of it away.
std::expected<Desired, Error> manual_desire(Kernel& kernel, const Owned& owned);

}  // namespace vmt
