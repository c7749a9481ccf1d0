// SPDX-License-Identifier: LGPL-2.1-or-later
// How do the guests' addresses look to people, and to a program? For people a line per address; "-" is what does not
// apply or nobody knows. For programs an array, empty when there is none; keys are only ever added:
//
//   [{"domain": "web" or null, "uuid": "..." or null where the name is not libvirt's, "nic": "macvtap0" or null,
//     "nsid": 3 or null for this namespace, "parent": "eth0", "mac": "..." or null, "address": "192.0.2.61",
//     "origin": "given" or "learned" or "manual" (host up), "since": 42 (seconds ago) or null,
//     "state": "ok" or what is wrong: "not set up", "gone", "unknown", "down", "no carrier", "needs sync", "no route",
//              "no source", "old source"}]
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "helper/cli/addresses.h"
#include "lib/text.h"

namespace vmt::cli {
namespace {

using Json = nlohmann::ordered_json;
using Row = std::array<std::string, 8>;

// Escaped as everywhere, but without the quotes: a column is for awk, too.
std::string plain(const std::string& name) {
  const std::string text = vmt::quoted(name);
  return text.substr(1, text.size() - 2);
}

template <typename T>
std::string text_or_dash(const std::optional<T>& value) {
  return value ? std::string(value->str()) : "-";
}

template <typename T>
Json text_or_null(const std::optional<T>& value) {
  return value ? Json(value->str()) : Json(nullptr);
}

Row columns_of(const AddressRow& row) {
  return {row.domain ? plain(*row.domain) : "-",
          text_or_dash(row.nic),
          row.nsid ? fmt::format("{}", *row.nsid) : "-",
          text_or_dash(row.mac),
          row.address.str(),
          std::string(row.origin),
          row.age ? human(*row.age) : "-",
          std::string(row.state)};
}

Json object_of(const AddressRow& row) {
  const auto seconds = [&] { return std::chrono::floor<std::chrono::seconds>(*row.age).count(); };
  return {{"domain", row.domain ? Json(*row.domain) : Json(nullptr)},
          {"uuid", text_or_null(row.uuid)},
          {"nic", text_or_null(row.nic)},
          {"nsid", row.nsid ? Json(*row.nsid) : Json(nullptr)},
          {"parent", text_or_null(row.parent)},
          {"mac", text_or_null(row.mac)},
          {"address", row.address.str()},
          {"origin", row.origin},
          {"since", row.age ? Json(seconds()) : Json(nullptr)},
          {"state", row.state}};
}

}  // namespace

std::string addresses_table(const std::vector<AddressRow>& rows) {
  if (rows.empty()) return "no address of a guest is known\n";
  std::vector<Row> lines{{"DOMAIN", "NIC", "NSID", "MAC", "ADDRESS", "ORIGIN", "SINCE", "STATE"}};
  for (const auto& row : rows) lines.push_back(columns_of(row));
  std::array<std::size_t, std::tuple_size_v<Row>> widths{};
  for (const auto& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  std::string out;
  for (const auto& line : lines) {
    for (std::size_t i = 0; i + 1 < line.size(); ++i) out += fmt::format("{:<{}}  ", line[i], widths[i]);
    out += line.back() + "\n";
  }
  return out;
}

std::string addresses_json(const std::vector<AddressRow>& rows) {
  Json list = Json::array();
  for (const auto& row : rows) list.push_back(object_of(row));
  // The names of guests and processes may hold bytes that are no UTF-8.
  return list.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace vmt::cli
