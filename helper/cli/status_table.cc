// SPDX-License-Identifier: LGPL-2.1-or-later
// How does the host's state look to people? A small tree per parent: shim, guests, their addresses, findings.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "helper/cli/status.h"
#include "lib/text.h"

namespace vmt::cli {
namespace {

using Row = std::array<std::string, 4>;

// A line of the tree with columns, and what hangs below it.
struct Entry {
  Row row;
  std::vector<std::string> below;
};

std::string parent_line(const Parent& parent) {
  std::string line = fmt::format("{}  {}", parent.name.str(), parent.up ? "up" : "down");
  if (parent.up && !parent.carrier) line += ", no carrier";
  if (parent.wireless) line += ", wireless";
  for (const auto& address : parent.addresses) line += "  " + address.prefix.str();
  return line + "\n";
}

Entry shim_entry(const Shim& shim) {
  std::string state = shim.role == ShimRole::kManual ? "by host up" : std::string(role_name(shim.role));
  if (!shim.configured) state += ", needs sync";
  Entry entry{.row = {"shim", shim.mac.str(), shim.name.str(), std::move(state)}, .below = {}};
  for (const auto& address : shim.addresses) entry.below.push_back(fmt::format("numbered {}", address.str()));
  return entry;
}

std::string address_line(const GuestAddress& address) {
  if (!address.route) return fmt::format("{}  no route", address.address.str());
  const bool learned = address.origin == Origin::kLearned && address.age;
  return fmt::format("{}  {}{}", address.address.str(),
                     learned ? fmt::format("learned {} ago", human(*address.age)) : "given",
                     address.source ? ", host at " + address.source->str() : std::string{});
}

Entry guest_entry(const GuestStatus& guest) {
  const Child& link = guest.link;
  Entry entry{
      .row = {guest.identity ? fmt::format("guest {}", quoted(guest.identity->name))
                             : std::string(link.macvtap ? "guest" : "macvlan"),
              link.mac.str(), link.nsid ? fmt::format("{} (nsid {})", link.name.str(), *link.nsid) : link.name.str(),
              fmt::format("{}, {}", to_string(link.mode), link.up ? "up" : "down")},
      .below = {}};
  for (const auto& address : guest.addresses) entry.below.push_back(address_line(address));
  return entry;
}

std::vector<Entry> entries_of(const ParentStatus& status) {
  std::vector<Entry> entries;
  if (status.shim) entries.push_back(shim_entry(*status.shim));
  for (const auto& guest : status.guests) entries.push_back(guest_entry(guest));
  return entries;
}

void append_entries(std::string& out, const std::vector<Entry>& entries) {
  std::array<std::size_t, 3> widths{};  // the last column needs none
  for (const auto& entry : entries)
    for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], entry.row[i].size());
  for (const auto& [row, below] : entries) {
    out +=
        fmt::format("  {:<{}}  {:<{}}  {:<{}}  {}\n", row[0], widths[0], row[1], widths[1], row[2], widths[2], row[3]);
    for (const auto& line : below) out += fmt::format("    {}\n", line);
  }
}

void append_findings(std::string& out, const std::vector<std::string>& findings, std::string_view indent) {
  for (const auto& finding : findings) out += fmt::format("{}! {}\n", indent, finding);
}

}  // namespace

std::string human(std::chrono::milliseconds age) {
  using namespace std::chrono;
  const auto whole = [](auto time, const char* unit) { return fmt::format("{} {}", time.count(), unit); };
  if (age < 1min) return whole(floor<seconds>(age), "s");
  if (age < 1h) return whole(floor<minutes>(age), "min");
  return age < 24h ? whole(floor<hours>(age), "h") : whole(floor<days>(age), "d");
}

std::string_view origin_name(Origin origin) {
  return origin == Origin::kLearned ? "learned" : "given";
}

std::string_view role_name(ShimRole role) {
  switch (role) {
    case ShimRole::kGuests:
      return "guests";
    case ShimRole::kManual:
      return "manual";
    case ShimRole::kUnfinished:
      break;
  }
  return "unfinished";
}

std::string status_table(const HostStatus& host) {
  std::string out;
  bool nameless = false;
  for (const auto& status : host.parents) {
    if (!out.empty()) out += "\n";
    out += parent_line(status.parent);
    append_entries(out, entries_of(status));
    for (const auto& address : status.manual)
      out += fmt::format("  by host up  {}{}\n", address.address.str(),
                         address.source ? ", host at " + address.source->str() : std::string{});
    append_findings(out, status.health, "  ");
    nameless = nameless || !status.guests.empty();
  }
  if (host.parents.empty()) out += "no shim, no macvtap and no macvlan on this host\n";
  append_findings(out, host.health, "");
  if (nameless && host.libvirt_error) out += fmt::format("\nNo names of guests: {}\n", *host.libvirt_error);
  return out;
}

}  // namespace vmt::cli
