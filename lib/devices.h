// SPDX-License-Identifier: LGPL-2.1-or-later
// Standing macvtaps and macvlans: what each entry point wants, from question to plan, as host_access.h does for host
// access. Only devices of ours are ever changed or deleted; libvirt's, and everybody else's, are looked at.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "lib/guest.h"
#include "lib/host_access.h"

namespace vmt {

// Refuses names of libvirt's, settings that do not go together, a name twice and one that a link has. Where a parent's
// ifindex is missing, it is filled in; notes say what will keep the devices on it from the network: it is down, or
// wireless.
PlanResult plan_create(Kernel& kernel, std::span<const DeviceSpec> specs);
// All or nothing: a name that is not there, or not ours, is an error.
PlanResult plan_delete(Kernel& kernel, std::span<const IfName> names);
// `change.index` and `.macvtap` are filled in from the device of that name.
PlanResult plan_change(Kernel& kernel, const ChangeDevice& change);

// Who holds a device's tap, as people would name it ("PID 4711, qemu-system-x86"); nullopt: nobody.
using FindHolder = std::function<std::optional<std::string>(const Child&)>;
// All devices of ours in this namespace go, but for finished ones that somebody holds: those are noted.
PlanResult plan_clean_devices(Kernel& kernel, const FindHolder& find_holder);

// In order, up to the first that fails; then the devices that these changes have made go again, so that a command makes
// all of what was asked for or nothing. What apply_all() is to other plans.
std::vector<Error> create_all_or_none(Kernel& kernel, std::span<const Change> changes);

// A guest is about to start: the devices that its <target managed='no'> NICs wait for, where its metadata says on which
// parent. One that was made by hand is taken as it is, with a note; one that is another guest's is an error, and
// libvirt is to be told so.
PlanResult plan_devices_for(Kernel& kernel, const Guest& guest);
// The guest has stopped: its devices go, and unfinished ones of their names.
PlanResult plan_devices_gone(Kernel& kernel, const Guest& guest);
// Devices made for guests that are not among these, or that have no such NIC any more (a guest that was killed and runs
// again with another one), and unfinished ones, go. Only those whose ifindices are in `before`, of the devices that
// there were before somebody asked which guests run: a younger one may be of a guest that has started since. Each start
// has a new ifindex. A finished one that somebody holds stays, with a note: it is a guest's network, whatever libvirt
// answered (it may be another libvirt than the one that runs the guest), and neither libvirt nor QEMU would notice that
// it is gone.
PlanResult plan_stale_devices(Kernel& kernel, std::span<const Guest> running, std::span<const unsigned> before,
                              const FindHolder& find_holder);

}  // namespace vmt
