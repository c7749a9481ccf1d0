// SPDX-License-Identifier: LGPL-2.1-or-later
// What does `addresses` show? Rows out of what `status` knows (addresses_rows.cc), for people and programs
// (addresses_output.cc).
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "helper/cli/status.h"

namespace vmt::cli {

struct AddressRow {
  std::optional<std::string> domain;  // libvirt's name for it, else what its process calls it
  bool is_libvirts = false;           // the name
  std::optional<Uuid> uuid;           // only with libvirt's name
  std::optional<IfName> nic;          // the macvtap; nullopt: nobody knows, or it is not there
  std::optional<int> nsid;            // the namespace of the macvtap, when that is another
  std::optional<IfName> parent;
  std::optional<MacAddress> mac;  // nullopt: made by `host up`, which knows none
  IpAddress address;
  std::string_view origin;                       // "given", "learned" or "manual"
  std::optional<std::chrono::milliseconds> age;  // nullopt: not set up, or nobody knows
  std::string_view state;                        // address_state(), "gone" or "not set up"
};

// What the process that has a device open calls its guest.
using NameOfHolder = std::function<std::optional<std::string>(const Child&)>;

// Sorted by domain, those without one last.
std::vector<AddressRow> address_rows(const HostStatus& host, const Question& question, const NameOfHolder& name);

std::string addresses_table(const std::vector<AddressRow>& rows);
std::string addresses_json(const std::vector<AddressRow>& rows);

}  // namespace vmt::cli
