// SPDX-License-Identifier: LGPL-2.1-or-later
// The character device of a macvtap: finding it, proving that it is the right one, opening it.
//
// devtmpfs names a node after the ifindex ("/dev/tap7") and knows no namespaces: a second macvtap with that ifindex in
// another namespace gets no node of its own, and opening the name attaches to the first one's device. Every open is a
// live queue that swallows a share of the traffic, so nothing is opened that is not known to be right
// (device_facts_test).
#pragma once

#include <sys/types.h>

#include <expected>
#include <string>
#include <vector>

#include "lib/device.h"
#include "lib/error.h"
#include "lib/fd.h"
#include "lib/if_name.h"

namespace vmt {

// "/dev/tap7"
std::string tap_path(unsigned index);

// The device number that sysfs tells for the macvtap in the caller's network namespace, whose ifindex is
// unique_index()'s. Where /sys is another namespace's it asks a sysfs of that very namespace, mounted nowhere, which
// needs CAP_SYS_ADMIN.
std::expected<dev_t, Error> tap_number(const IfName& name, unsigned index);
// The same for many: the sysfs is mounted once.
std::expected<Fd, Error> own_sysfs();
std::expected<dev_t, Error> tap_number(const Fd& sysfs, const IfName& name, unsigned index);

// Whether /dev/tapN is there, whatever it is. True as well where that cannot be told.
bool has_tap_node(unsigned index);
// Makes /dev/tapN be this device's: leaves a right one, makes a missing one (a container's /dev has none), refuses a
// foreign one with kExists. Then gives it to its owner. `was_there`: has_tap_node() before the device was made. A node
// that was not has come with the device; else sysfs tells whose it is, which costs an eighth of making a device.
Status prepare_tap_node(const IfName& name, unsigned index, const std::optional<NodeOwner>& owner, bool was_there);

// Behind the device: what devtmpfs has not taken along by itself, because create has made it in a /dev of another kind.
// It would be the tap of whatever device gets the same minor number next. Only of a unique_index(): another namespace
// may have a device, and so a node, with any other.
void remove_tap_node(unsigned index);

struct TapOptions {
  unsigned queues = 1;      // 1 to kMaxQueues
  bool vnet_header = true;  // IFF_VNET_HDR, which the kernel has on by default
};

// One fd for each queue, close-on-exec, of the macvtap in the caller's network namespace. The name must be
// unique_name()'s or the node prepare_tap_node()'s: it is read back from each fd.
std::expected<std::vector<Fd>, Error> open_queues(const IfName& name, unsigned index, const TapOptions& options);

}  // namespace vmt
