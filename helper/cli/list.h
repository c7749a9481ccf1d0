// SPDX-License-Identifier: LGPL-2.1-or-later
// What does `list` know about the host's macvtaps and macvlans? Gathered once (list.cc), then shown to people
// (list_table.cc) or programs (list_json.cc).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/objects.h"
#include "lib/tap_holders.h"
#include "lib/uuid.h"

namespace vmt::cli {

struct Domain {
  std::string name;
  std::optional<Uuid> uuid;
};

struct DeviceStatus {
  Child link;
  std::optional<IfName> parent;  // nullopt: in another namespace
  bool shim = false;             // ours, for host access
  std::vector<TapHolder> holders;
  std::optional<Domain> domain;     // as libvirt knows it
  std::optional<std::string> user;  // of a self-removing one: the name, or the number where there is none
};

// "up", "down" or "no carrier"
std::string_view state_of(const DeviceStatus& device);
// Of the process that has most: one that was started by another may hold copies of the same.
unsigned queues_of(const DeviceStatus& device);

std::string list_json(const std::vector<DeviceStatus>& devices);
std::string list_table(const std::vector<DeviceStatus>& devices);

}  // namespace vmt::cli
