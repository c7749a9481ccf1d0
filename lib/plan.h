// SPDX-License-Identifier: LGPL-2.1-or-later
// Deciding, second half: the changes that lead from what we own to what we want to own. Pure; a dry run stops here.
#pragma once

#include <span>
#include <vector>

#include "lib/kernel.h"
#include "lib/objects.h"

namespace vmt {

// What is in `owned` and not in `desired` goes, what is in `desired` and not in `owned` comes, in the one order that
// works: routes before the neighbours that explain them, a shim before what sits on it. Empty when both agree.
// `owned` must hold only what may go: narrow it with a Scope or with leaving().
std::vector<Change> plan(const Desired& desired, const Owned& owned);

// What goes when the NICs with these MACs have gone: their neighbours and routes, and each shim that nobody needs then.
// `children` are the macvtaps that are left: one with a leaver's MAC is another guest's (a clone that could not start,
// or was never direct), which keeps its share. A shim is needed while it was made by hand, carries a route made by hand
// or another MAC's neighbour, or while a bridge-mode macvtap is on its parent.
Owned leaving(const Owned& owned, std::span<const Child> children, std::span<const MacAddress> macs);

}  // namespace vmt
