// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/desire.h"

#include <fmt/core.h>

#include <algorithm>

#include "lib/algorithm.h"
#include "lib/text.h"

namespace vmt {
namespace {

std::string_view why_no_shim(MacvlanMode mode) {
  switch (mode) {
    case MacvlanMode::kVepa:
      return "a vepa NIC reaches its host through a hairpin switch or not at all; use mode='bridge'";
    case MacvlanMode::kPrivate:
      return "a private NIC is cut off from its host on purpose; use mode='bridge'";
    case MacvlanMode::kPassthru:
      return "a passthrough NIC has the parent for itself; use mode='bridge'";
    default:
      return "host access needs mode='bridge'";
  }
}

void append_addresses(std::vector<IpAddress>& all, const std::vector<GivenAddresses>& given, const MacAddress& mac) {
  for (const auto& entry : given) {
    if (entry.mac != mac) continue;
    for (const auto& address : entry.addresses)
      if (!contains(all, address)) all.push_back(address);
  }
}

// Longest prefix first, then fitness; the kernel's own order decides between equals.
const HostAddress* best_address(const Parent& parent, const IpAddress& guest) {
  const HostAddress* best = nullptr;
  for (const auto& candidate : parent.addresses) {
    if (!candidate.prefix.contains(guest)) continue;
    const auto rank = [](const HostAddress& a) { return std::pair(a.preferred, a.prefix.length); };
    if (best == nullptr || rank(candidate) > rank(*best)) best = &candidate;
  }
  return best;
}

// What was learned holds nothing against what is given.
const GuestNeighbour* other_holder(const Facts& facts, const IpAddress& address, const MacAddress& mac) {
  if (facts.live.empty()) return nullptr;
  for (const auto& neighbour : facts.neighbours)
    if (neighbour.guest == address && neighbour.mac != mac && neighbour.origin == Origin::kGiven &&
        contains(facts.live, neighbour.mac))
      return &neighbour;
  return nullptr;
}

const Parent* find_parent(const Facts& facts, const IfName& name) {
  const auto it = std::ranges::find(facts.parents, name, &Parent::name);
  return it == facts.parents.end() ? nullptr : &*it;
}

using Holders = std::map<IpAddress, MacAddress>;

// Why this NIC may not have this address, given who has which already; empty when it may.
std::string why_refused(const IpAddress& address, Origin origin, const Attachment& nic, const Facts& facts,
                        const Holders& so_far) {
  const auto route = facts.routes.find(address);
  if (route != facts.routes.end() && route->second.local) return "is the host's own address";
  if (route != facts.routes.end() && route->second.destination.length == address.bits())
    return fmt::format("has a host route that is not ours (see `ip route show {}`)", address.str());
  if (const auto other = so_far.find(address); other != so_far.end())
    return origin == Origin::kGiven ? fmt::format("is given to {} and to {}", other->second.str(), nic.mac.str())
                                    : fmt::format("belongs to {}", other->second.str());
  if (contains(facts.manual, address, &GuestRoute::guest)) return "has a route made by `host up` already, which stays";
  if (const auto* holder = other_holder(facts, address, nic.mac))
    return fmt::format("is held by the guest with {}", holder->mac.str());
  return {};
}

void desire_addresses(const Attachment& nic, Origin origin, const Parent& parent, const Facts& facts,
                      const Config& config, Holders& so_far, Wish& wish) {
  const std::vector<IpPrefix> numbered = config.shim_addresses(parent.name);
  for (const auto& address : origin == Origin::kGiven ? nic.addresses : nic.learned) {
    const auto note = [&](std::string_view why) {
      wish.notes.push_back(fmt::format("guest {} ({} on {}): address {} {}; left out", quoted(nic.guest), nic.mac.str(),
                                       parent.name.str(), address.str(), why));
      wish.refused.emplace(address, wish.notes.back());
    };
    // Somebody has written down what the guest had said itself.
    const bool known = std::ranges::any_of(
        wish.desired.addresses, [&](const DesiredAddress& d) { return d.guest == address && d.mac == nic.mac; });
    if (origin == Origin::kLearned && known) continue;
    const auto source = source_for(address, parent, numbered);
    if (!source) {
      note(source.error().message);
    } else if (const auto why = why_refused(address, origin, nic, facts, so_far); !why.empty()) {
      note(why);
    } else {
      so_far.emplace(address, nic.mac);
      wish.desired.addresses.push_back(
          {.parent = parent.index, .guest = address, .source = *source, .mac = nic.mac, .origin = origin});
    }
  }
}

}  // namespace

Attachments attachments_of(const Guest& guest, const Config& config) {
  Attachments result;
  if (!guest.host_access) return result;
  for (const auto& nic : guest.nics) {
    const auto placement = placement_of(nic);
    if (!placement || !config.host_access_on(placement->parent)) continue;
    if (placement->mode != MacvlanMode::kBridge) {
      result.notes.push_back(fmt::format("guest {} ({} on {}): no host access in mode {}: {}", quoted(guest.name),
                                         nic.mac.str(), placement->parent.str(), to_string(placement->mode),
                                         why_no_shim(placement->mode)));
      continue;
    }
    Attachment attachment{.guest = guest.name,
                          .parent = placement->parent,
                          .mac = nic.mac,
                          .addresses = addresses_given(guest, config, nic.mac)};
    if (guest.uuid) attachment.mark = mark_of(*guest.uuid, nic.mac, attachment.addresses);
    result.nics.push_back(std::move(attachment));
  }
  return result;
}

std::vector<IpAddress> addresses_given(const Guest& guest, const Config& config, const MacAddress& mac) {
  std::vector<IpAddress> addresses;
  append_addresses(addresses, guest.given, mac);
  append_addresses(addresses, config.given_to(guest), mac);
  return addresses;
}

DesiredShim shim_for(const Parent& parent, ShimRole role, const std::vector<IpPrefix>& numbered) {
  DesiredShim shim{.parent = parent, .role = role, .addresses = numbered, .proxied = {}};
  const bool own_v6 = std::ranges::any_of(numbered, [](const IpPrefix& p) { return !p.address.is_v4(); });
  for (const auto& [prefix, preferred] : parent.addresses)
    if (!prefix.address.is_v4() && !own_v6) shim.proxied.push_back(prefix.address);
  return shim;
}

std::expected<IpAddress, Error> source_for(const IpAddress& guest, const Parent& parent,
                                           const std::vector<IpPrefix>& numbered) {
  if (const auto why = guest.why_not_a_guests(); !why.empty()) return fail(invalid(std::string(why)));
  const auto* host = best_address(parent, guest);
  if (host == nullptr)
    return fail(invalid(fmt::format("is off-link: no address of {} has it in its prefix", parent.name.str())));
  if (host->prefix.is_reserved(guest)) return fail(invalid(fmt::format("is reserved in {}", host->prefix.str())));
  for (const auto& own : parent.addresses)
    if (own.prefix.address == guest) return fail(invalid("is the host's own address"));
  if (contains(parent.gateways, guest)) return fail(invalid("is a gateway's address"));
  for (const auto& own : numbered) {
    if (own.address == guest) return fail(invalid("is the host's own address"));
    if (own.address.family() == guest.family()) return own.address;
  }
  return host->prefix.address;
}

Wish desire(std::span<const Attachment> nics, const Facts& facts, const Config& config) {
  Wish wish;
  Holders so_far;
  for (const auto& nic : nics) {
    const Parent* parent = find_parent(facts, nic.parent);
    if (parent == nullptr) continue;
    const bool known =
        std::ranges::any_of(wish.desired.shims, [&](const DesiredShim& s) { return s.parent.index == parent->index; });
    if (!known) {
      wish.desired.shims.push_back(shim_for(*parent, ShimRole::kGuests, config.shim_addresses(parent->name)));
      if (!parent->up)
        wish.notes.push_back(
            fmt::format("parent {} is down: host and guests cannot talk until it is up", parent->name.str()));
      if (parent->wireless)
        wish.notes.push_back(
            fmt::format("parent {} is wireless: access points drop frames with a guest's MAC, so its guests may reach "
                        "the host only",
                        parent->name.str()));
    }
    wish.desired.marks.push_back({.parent = parent->index, .mac = nic.mac, .mark = nic.mark});
    desire_addresses(nic, Origin::kGiven, *parent, facts, config, so_far, wish);
  }
  // After all that was given: it beats what was learned.
  for (const auto& nic : nics)
    if (const Parent* parent = find_parent(facts, nic.parent))
      desire_addresses(nic, Origin::kLearned, *parent, facts, config, so_far, wish);
  return wish;
}

}  // namespace vmt
