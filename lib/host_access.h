// SPDX-License-Identifier: LGPL-2.1-or-later
// Host access for guests: what each entry point (a hook call, a command) wants, from question to plan. Each reads the
// kernel and decides; nothing is changed before apply_all(). Callers hold the lock (lib/lock.h) around both.
#pragma once

#include <expected>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "lib/config.h"
#include "lib/guest.h"
#include "lib/kernel.h"

namespace vmt {

struct Planned {
  std::vector<Change> changes;
  std::vector<std::string> notes;                 // sentences for the log: what will not work, and why
  std::map<IpAddress, std::string> refused = {};  // addresses that no guest gets, with the notes that say why
};

using PlanResult = std::expected<Planned, Error>;

// A guest starts, or is found running after the daemon's restart. Asks for points only, so that its cost does not grow
// with the number of guests; a stale entry elsewhere is plan_sync()'s.
PlanResult plan_start(Kernel& kernel, const Guest& guest, const Config& config);

// A guest has stopped and the macvtaps that libvirt made for it are gone (`release`); pre-made ones may be there still.
// Goes by MAC alone: the XML has forgotten the resolved parent.
// `idle`: a shim that nobody needs then goes, or is left to a watcher, which gives the guest some time to come back.
enum class IdleShims { kGo, kStay };
PlanResult plan_stop(Kernel& kernel, const Guest& guest, IdleShims idle = IdleShims::kGo);

// A guest is about to take a parent for itself (passthrough): an idle shim on it has to go, or the kernel refuses the
// macvtap, libvirt's or ours (plan_devices_for), with EINVAL.
PlanResult plan_make_way(Kernel& kernel, const Guest& guest);

// All running guests, as the one truth: what is missing comes, what nobody needs goes, what was made by hand stays. So
// does what the watcher has made for guests that libvirt does not know: `children` are the macvtaps there are, in this
// namespace and in others, and a parent's shim and the addresses learned from it stay while one in bridge mode is on
// it. A guest that is switched off counts as none.
PlanResult plan_sync(Kernel& kernel, std::span<const Guest> guests, const Config& config,
                     std::span<const Child> children);

// Everything of ours goes.
PlanResult plan_clean(Kernel& kernel);

// Host access without libvirt.
struct ManualGuest {
  IpAddress address;
  std::optional<MacAddress> mac = {};  // nullopt: the one that is known already, or none
};
struct ManualRequest {
  IfName parent;
  std::vector<ManualGuest> guests;
  std::vector<IpPrefix> addresses;  // numbered shim
};
// Unlike a guest's start, a refused address is an error here: somebody typed it.
PlanResult plan_host_up(Kernel& kernel, const ManualRequest& request);
// With guests: their routes; without: all that `host up` made on the parent, and the shim unless guests need it.
PlanResult plan_host_down(Kernel& kernel, const ManualRequest& request);

// Every change, in order; what cannot be done is returned and what depends on it left out. Empty: all done.
std::vector<Error> apply_all(Kernel& kernel, std::span<const Change> changes);

}  // namespace vmt
