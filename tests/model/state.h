// SPDX-License-Identifier: LGPL-2.1-or-later
// What the model believes: which guests run, what they say and what the administrator has written down; and the texts
// that libvirt and the administrator would make of that.
#pragma once

#include <array>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/ip_address.h"
#include "lib/mac_address.h"
#include "lib/macvlan_mode.h"
#include "tests/model/host.h"
#include "tests/model/step.h"

namespace vmt::model {

inline constexpr unsigned kGuests = 5, kNics = 2, kStandings = 2;

struct NicState {
  unsigned parent = 0;
  std::string source;  // what the parent was called when the guest got the NIC
  MacvlanMode mode = MacvlanMode::kBridge;
  bool premade = false;
  std::string device;
  unsigned index = 0;
  bool up = false;
  std::vector<IpAddress> given;  // in the metadata
  std::set<IpAddress> announced;
};

struct GuestState {
  bool running = false;
  bool switched_off = false;
  std::array<std::optional<NicState>, kNics> nics;
};

struct State {
  std::array<GuestState, kGuests> guests;
  // The configuration file.
  std::array<std::vector<IpAddress>, kGuests> configured;  // for the first NIC
  std::array<bool, kParents> off{}, numbered{};
  unsigned learn = 0;
  unsigned max_addresses = 8;
  // `create`d ones: the parent.
  std::array<std::optional<unsigned>, kStandings> standings;
};

std::string guest_name(unsigned guest);
std::string uuid_of(unsigned guest);
MacAddress mac_of(unsigned guest, unsigned nic);
MacAddress standing_mac(unsigned which);
std::string standing_name(unsigned which);
std::string device_name(unsigned guest, unsigned nic, bool premade);

// A guest's address on a parent; nullopt: the parent's network has none of that family. `which`: 0 is written down in
// metadata, 1 and 2 are said by the guest, 3 is in the configuration file, 4 for `host up`.
std::optional<IpAddress> address_of(unsigned guest, unsigned nic, unsigned parent, bool v4, unsigned which);
// One of these, and not the host's or a gateway's, which metadata may name as well.
bool is_a_guests(const IpAddress& address);
bool is_a_guests(const MacAddress& mac);
// The metadata's addresses, by the bits of a step.
std::vector<IpAddress> given_by(unsigned guest, unsigned nic, unsigned parent, unsigned bits);
// What the guest says in a kAnnounce step: its own, or (3) another guest's.
std::optional<IpAddress> announced_by(unsigned guest, unsigned nic, unsigned parent, unsigned which);
std::vector<IpPrefix> numbered_on(unsigned parent);

// As libvirt hands it to a hook, with `id`; type 'kvm', or 'test' for libvirt's test driver.
std::string domain_xml(const State& state, unsigned guest, const std::string& type = "kvm");
// All running guests, for test:///FILE.
std::string node_xml(const State& state);
std::string config_text(const State& state);

}  // namespace vmt::model
