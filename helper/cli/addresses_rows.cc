// SPDX-License-Identifier: LGPL-2.1-or-later
// Which rows does `addresses` have? Pure, but for the names that it asks for.
#include <algorithm>
#include <tuple>

#include "helper/cli/addresses.h"
#include "lib/algorithm.h"
#include "lib/desire.h"

namespace vmt::cli {
namespace {

constexpr std::string_view kNotSetUp = "not set up";

AddressRow row_of(const GuestAddress& address, const ParentStatus& status) {
  return {.domain = {},
          .uuid = {},
          .nic = {},
          .nsid = {},
          .parent = status.parent.name,
          .mac = {},
          .address = address.address,
          .origin = origin_name(address.origin),
          .age = address.age,
          .state = address_state(address, nullptr, status)};
}

void add_guest(const GuestStatus& guest, const ParentStatus& status, const NameOfHolder& name,
               std::vector<AddressRow>& rows) {
  const auto add = [&](const GuestAddress& address, std::string_view state) {
    AddressRow row = row_of(address, status);
    row.is_libvirts = guest.identity.has_value();
    row.domain = guest.identity ? guest.identity->name : name(guest.link);
    if (guest.identity) row.uuid = guest.identity->uuid;
    row.nic = guest.link.name;
    row.nsid = guest.link.nsid;
    row.mac = guest.link.mac;
    row.state = state;
    rows.push_back(std::move(row));
  };
  for (const auto& address : guest.addresses) add(address, address_state(address, &guest.link, status));
  for (const auto& address : guest.given)
    if (!contains(guest.addresses, address, &GuestAddress::address))
      add({.address = address, .age = {}, .source = {}}, kNotSetUp);
}

void add_parent(const HostStatus& host, const ParentStatus& status, const NameOfHolder& name,
                std::vector<AddressRow>& rows) {
  for (const auto& guest : status.guests) add_guest(guest, status, name, rows);
  for (const auto& orphan : status.orphans) {
    GuestAddress address{.address = orphan.guest, .origin = orphan.origin, .age = orphan.age, .source = {}};
    AddressRow row = row_of(address, status);
    row.mac = orphan.mac;
    // Without root, its device may only be out of sight.
    row.state = host.complete ? "gone" : "unknown";
    rows.push_back(std::move(row));
  }
  for (const auto& address : status.manual) {
    AddressRow row = row_of(address, status);
    row.mac = address.mac;
    row.origin = "manual";
    rows.push_back(std::move(row));
  }
}

// Written down for a guest whose macvtap is not there, or not where it is to be.
void add_absent(const Question& question, std::vector<AddressRow>& rows) {
  for (const auto& guest : question.guests)
    for (const auto& nic : attachments_of(guest, question.config).nics)
      for (const auto& address : nic.addresses) {
        const bool known = std::ranges::any_of(
            rows, [&](const AddressRow& row) { return row.mac == nic.mac && row.address == address; });
        if (known) continue;
        rows.push_back({.domain = guest.name,
                        .is_libvirts = true,
                        .uuid = guest.uuid,
                        .nic = {},
                        .nsid = {},
                        .parent = nic.parent,
                        .mac = nic.mac,
                        .address = address,
                        .origin = origin_name(Origin::kGiven),
                        .age = {},
                        .state = kNotSetUp});
      }
}

}  // namespace

std::vector<AddressRow> address_rows(const HostStatus& host, const Question& question, const NameOfHolder& name) {
  std::vector<AddressRow> rows;
  for (const auto& status : host.parents) add_parent(host, status, name, rows);
  add_absent(question, rows);
  const auto place = [](const AddressRow& r) {
    return std::tuple(!r.domain, r.domain, r.parent, r.nsid, r.nic, r.mac, !r.address.is_v4(), r.address);
  };
  std::ranges::sort(rows, {}, place);
  return rows;
}

}  // namespace vmt::cli
