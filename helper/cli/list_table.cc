// SPDX-License-Identifier: LGPL-2.1-or-later
// How does the list of devices look to people? A line per device; "-" is what does not apply.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "helper/cli/list.h"
#include "lib/text.h"

namespace vmt::cli {
namespace {

using Row = std::array<std::string, 11>;

std::string for_whom(const DeviceStatus& device) {
  const Child& link = device.link;
  const std::string domain = device.domain ? "guest " + quoted(device.domain->name) : std::string{};
  if (device.shim) return "host access";
  if (!link.ours) return domain.empty() ? "-" : domain;
  if (!link.use) return "nobody: unfinished";
  if (std::holds_alternative<Standing>(*link.use)) return domain.empty() ? "standing" : "standing, " + domain;
  if (const auto* use = std::get_if<ForGuest>(&*link.use)) return domain.empty() ? "guest " + use->guest.str() : domain;
  const std::string user = "user " + device.user.value_or("-");
  return domain.empty() ? user : user + ", " + domain;
}

std::string holders_of(const DeviceStatus& device) {
  std::string text;
  for (const auto& holder : device.holders) text += (text.empty() ? "" : "; ") + describe(holder);
  return text.empty() ? "-" : text;
}

Row row_of(const DeviceStatus& device) {
  const Child& link = device.link;
  return {link.name.str(),
          link.nsid ? fmt::format("{}", *link.nsid) : "-",
          device.parent ? device.parent->str() : "-",
          link.macvtap ? "macvtap" : "macvlan",
          std::string(to_string(link.mode)),
          link.mac.str(),
          fmt::format("{}", link.mtu),
          std::string(state_of(device)),
          link.macvtap ? fmt::format("{}", queues_of(device)) : "-",
          for_whom(device),
          holders_of(device)};
}

}  // namespace

std::string list_table(const std::vector<DeviceStatus>& devices) {
  if (devices.empty()) return "no macvtap and no macvlan\n";
  std::vector<Row> rows{{"NAME", "NSID", "PARENT", "KIND", "MODE", "MAC", "MTU", "STATE", "QUEUES", "FOR", "HELD BY"}};
  for (const auto& device : devices) rows.push_back(row_of(device));
  std::array<std::size_t, std::tuple_size_v<Row>> widths{};
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string out;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) out += fmt::format("{:<{}}  ", row[i], widths[i]);
    out += row.back() + "\n";
  }
  return out;
}

}  // namespace vmt::cli
