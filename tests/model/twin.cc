// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/model/twin.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/algorithm.h"
#include "tests/model/host.h"

namespace vmt::model {
namespace {

std::string list(auto values) {
  std::ranges::sort(values);
  std::string text;
  for (const auto& value : values) text += " " + value.str();
  return text;
}

// What is ours, a line each. Indices of devices are the kernel's to give.
std::expected<Dump, Error> ours(Kernel& kernel) {
  const auto owned = kernel.owned(Scope{});
  if (!owned) return fail(owned.error());
  const auto children = kernel.children();
  if (!children) return fail(children.error());
  Dump lines;
  for (const auto& shim : owned->shims)
    lines.insert(fmt::format("shim {} on {} {} role {} {} addresses{} proxied{}", shim.index, shim.parent,
                             shim.mac.str(), static_cast<int>(shim.role), shim.configured ? "configured" : "unfit",
                             list(shim.addresses), list(shim.proxied)));
  for (const auto& route : owned->routes)
    lines.insert(fmt::format("route {} on {} src {}{}", route.guest.str(), route.shim,
                             route.source ? route.source->str() : "none", route.manual ? " by hand" : ""));
  for (const auto& neighbour : owned->neighbours)
    lines.insert(fmt::format("neighbour {} on {} is {}{}", neighbour.guest.str(), neighbour.shim, neighbour.mac.str(),
                             neighbour.origin == Origin::kLearned ? ", learned" : ""));
  for (const auto& mark : owned->marks)
    lines.insert(fmt::format("mark {} on {} is {}", mark.at.str(), mark.shim, mark.mark.str()));
  for (const auto& child : *children)
    if (child.ours)
      lines.insert(fmt::format("device {} on {} {} {} for {}", child.name.str(), child.parent, to_string(child.mode),
                               child.mac.str(), child.use ? alias_of(*child.use) : "nobody"));
  return lines;
}

}  // namespace

std::set<OnShim> strangers_on_shims(const Owned& owned) {
  std::set<OnShim> found;
  for (const auto& shim : owned.shims) {
    const std::string text = run("ip -j neigh show nud permanent dev " + shim.name.str()).out;
    const auto entries = nlohmann::json::parse(text.empty() ? "[]" : text);
    for (const auto& entry : entries) {
      const auto address = IpAddress::parse(entry.value("dst", ""));
      const auto is_it = [&](unsigned on, const IpAddress& at) { return on == shim.index && at == address; };
      const bool is_ours =
          std::ranges::any_of(owned.neighbours, [&](const auto& n) { return is_it(n.shim, n.guest); }) ||
          std::ranges::any_of(owned.marks, [&](const auto& m) { return is_it(m.shim, m.at); });
      if (address && !is_ours) found.emplace(shim.index, *address);
    }
  }
  return found;
}

std::expected<Twin, Error> Twin::of(RtnlKernel& real, const std::set<IpAddress>& addresses) {
  FakeKernel::Host host;
  const auto owned = real.owned(Scope{});
  if (!owned) return fail(owned.error());
  host.owned = *owned;
  const auto children = real.children();
  if (!children) return fail(children.error());
  for (const auto& child : *children)
    if (!contains(owned->shims, child.index, &Shim::index)) host.children.push_back(child);
  for (unsigned i = 0; i < kParents; ++i) {
    const auto parent = real.parent(*IfName::parse(parent_name(i)));
    if (!parent) return fail(parent.error());
    host.parents.push_back(*parent);
    const IfName name = shim_name(parent->index);
    if (*real.index_of(name) && !contains(owned->shims, name, &Shim::name)) host.foreign_links.insert(name.str());
  }
  for (const auto& address : addresses) {
    const auto route = real.route_to(address);
    if (!route) return fail(route.error());
    if (*route && !(*route)->local && (*route)->destination.length == address.bits() &&
        !contains(owned->shims, (*route)->device, &Shim::index))
      host.foreign_routes.emplace(address, (*route)->device);
  }
  for (const auto& [shim, address] : strangers_on_shims(*owned)) host.foreign_neighbours.insert(address);
  Twin twin;
  twin.fake_.set_host(std::move(host));
  return twin;
}

std::expected<std::string, Error> Twin::difference(RtnlKernel& real) {
  const auto here = ours(real);
  if (!here) return fail(here.error());
  const auto there = ours(fake_);
  if (!there) return fail(there.error());
  return model::difference(*there, *here);
}

}  // namespace vmt::model
