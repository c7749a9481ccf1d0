// SPDX-License-Identifier: LGPL-2.1-or-later
// What do `status` and `addresses` know about the host? Gathered once (status_gather.cc), judged (status_health.cc),
// then shown to people (status_table.cc) or programs (status_json.cc).
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/config.h"
#include "lib/objects.h"
#include "lib/rtnl_kernel.h"
#include "lib/uuid.h"

namespace vmt::cli {

// Who a macvtap belongs to, as far as libvirt knows it.
struct GuestIdentity {
  std::string name;
  std::optional<Uuid> uuid;
};

struct GuestAddress {
  IpAddress address;
  Origin origin = Origin::kGiven;
  std::optional<std::chrono::milliseconds> age;  // nullopt: made by `host up`, of which the kernel does not say when
  bool route = false;
  std::optional<IpAddress> source;     // of the route: what the host talks from
  std::optional<MacAddress> mac = {};  // of one made by `host up`, if known; else the guest's
};

struct GuestStatus {
  Child link;                             // in this namespace or another
  std::optional<GuestIdentity> identity;  // nullopt: not in libvirt's answer
  bool wants_access = true;               // neither the guest nor the parent is switched off
  bool may_learn = true;                  // the watcher may, as configured
  std::vector<IpAddress> given;           // by <metadata> or configuration
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
  bool watched = false;                      // a watcher runs, as far as the caller may know
  bool complete = true;                      // devices in other namespaces are among the guests
  int arp_ignore = 0;                        // net.ipv4.conf.all.arp_ignore
  std::vector<ParentStatus> parents;
  std::vector<std::string> health;  // what concerns no parent in particular
};

struct Question {
  std::optional<IfName> parent;  // nullopt: all
  std::vector<Guest> guests;     // that libvirt runs
  Config config;
  std::map<MacAddress, NicConfig> nics = {};  // the configuration's; gather() fills it in
};

// Adds what the kernel knows to what others have said.
Status gather(RtnlKernel& kernel, Question question, HostStatus& host);

// What is wrong with the route of an address of a guest on this parent.
enum class RouteTrouble { kNone, kNoRoute, kNoSource, kForeignSource };
RouteTrouble route_trouble(const GuestAddress& address, const ParentStatus& status);

// One word or two on an address of a guest on this parent: "ok", "down", "no carrier", "needs sync", "no route", "no
// source", "old source". `link`: the guest's device, nullptr when nobody knows which.
std::string_view address_state(const GuestAddress& address, const Child* link, const ParentStatus& status);

// Pure; `host` for what is the same for all parents.
std::vector<std::string> health_of(const ParentStatus& status, const HostStatus& host);

std::string status_json(const HostStatus& host);
std::string status_table(const HostStatus& host);

// "5 s", "3 min", "2 h", "4 d"
std::string human(std::chrono::milliseconds age);
// "given" or "learned"
std::string_view origin_name(Origin origin);
// "guests", "manual" or "unfinished"
std::string_view role_name(ShimRole role);

}  // namespace vmt::cli
