// SPDX-License-Identifier: LGPL-2.1-or-later
// A guest as the rest of the program knows it: what its domain XML says about direct networking, without XML.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lib/if_name.h"
#include "lib/ip_address.h"
#include "lib/mac_address.h"
#include "lib/macvlan_mode.h"
#include "lib/uuid.h"

namespace vmt {

// A macvtap that libvirt makes: <interface type='direct'>, or type='network' once libvirt has chosen the parent.
struct DirectSource {
  IfName parent;
  MacvlanMode mode;
  std::string network;  // empty unless it came out of a <network>'s pool
};

// <interface type='network'> before libvirt has chosen (prepare) or after it has forgotten (stopped, release): it may
// be anything, a NAT network as well as a pool of parents.
struct NetworkSource {
  std::string network;
  std::string portgroup;
};

// Where a pre-made device is to be, by our metadata's <direct dev='eth0' mode='bridge'/>, or is (lib/premade.h).
struct Placement {
  IfName parent;
  MacvlanMode mode;

  bool operator==(const Placement&) const = default;
};

// <interface type='ethernet'><target dev='X' managed='no'/>: a device that must exist beforehand.
struct PremadeSource {
  IfName device;
  std::optional<Placement> wanted = {};  // nullopt: somebody else makes it, or it is no macvtap at all
};

using NicSource = std::variant<DirectSource, NetworkSource, PremadeSource>;

struct Nic {
  MacAddress mac;
  NicSource source;
  std::optional<IfName> target;  // the macvtap's name, when the XML says it
  std::string model;             // "virtio", "e1000e", ...; empty when the XML is silent
  unsigned queues = 1;
  bool link_up = true;  // <link state='down'/> concerns the guest's view only, the macvtap stays up
  bool trusts_rx_filters = false;
};

// Where a NIC's macvtap is; nullopt while nobody has said.
inline std::optional<Placement> placement_of(const Nic& nic) {
  if (const auto* direct = std::get_if<DirectSource>(&nic.source)) return Placement{direct->parent, direct->mode};
  if (const auto* premade = std::get_if<PremadeSource>(&nic.source)) return premade->wanted;
  return std::nullopt;
}

// Addresses that somebody has written down for a NIC, in the domain's <metadata> or in the configuration file.
struct GivenAddresses {
  MacAddress mac;
  std::vector<IpAddress> addresses;
};

struct Guest {
  std::string name;
  std::optional<Uuid> uuid;
  std::optional<int> id;  // only while libvirt runs it
  std::vector<Nic> nics;  // those that are, or may turn out to be, direct; in the XML's order
  bool host_access = true;
  std::vector<GivenAddresses> given;
};

}  // namespace vmt
