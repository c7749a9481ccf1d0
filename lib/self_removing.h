// SPDX-License-Identifier: LGPL-2.1-or-later
// A macvtap that goes with its last tap fd.
//
// It is made in a network namespace of its own, and its tap opened inside. A tap's socket keeps the namespace of
// whoever opened it alive: when the last fd closes, however its holder dies, the namespace goes and the macvtap with
// it. Nothing is left to be cleaned, ever, and no other program (NetworkManager, udev) sees the device.
#pragma once

#include <expected>
#include <vector>

#include "lib/device.h"
#include "lib/error.h"
#include "lib/fd.h"
#include "lib/rtnl_socket.h"
#include "lib/tap_node.h"

namespace vmt {

struct SelfRemoving {
  IfName name;  // in the namespace of its own
  unsigned index = 0;
  std::optional<MacAddress> mac;  // nullopt: passthru, the parent's
  std::vector<Fd> queues;         // close-on-exec
};

// What else has to be done while inside, with the device up: a packet socket, say.
using WhileInside = std::function<Status(const SelfRemoving&)>;

// `spec.name` is not looked at: the device gets a unique one. Without a MAC (and not in passthru mode) it gets a random
// one that nobody on the parent has. `socket` is one of the parent's namespace, which the caller is in, before and
// after. On an error nothing is left.
std::expected<SelfRemoving, Error> create_self_removing(RtnlSocket& socket, const DeviceSpec& spec, uid_t user,
                                                        const TapOptions& options, const WhileInside& inside = {});

}  // namespace vmt
