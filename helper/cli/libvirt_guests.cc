// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/cli/libvirt_guests.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>

#include "helper/cli/lookup.h"
#include "xml/domain.h"

namespace vmt::cli {

std::expected<RunningGuests, Error> running_guests(const std::string& uri, std::chrono::milliseconds patience) {
  auto domains = look_up({"guests", uri}, patience);
  // libvirt's calls have no time limit, and its daemon may hang.
  if (!domains && domains.error().kind == ErrorKind::kTimeout)
    return fail(
        Error{ErrorKind::kTimeout, fmt::format("libvirt at {}: no answer within {} ms", uri, patience.count())});
  if (!domains) return fail(domains.error());
  RunningGuests result;
  for (auto& xml : *domains) {
    auto parsed = parse_domain(std::move(xml));
    if (!parsed) return fail(parsed.error());
    // Stopped since the list was made: this is what it would be the next time.
    if (!parsed->guest.id) continue;
    std::ranges::move(parsed->notes, std::back_inserter(result.notes));
    if (!parsed->guest.nics.empty()) result.guests.push_back(std::move(parsed->guest));
  }
  // libvirt lists them in no order, not even in the same one twice. Of two that are given one address, who runs longer
  // has it, as by the hook.
  std::ranges::sort(result.guests, {}, &Guest::id);
  return result;
}

}  // namespace vmt::cli
