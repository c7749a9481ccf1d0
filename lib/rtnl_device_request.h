// SPDX-License-Identifier: LGPL-2.1-or-later
// Building rtnetlink requests about macvtaps, macvlans and the namespaces they are in; rtnl_request.h has the others.
#pragma once

#include <sys/types.h>

#include "lib/device.h"
#include "lib/kernel.h"
#include "lib/rtnl_request.h"

namespace vmt::request {

// Everything that the kernel takes at creation, in one request: its list of a parent's devices is linear, and each
// later change walks it again. Allmulticast from the start: a guest's multicast groups are invisible to the macvtap,
// and without it IPv6 neighbour discovery does not reach the guest (device_facts_test). It comes to be in the
// namespace that the thread `inside` is in, or, when that is 0, in the socket's, which the parent is in in both cases.
NlMsg new_device(const DeviceSpec& spec, unsigned index, pid_t inside, bool up);
// The alias and up, in one request.
NlMsg finish_device(unsigned index, std::string_view alias, bool up);
NlMsg change_device(const ChangeDevice& change);

NlMsg regroup(unsigned index, std::uint32_t group);
NlMsg delete_group(std::uint32_t group);

// Gives the thread's namespace a number in the socket's, by which links_of_kind_in() finds it. It goes with the
// namespace.
NlMsg new_nsid(pid_t inside);
NlMsg nsids();
NlMsg nsid(int nsid);      // is there one with this number?
NlMsg nsid_of(int netns);  // that of one namespace; the answer is -1 when it has none
NlMsg links_of_kind_in(int nsid, const char* kind);

}  // namespace vmt::request
