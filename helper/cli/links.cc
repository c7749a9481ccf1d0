// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/cli/links.h"

#include <algorithm>
#include <iterator>

namespace vmt::cli {
namespace {

bool is_nic_of(const Child& link, const Nic& nic) {
  if (nic.mac == link.mac) return true;
  if (link.nsid) return false;  // a name counts in our namespace only
  const auto* source = std::get_if<PremadeSource>(&nic.source);
  return nic.target == link.name || (source != nullptr && source->device == link.name);
}

}  // namespace

std::expected<Links, Error> all_links(RtnlKernel& kernel) {
  auto links = kernel.children();
  if (!links) return fail(links.error());
  auto elsewhere = kernel.children_elsewhere();
  if (!elsewhere && elsewhere.error().kind == ErrorKind::kPermission)
    return Links{.all = std::move(*links), .complete = false};
  if (!elsewhere) return fail(elsewhere.error());
  std::ranges::move(*elsewhere, std::back_inserter(*links));
  return Links{.all = std::move(*links)};
}

const Guest* guest_of(const Child& link, const std::vector<Guest>& guests) {
  const auto* use = link.use ? std::get_if<ForGuest>(&*link.use) : nullptr;
  for (const auto& guest : guests) {
    const bool is_users = std::ranges::any_of(guest.nics, [&](const Nic& nic) { return is_nic_of(link, nic); });
    if (use != nullptr ? guest.uuid == use->guest : is_users) return &guest;
  }
  return nullptr;
}

}  // namespace vmt::cli
