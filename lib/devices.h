// SPDX-License-Identifier: LGPL-2.1-or-later
// Standing macvtaps and macvlans: what each entry point wants, from question to plan, as host_access.h does for host
// access. Only devices of ours are ever changed or deleted; libvirt's, and everybody else's, are looked at.
#pragma once

#include <span>
#include <vector>

#include "lib/guest.h"
#include "lib/host_access.h"

namespace vmt {

// Refuses names of libvirt's, settings that do not go together, and a name twice. The parents' ifindices are filled in.
PlanResult plan_create(Kernel& kernel, std::span<const DeviceSpec> specs);
// All or nothing: a name that is not there, or not ours, is an error.
PlanResult plan_delete(Kernel& kernel, std::span<const IfName> names);
// `change.index` and `.macvtap` are filled in from the device of that name.
PlanResult plan_change(Kernel& kernel, const ChangeDevice& change);

// A guest is about to start: the devices that its <target managed='no'> NICs wait for, where its metadata says on which
// parent. One that was made by hand is taken as it is, with a note; one that is another guest's is an error, and
// libvirt is to be told so.
PlanResult plan_devices_for(Kernel& kernel, const Guest& guest);
// The guest has stopped: its devices go.
PlanResult plan_devices_gone(Kernel& kernel, const Guest& guest);
// Devices made for guests that are not among these, and unfinished ones, go. Only those whose ifindices are in
// `before`, of the devices that there were before somebody asked which guests run: a younger one may be of a guest that
// has started since. Each start has a new ifindex.
PlanResult plan_stale_devices(Kernel& kernel, std::span<const Guest> running, std::span<const unsigned> before);

}  // namespace vmt
