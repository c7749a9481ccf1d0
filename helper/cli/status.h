// SPDX-License-Identifier: LGPL-2.1-or-later
// What does `status` know about the host? Gathered once (status.cc), judged (status_health.cc), then shown to
// people (status_table.cc) or programs (status_json.cc).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/objects.h"
#include "lib/uuid.h"

namespace vmt::cli {

// Who a macvtap belongs to, as far as libvirt and the configuration know it.
struct GuestIdentity {
  std::string name;
  std::optional<Uuid> uuid;
  bool wants_access = true;      // neither the guest nor the parent is switched off
  std::vector<IpAddress> given;  // by <metadata> or configuration
};

struct GuestAddress {
  IpAddress address;
  bool route = false;
  std::optional<IpAddress> source;  // of the route: what the host talks from
};

struct GuestStatus {
  Child link;
  std::optional<GuestIdentity> identity;  // nullopt: not in libvirt's answer
  std::vector<GuestAddress> addresses;    // set up for its MAC
};

struct ParentStatus {
  Parent parent;
  std::optional<Shim> shim;
  std::vector<GuestStatus> guests;            // every macvtap and macvlan but our shim
  std::vector<GuestNeighbour> orphans;        // addresses set up for a MAC that nobody has
  std::vector<GuestAddress> manual;           // made by `host up`
  std::vector<std::vector<Child>> conflicts;  // links that share a MAC
  std::vector<std::string> health;            // sentences, each with the cure
};

struct HostStatus {
  std::string libvirt_uri;
  std::optional<std::string> libvirt_error;  // set: guests have no names
  int arp_ignore = 0;                        // net.ipv4.conf.all.arp_ignore
  std::vector<ParentStatus> parents;
  std::vector<std::string> health;  // what concerns no parent in particular
};

// Pure; `host` for what is the same for all parents.
std::vector<std::string> health_of(const ParentStatus& status, const HostStatus& host);

std::string status_json(const HostStatus& host);
std::string status_table(const HostStatus& host);

// "guests", "manual" or "unfinished"
std::string_view role_name(ShimRole role);

}  // namespace vmt::cli
