// SPDX-License-Identifier: LGPL-2.1-or-later
// Deciding, first half: from guests, configuration and what the host has to what we want to own. Pure.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/config.h"
#include "lib/guest.h"
#include "lib/objects.h"

namespace vmt {

// A NIC that is to have host access.
struct Attachment {
  std::string guest;  // the domain's name, for notes
  IfName parent;
  MacAddress mac;
  std::vector<IpAddress> addresses;     // given
  std::vector<IpAddress> learned = {};  // heard from the guest itself, by the watcher
  std::optional<MacAddress> mark = {};  // mark_of() it; nullopt: the domain is not known
  unsigned parent_index = 0;            // of a parent that was seen, whatever it is called by now; 0: by its name
};

// Notes are sentences for the log: what will not work, and why.
struct Attachments {
  std::vector<Attachment> nics;
  std::vector<std::string> notes;
};

// The bridge-mode NICs of a guest with their given addresses, metadata before configuration. A NIC in another mode, on
// a parent that is switched off, or of a guest that is switched off, is left out; a note says so where a user may
// wonder. Of a pre-made device it takes what `wanted` says: with_placements() comes first.
Attachments attachments_of(const Guest& guest, const Config& config);

// What is given to a NIC of the guest, metadata before configuration; each once.
std::vector<IpAddress> addresses_given(const Guest& guest, const Config& config, const MacAddress& mac);

// What the host said about the parents and addresses that the attachments name.
struct Facts {
  std::vector<Parent> parents;
  std::vector<GuestNeighbour> neighbours;  // owned, at the addresses in question
  std::vector<GuestRoute> manual;          // owned, made by `host up`
  std::map<IpAddress, RouteView> routes;   // the most specific one, own routes included
  std::vector<MacAddress> live;            // macvtaps there are now; asked for only when an address is contended
};

struct Wish {
  Desired desired;
  std::vector<std::string> notes;
  std::map<IpAddress, std::string> refused;  // and why: these stand in the notes, too
};

// Refuses, with a note each: an address that is the host's own, a gateway's, off-link, reserved or no unicast address,
// given twice, served by `host up` already, or held by another guest that is still there.
Wish desire(std::span<const Attachment> nics, const Facts& facts, const Config& config);

// A shim for a parent: numbered when the configuration says so, else answering for the host's own addresses.
DesiredShim shim_for(const Parent& parent, ShimRole role, const std::vector<IpPrefix>& numbered);

// The host's address that a guest at `guest` is to talk to: the numbered one, or the best of the parent's whose prefix
// holds the guest. An error says why there is none, or why the guest cannot have that address on this parent.
std::expected<IpAddress, Error> source_for(const IpAddress& guest, const Parent& parent,
                                           const std::vector<IpPrefix>& numbered);

}  // namespace vmt
