// SPDX-License-Identifier: LGPL-2.1-or-later
// Macvtaps and macvlans over one rtnetlink socket: creating, listing, deleting. RtnlKernel and the privileged helper,
// which needs no plan, both go through here.
#pragma once

#include <chrono>
#include <expected>
#include <span>
#include <string_view>
#include <vector>

#include "lib/kernel.h"
#include "lib/rtnl_decode.h"
#include "lib/rtnl_monitor.h"
#include "lib/rtnl_socket.h"

namespace vmt {

// A device whose namespace has just died holds its MAC for 7 to 200 ms more, and in passthru mode its parent.
inline constexpr std::chrono::milliseconds kPatienceWithTheGoing{1000};

std::expected<LinkAnswer, Error> read_link(RtnlSocket& socket, const NlMsg& query, std::string_view operation);
// The macvlans or macvtaps ("kind") in the caller's namespace, or in one that it has a number for.
std::expected<std::vector<LinkAnswer>, Error> read_links(RtnlSocket& socket, const char* kind,
                                                         std::optional<int> nsid = std::nullopt);
std::expected<std::vector<int>, Error> read_nsids(RtnlSocket& socket);
// The number that the socket's namespace has in itself, by which the kernel says "the parent is in yours"; nullopt:
// none yet, or we may not know, and then we may not look into other namespaces either. An error: nobody knows.
std::expected<std::optional<int>, Error> own_nsid(RtnlSocket& socket);
// Of a link in the socket's namespace; nullopt: not a macvlan or macvtap.
std::optional<Child> child_of(const LinkAnswer& link);
// Macvtaps and macvlans in all namespaces that the socket's has a number for, the socket's own left out. One that
// dies meanwhile is left out, too. `parent` is 0 where the parent is not in the socket's namespace. `socket` must have
// been opened with CAP_NET_ADMIN: for looking into a namespace the kernel asks what its opener could do, not only what
// its user can; kPermission otherwise.
//
// The kernel numbers the namespace of each parent that it names to us, so asking leaves a number where there was none:
// our own namespace's, once there is a device elsewhere on a parent of ours, and that of a parent that is in a third
// one. There is no query that names parents and does not; a number costs nothing (device_facts_test).
std::expected<std::vector<Child>, Error> children_elsewhere(RtnlSocket& socket);

// In the caller's namespace, complete or not at all; see CreateDevice. One that is there already and is ours and
// unfinished (a creation that was killed) is replaced.
Status create_standing(RtnlSocket& socket, const DeviceSpec& spec, const DeviceUse& use);

// Creates the device in the namespace of the thread `inside` (0: in the socket's), up if asked for. While another
// device on the parent is up with the MAC, or a self-removing one and this one exclude each other, it waits for changes
// of the parent, kPatienceWithTheGoing at most. The error says why, where the kernel's words do not: a port of a
// bridge, a parent in passthru mode, ...
Status create_device_in(RtnlSocket& socket, const DeviceSpec& spec, unsigned index, pid_t inside, bool up);
// `inside` is a socket of the namespace that the device is in.
Status bring_up(RtnlSocket& inside, const IfName& name, unsigned index);

Status change_device(RtnlSocket& socket, const ChangeDevice& change);
// By regrouping them, at no cost, and deleting the group: in chunks, as the kernel's lock is held meanwhile.
Status delete_devices(RtnlSocket& socket, std::span<const DeleteDevices::Device> devices);

}  // namespace vmt
