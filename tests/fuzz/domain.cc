// SPDX-License-Identifier: LGPL-2.1-or-later
// Domain XML: whatever a guest's owner writes, what comes out is within bounds, and the same inside a status file.
#include "xml/domain.h"

#include "tests/fuzz/property.h"

namespace {

using namespace vmt;

void check(const Nic& nic) {
  if (nic.target) fuzz::require_valid(*nic.target);
  if (const auto placement = placement_of(nic)) fuzz::require_valid(placement->parent);
  if (const auto* premade = std::get_if<PremadeSource>(&nic.source)) {
    fuzz::require_valid(premade->device);
    fuzz::require(!premade->wanted || premade->wanted->mode != MacvlanMode::kSource, "source is no mode for a guest");
  }
  fuzz::require(nic.queues >= 1, "a NIC has a queue");
}

void check(const ParsedDomain& domain) {
  const Guest& guest = domain.guest;
  fuzz::require(guest.nics.size() <= kMaxNics && guest.given.size() <= kMaxNics, "not more NICs than allowed");
  for (const auto& nic : guest.nics) check(nic);
  for (const auto& given : guest.given)
    fuzz::require(given.addresses.size() <= kMaxAddresses, "not more addresses than allowed");
  fuzz::require(domain.notes.size() <= kMaxNotes + 1, "not more notes than allowed");
  for (const auto& note : domain.notes) fuzz::require(fuzz::is_one_line(note), "a note is one line");
  fuzz::require(!guest.id || *guest.id >= 0, "an id is a number");
}

bool same(const Guest& a, const Guest& b) {
  return a.name == b.name && a.uuid == b.uuid && a.id == b.id && a.host_access == b.host_access &&
         std::ranges::equal(a.nics, b.nics, {}, &Nic::mac, &Nic::mac) && a.given.size() == b.given.size();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(fuzz::text_of(data, size));
  const auto domain = parse_domain(text);
  fuzz::require_sound(domain);
  if (!domain) return 0;
  check(*domain);
  const auto status = parse_domain("<domstatus>" + text + "</domstatus>");
  fuzz::require(!status || same(status->guest, domain->guest), "a status file's guest is the same");
  return 0;
}
