// SPDX-License-Identifier: LGPL-2.1-or-later
// What can happen to a host, as one line of text each, and random sequences of it. Pure.
//
// A step names its objects by small numbers, which the world takes modulo what there is. A step that makes no sense
// where it stands (a stop of a guest that does not run) does nothing: so any part of a sequence is a sequence.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "lib/error.h"

namespace vmt::model {

enum class Kind {
  // ---- guests, as libvirt lets them live: the order of its hook calls and of what it does to their macvtaps ----
  kStart,       // guest, parent, NicKind, Given bits
  kStop,        // guest
  kKill,        // guest: gone with its macvtaps, and no hook is called
  kPlug,        // guest, parent, Given bits: no hook is called
  kUnplug,      // guest
  kPause,       // guest: its macvtaps are down
  kResume,      // guest
  kMigrateIn,   // as kStart, and its macvtaps stay down until kResume
  kMigrateOut,  // guest
  kReconnect,   // libvirtd was restarted
  kAnnounce,    // guest, NIC, which address: it says so, now and when nobody seems to know it
  kForsake,     // guest, NIC: it gives up the addresses that it has announced
  // ---- what the administrator writes down ----
  kConfigGiven,     // guest: addresses for its first NIC, or none
  kConfigOff,       // parent: host-access, no or yes
  kConfigLearn,     // 0 yes, 1 strict, 2 no
  kConfigMax,       // max-addresses
  kConfigNumbered,  // parent: the shim has an address, or borrows one
  // ---- what the administrator types ----
  kSync,
  kClean,
  kHostUp,    // parent, which address
  kHostDown,  // parent
  kCreate,    // which, parent
  kDelete,    // which
  kWatch,
  kWatchTerm,
  kWatchKill,
  // ---- what everybody else does to the host ----
  kDeleteRoute,       // one of ours
  kDeleteNeighbour,   // one of ours
  kFlushRoutes,       // all of ours
  kDeleteShim,        // one of ours
  kMeddle,            // with one of our shims; how
  kRenameShim,        // one of ours
  kRenameParent,      // parent: another name, or its own again
  kAddAddress,        // parent: the host gets a second prefix, or loses it
  kMoveAddress,       // parent: the host gets another address instead of its usual one, or that one again
  kParentDown,        // parent: down, or up again
  kCable,             // parent: no carrier, or carrier again
  kForeignRoute,      // guest, family: a route to one of its addresses, or none
  kForeignNeighbour,  // guest: a permanent neighbour entry on the shim
  kForeignShim,       // parent: a device with the name that a shim has, or none
  kForeignMacvlan,    // parent: one that looks as a shim, or none
  // ---- a moment to look at it all: with a watcher when it has settled, without after a `sync` ----
  kSettle,
  kLinger,  // until no shim waits for guests any more
};

struct Step {
  Kind kind = Kind::kSettle;
  std::array<unsigned, 4> what{};

  bool operator==(const Step&) const = default;
};

// Of a guest's NIC. Most are the first.
enum class NicKind { kBridge, kVepa, kPrivate, kPassthru, kPremade };
inline constexpr unsigned kNicKinds = 5;

// Of a guest's metadata.
inline constexpr unsigned kGivenV4 = 1, kGivenV6 = 2, kGivenBad = 4, kGivenAnothers = 8, kSwitchedOff = 16;

// "start 0 1 0 3"; what stands behind a '#' is a comment.
std::string to_text(const Step& step);
std::expected<std::vector<Step>, Error> parse_steps(std::string_view text);

// The same for the same seed, everywhere.
std::vector<Step> generate(std::uint64_t seed, std::size_t count);

}  // namespace vmt::model
