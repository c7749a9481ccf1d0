// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/self_removing.h"

#include <fmt/core.h>

#include "lib/netns.h"
#include "lib/rtnl_device.h"
#include "lib/rtnl_device_request.h"
#include "lib/sysctl.h"

namespace vmt {
namespace {

// The caller is inside.
Status complete(RtnlSocket& outside, const DeviceSpec& spec, const TapOptions& options, SelfRemoving& device) {
  if (auto status = disable_ipv6_by_default(); !status) return status;
  // A passthru device that is made allmulticast while it goes up leaves its parent so for ever (device_facts_test): it
  // goes up afterwards. It has no MAC of its own to be in use.
  const bool at_once = spec.mode != MacvlanMode::kPassthru;
  if (auto status = create_device_in(outside, spec, device.index, NewNetns::thread(), at_once); !status) return status;
  if (!at_once) {
    auto socket = RtnlSocket::open();
    if (!socket) return fail(socket.error());
    if (auto status = bring_up(*socket, spec.name, device.index); !status) return status;
  }
  auto queues = open_queues(spec.name, device.index, options);
  if (!queues) return fail(queues.error());
  device.queues = std::move(*queues);
  // From here on `list` sees it; the number goes with the namespace.
  return outside.request(request::new_nsid(NewNetns::thread()), "number the network namespace of " + spec.name.str());
}

std::expected<SelfRemoving, Error> create_once(RtnlSocket& socket, const DeviceSpec& spec, const TapOptions& options,
                                               const WhileInside& inside) {
  SelfRemoving device{.name = spec.name, .index = unique_index(), .mac = spec.mac, .queues = {}};
  auto outside = socket.netns();
  if (!outside) return fail(outside.error());
  auto netns = NewNetns::enter(std::move(*outside));
  if (!netns) return fail(netns.error());
  if (auto status = complete(socket, spec, options, device); !status) return fail(status.error());
  if (inside)
    if (auto status = inside(device); !status) return fail(status.error());
  if (auto status = netns->leave(); !status) return fail(status.error());
  return device;
}

}  // namespace

std::expected<SelfRemoving, Error> create_self_removing(RtnlSocket& socket, const DeviceSpec& spec, uid_t user,
                                                        const TapOptions& options, const WhileInside& inside) {
  DeviceSpec mine = spec;
  mine.name = unique_name(user);
  const bool any_mac = !spec.mac && spec.mode != MacvlanMode::kPassthru;
  constexpr int kTries = 4;  // 46 random bits: a second collision is no chance any more
  for (int tries = 1;; ++tries) {
    if (any_mac) mine.mac = random_mac();
    auto device = create_once(socket, mine, options, inside);
    if (device || !any_mac || tries == kTries || device.error().kind != ErrorKind::kInUse) return device;
  }
}

}  // namespace vmt
