// SPDX-License-Identifier: LGPL-2.1-or-later
// A macvtap or macvlan that somebody asks for: what it is to be like, and whom it is for.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/error.h"
#include "lib/if_name.h"
#include "lib/mac_address.h"
#include "lib/macvlan_mode.h"
#include "lib/uuid.h"

namespace vmt {

inline constexpr std::size_t kMaxAllowed = 256;  // MACs of a source-mode device: they travel in one request
inline constexpr unsigned kMaxQueues = 256;      // MAX_TAP_QUEUES of the kernel; one more open fails with EBUSY

// ---- whom a device of ours is for: kept in IFLA_IFALIAS, or in a self-removing one's name; read back by everyone
// ---------------------------------

struct Standing {  // `create`: until `delete`
  bool operator==(const Standing&) const = default;
};
struct ForGuest {  // the hook, for <target managed='no'>: until the guest's release
  Uuid guest;
  bool operator==(const ForGuest&) const = default;
};
struct ForUser {  // self-removing: until its last tap fd is closed
  uid_t user = 0;
  bool operator==(const ForUser&) const = default;
};
using DeviceUse = std::variant<Standing, ForGuest, ForUser>;

std::string alias_of(const DeviceUse& use);
// nullopt: none of these, so a device of ours that has it is unfinished.
std::optional<DeviceUse> use_of_alias(std::string_view alias);

// ---- what it is to be like --------------------------------------------------------------------------------------

// Owner of the tap's node in /dev, so that an unprivileged libvirt session can open it.
struct NodeOwner {
  uid_t user = 0;
  std::optional<gid_t> group = {};  // may open it, too (mode 0660); nullopt: the user alone (0600)
};

struct DeviceSpec {
  bool macvtap = true;  // else a macvlan, which has no tap
  IfName name;
  unsigned index = 0;   // ifindex that it is to have; 0: a unique_index()
  unsigned parent = 0;  // ifindex
  IfName parent_name;
  MacvlanMode mode = MacvlanMode::kBridge;
  std::optional<MacAddress> mac;                 // nullopt with passthru only, which takes the parent's
  std::optional<std::uint32_t> mtu;              // bytes; nullopt: the parent's
  std::optional<std::uint32_t> bc_queue_length;  // broadcast frames the parent holds for its devices; kernel: 1000
  bool promiscuous = true;                       // passthru: the parent takes every frame
  std::vector<MacAddress> allowed;               // source: whose frames it gets
  bool up = true;
  std::optional<NodeOwner> owner;
};

// Settings that do not go together: an allowed list without source mode, a MAC with passthru, ...
Status check(const DeviceSpec& spec);

// A macvlan's name is free but for three prefixes: libvirt counts its own devices up under them, so a device of
// another's there makes a guest's start fail with "File exists" (libvirt 9.0 does not try the next number).
Status check_standing_name(const IfName& name);

// Random, unicast, locally administered.
MacAddress random_mac();
// The same for the same text, on every host: FNV-1a over it, as shim_mac().
MacAddress mac_from_text(std::string_view text);

// A random ifindex for a device with a tap. The node /dev/tapN is named after the ifindex and one for all network
// namespaces, so two devices with the same ifindex in two namespaces share one node and an open gets either: out of
// 2^28 that does not happen by chance, and cannot be arranged.
unsigned unique_index();
// As many in a row from a random one on, for devices that are made together: neighbours share the nodes of the kernel's
// tree of ifindices, of which each that is alone needs some of its own (tests/bench/README.md, `many`).
std::vector<unsigned> unique_indices(std::size_t count);
bool is_unique_index(unsigned index);
// Same for the name of a self-removing device, alone in its namespace: "vmt", its user in 7 letters, and 5 random ones.
// Whoever reads it back from a tap fd (TUNGETIFF) knows whose tap it is: together with the ifindex nobody guesses it.
// In the name, because an alias would take another request.
IfName unique_name(uid_t user);
std::optional<uid_t> user_of_name(const IfName& name);

}  // namespace vmt
