// SPDX-License-Identifier: LGPL-2.1-or-later
// A guest's end on a busy host: what its marks name goes, asked for by a few points, so that it costs the same beside
// one guest as beside thousands.
#pragma once

#include <expected>
#include <optional>

#include "lib/config.h"
#include "lib/guest.h"
#include "lib/host_access.h"
#include "lib/kernel.h"

namespace vmt {

// What plan_stop() would say, as far as the guest's start has left marks that name all of it. nullopt: ask plan_stop();
// for a guest that was not started with host access, was given other addresses meanwhile, shares its MAC with another
// domain's, or is the last one on its parent. What a watcher has learned of it is not in its marks: a running watcher
// forgets that by itself, and after one that runs no more it takes plan_stop().
std::expected<std::optional<Planned>, Error> plan_marked_stop(Kernel& kernel, const Guest& guest, const Config& config,
                                                              IdleShims idle = IdleShims::kGo);

}  // namespace vmt
