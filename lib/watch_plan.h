// SPDX-License-Identifier: LGPL-2.1-or-later
// What the watcher wants: host access for every bridge-mode macvtap there is, whoever made it. The watcher knows no
// domains; what the hook has pinned for a guest that is there stays.
#pragma once

#include <functional>
#include <set>
#include <vector>

#include "lib/desire.h"
#include "lib/host_access.h"
#include "lib/learning.h"

namespace vmt {

struct Watched {
  std::vector<Ground> grounds;  // each parent with a bridge-mode macvtap
  std::vector<LearnedAddress> learned;
  std::set<unsigned> lingering;  // parents whose shim stays for now, though nobody is on them
};

// Who a NIC belongs to; nullptr: nobody knows.
using FindGuest = std::function<const Guest*(const MacAddress&)>;

// The grounds out of all macvtaps. An error when the kernel could not be asked. Left out: parents that are gone, or are
// no parents for a shim; parents and guests that are switched off.
std::expected<std::vector<Ground>, Error> grounds_of(Kernel& kernel, std::span<const Child> children,
                                                     const Config& config, const FindGuest& find_guest);

std::vector<MacAddress> macs_on(std::span<const Ground> grounds);

// What is written down for the guests that are there, and what the hook has pinned for them.
std::vector<LearnedAddress> given_on(std::span<const Ground> grounds, const Owned& owned);

// What an earlier watcher has learned of the guests that are there.
std::vector<LearnedAddress> learned_on(std::span<const Ground> grounds, const Owned& owned);

// Adds to the NICs that somebody has named those that only the kernel shows, where there is a shim or comes to be one:
// as guests of the configuration, and all with what was learned from them, as far as they may learn.
void attach_seen(std::span<const Ground> grounds, const Owned& owned, Attachments& named);

// Everything: as plan_sync(), but for the guests that the kernel shows. `owned` is all that we own.
PlanResult plan_watch(Kernel& kernel, Owned owned, const Watched& watched, const Config& config);

// One address that was learned: asks for points only, so that it costs the same among thousands.
PlanResult plan_learned(Kernel& kernel, const LearnedAddress& learned, const Ground& ground, const Config& config);

}  // namespace vmt
