// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/self_removing.h"

#include <fmt/format.h>

#include "lib/netns.h"
#include "lib/rtnl_device.h"
#include "lib/rtnl_device_request.h"
#include "lib/sysctl.h"

namespace vmt {
namespace {

// The caller is inside.
Status complete(RtnlSocket& outside, RtnlMonitor& changes, const NewNetns& netns, const DeviceSpec& spec, uid_t user,
                const TapOptions& options, SelfRemoving& device) {
  if (auto status = disable_ipv6_by_default(); !status) return status;
  if (auto status = create_device(outside, spec, device.index, netns.fd()); !status) return status;
  auto socket = RtnlSocket::open();
  if (!socket) return fail(socket.error());
  if (auto status = finish_device(outside, *socket, changes, spec, device.index, ForUser{user}); !status) return status;
  auto queues = open_queues(spec.name, device.index, options);
  if (!queues) return fail(queues.error());
  device.queues = std::move(*queues);
  // From here on `list` sees it; the number goes with the namespace.
  return outside.request(request::new_nsid(netns.fd()), "number the network namespace of " + spec.name.str());
}

std::expected<SelfRemoving, Error> create_once(RtnlSocket& socket, const DeviceSpec& spec, uid_t user,
                                               const TapOptions& options, const WhileInside& inside) {
  SelfRemoving device{.name = spec.name, .index = unique_index(), .mac = spec.mac, .queues = {}};
  auto changes = RtnlMonitor::open();  // before: the parent's are heard out here only
  if (!changes) return fail(changes.error());
  auto netns = NewNetns::enter();
  if (!netns) return fail(netns.error());
  if (auto status = complete(socket, *changes, *netns, spec, user, options, device); !status)
    return fail(status.error());
  if (inside)
    if (auto status = inside(device); !status) return fail(status.error());
  if (auto status = netns->leave(); !status) return fail(status.error());
  return device;
}

}  // namespace

std::expected<SelfRemoving, Error> create_self_removing(RtnlSocket& socket, const DeviceSpec& spec, uid_t user,
                                                        const TapOptions& options, const WhileInside& inside) {
  DeviceSpec mine = spec;
  mine.name = unique_name();
  const bool any_mac = !spec.mac && spec.mode != MacvlanMode::kPassthru;
  constexpr int kTries = 4;  // 46 random bits: a second collision is no chance any more
  for (int tries = 1;; ++tries) {
    if (any_mac) mine.mac = random_mac();
    auto device = create_once(socket, mine, user, options, inside);
    if (device || !any_mac || tries == kTries || device.error().kind != ErrorKind::kInUse) return device;
  }
}

}  // namespace vmt
