// SPDX-License-Identifier: LGPL-2.1-or-later
// Reading: what the host has and what we own. rtnl_apply.cc has the other half.
#include "lib/rtnl_kernel.h"

#include <fmt/core.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>

#include "lib/algorithm.h"
#include "lib/parent_check.h"
#include "lib/rtnl_device.h"
#include "lib/upper_links.h"

namespace vmt {
namespace {

bool is_shim(const LinkAnswer& link) {
  return link.group == kShimGroup && link.kind == "macvlan";
}

bool is_configured(const LinkAnswer& link) {
  const auto is = [](const std::optional<int>& value, int wanted) { return !value || *value == wanted; };
  return (link.flags & IFF_UP) && link.mode == MacvlanMode::kBridge && is(link.arp_filter, 1) &&
         is(link.forwarding6, 1) && is(link.proxy_ndp, 1) && link.accept_ra != 2;
}

void add_gateways(const std::vector<RouteAnswer>& routes, Parent& parent) {
  for (const auto& route : routes)
    for (const auto& gateway : route.gateways)
      if (!contains(parent.gateways, gateway)) parent.gateways.push_back(gateway);
}

}  // namespace

std::expected<RtnlKernel, Error> RtnlKernel::open() {
  auto socket = RtnlSocket::open();
  if (!socket) return fail(socket.error());
  return RtnlKernel(std::move(*socket));
}

std::expected<std::vector<AddressAnswer>, Error> RtnlKernel::addresses(unsigned index) {
  auto answers = socket_.collect(request::addresses_on(index), "list addresses", decode_address);
  if (answers) std::erase_if(*answers, [](const AddressAnswer& a) { return a.scope != RT_SCOPE_UNIVERSE; });
  return answers;
}

std::expected<std::vector<NeighbourAnswer>, Error> RtnlKernel::neighbours(const NlMsg& query) {
  return socket_.collect(query, "list neighbours", decode_neighbour);
}

std::expected<std::optional<unsigned>, Error> RtnlKernel::index_of(const IfName& name) {
  const auto answer = read_link(socket_, request::link_by_name(name), "look up " + name.str());
  if (answer) return answer->index;
  if (answer.error().kind == ErrorKind::kNotFound) return std::nullopt;
  return fail(answer.error());
}

std::expected<Parent, Error> RtnlKernel::parent(const IfName& name, const Suspects& suspects) {
  auto answer = read_link(socket_, request::link_by_name(name), fmt::format("look up parent {}", name.str()));
  if (!answer) return fail(answer.error());
  return describe_parent(*answer, suspects);
}

std::expected<Parent, Error> RtnlKernel::parent(unsigned index, const Suspects& suspects) {
  auto answer = read_link(socket_, request::link_by_index(index), fmt::format("look up parent {}", index));
  if (!answer) return fail(answer.error());
  return describe_parent(*answer, suspects);
}

std::expected<Parent, Error> RtnlKernel::describe_parent(const LinkAnswer& link, const Suspects& suspects) {
  if (!link.mac) return fail(invalid(fmt::format("parent {}: not an Ethernet link", link.name.str())));
  // The kernel would put the shim beside it, on the real device.
  if (link.kind == "macvlan" || link.kind == "macvtap")
    return fail(invalid(fmt::format("parent {} is a {} itself: in bridge mode its guests reach it without a shim",
                                    link.name.str(), link.kind)));
  Parent parent{.index = link.index,
                .name = link.name,
                .mac = *link.mac,
                .up = (link.flags & IFF_UP) != 0,
                .carrier = link.carrier,
                .wireless = is_wireless(link.name),
                .addresses = {},
                .gateways = {}};
  auto found = addresses(link.index);
  if (!found) return fail(found.error());
  for (const auto& address : *found) {
    constexpr unsigned kUnfit = IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED;
    // In IPv4 the same bit means "secondary", which is as good a source as any.
    const bool temporary = !address.prefix.address.is_v4() && (address.flags & IFA_F_TEMPORARY);
    parent.addresses.push_back({address.prefix, !(address.flags & kUnfit) && !temporary});
  }
  if (auto status = read_gateways(suspects, parent); !status) return fail(status.error());
  return parent;
}

Status RtnlKernel::read_gateways(const Suspects& suspects, Parent& parent) {
  if (suspects) {
    auto unclear = read_default_gateways(*suspects, parent);
    if (unclear && !*unclear) unclear = has_neighbour_among(*suspects, parent);
    if (!unclear) return fail(unclear.error());
    if (!*unclear) return {};
  }
  const auto routes = socket_.collect(request::routes_on(parent.index), "list routes", decode_route);
  if (!routes) return fail(routes.error());
  add_gateways(*routes, parent);
  return {};
}

// Whether it has found something else than a default route or none.
std::expected<bool, Error> RtnlKernel::read_default_gateways(const std::vector<IpAddress>& suspects, Parent& parent) {
  bool unclear = false;
  for (const int family : {AF_INET, AF_INET6}) {
    if (!contains(suspects, family, &IpAddress::family)) continue;
    const auto routes =
        socket_.collect(request::default_route(family, parent.index), "look up the default route", decode_route);
    // That there is none is an answer.
    if (!routes && routes.error().kind == ErrorKind::kNotNow) return fail(routes.error());
    if (!routes) continue;
    add_gateways(*routes, parent);
    for (const auto& answer : *routes)
      unclear = unclear || (answer.gateways.empty() && answer.route.destination.length > 0);
  }
  return unclear;
}

std::expected<bool, Error> RtnlKernel::has_neighbour_among(const std::vector<IpAddress>& suspects,
                                                           const Parent& parent) {
  for (const auto& suspect : suspects) {
    if (contains(parent.gateways, suspect)) continue;
    const auto found = neighbours(request::neighbour_at(parent.index, suspect));
    if (found) return true;
    if (found.error().kind != ErrorKind::kNotFound) return fail(found.error());
  }
  return false;
}

std::expected<std::optional<Child>, Error> RtnlKernel::child(const IfName& name) {
  const auto answer = read_link(socket_, request::link_by_name(name), "look up " + name.str());
  if (answer) return child_of(*answer);
  if (answer.error().kind == ErrorKind::kNotFound) return std::nullopt;
  return fail(answer.error());
}

std::expected<std::vector<Child>, Error> RtnlKernel::children() {
  std::vector<Child> children;
  for (const char* kind : {"macvtap", "macvlan"}) {
    auto links = read_links(socket_, kind);
    if (!links) return fail(links.error());
    for (const auto& l : *links)
      if (auto child = child_of(l)) children.push_back(std::move(*child));
  }
  return children;
}

std::expected<std::optional<std::vector<Child>>, Error> RtnlKernel::few_beside(const Shim& shim) {
  constexpr std::size_t kFew = 8;
  const auto parent = read_link(socket_, request::link_by_index(shim.parent), "look up parent");
  if (!parent && parent.error().kind != ErrorKind::kNotFound) return fail(parent.error());
  const auto names = parent ? upper_links(parent->name, shim.name) : std::nullopt;
  if (!names || names->size() > kFew) return std::nullopt;
  std::vector<Child> beside;
  for (const auto& name : *names) {
    if (name == shim.name) continue;
    auto found = child(name);
    if (!found) return fail(found.error());
    // A VLAN or a bridge; or one that has been renamed meanwhile.
    if (!*found) return std::nullopt;
    if ((*found)->parent == shim.parent) beside.push_back(std::move(**found));
  }
  return beside;
}

std::expected<std::vector<Child>, Error> RtnlKernel::children_beside(const Shim& shim) {
  auto few = few_beside(shim);
  if (!few) return fail(few.error());
  if (*few) return std::move(**few);
  auto all = children();
  if (all) std::erase_if(*all, [&](const Child& c) { return c.parent != shim.parent || c.index == shim.index; });
  return all;
}

std::expected<std::optional<RouteView>, Error> RtnlKernel::route_to(const IpAddress& address) {
  auto answers =
      socket_.collect(request::route_to(address), fmt::format("look up the route to {}", address.str()), decode_route);
  if (answers && !answers->empty()) return answers->front().route;
  if (!answers && answers.error().kind == ErrorKind::kNotNow) return fail(answers.error());
  // No route is an answer, not a failure: ENETUNREACH, or EHOSTUNREACH and friends from a route that forbids it.
  return std::nullopt;
}

std::expected<std::vector<LinkAnswer>, Error> RtnlKernel::shim_links(const Scope& scope) {
  if (!scope.parents) {
    auto links = read_links(socket_, "macvlan");
    if (links) std::erase_if(*links, [](const LinkAnswer& l) { return !is_shim(l); });
    return links;
  }
  std::vector<LinkAnswer> found;
  for (const unsigned parent : *scope.parents) {
    auto answer = read_link(socket_, request::link_by_index(shim_index(parent)), "look up shim");
    if (answer && is_shim(*answer) && answer->lower == parent && !answer->lower_nsid)
      found.push_back(std::move(*answer));
    if (!answer && answer.error().kind != ErrorKind::kNotFound) return fail(answer.error());
  }
  return found;
}

std::expected<Shim, Error> RtnlKernel::describe_shim(const LinkAnswer& link) {
  Shim shim{.index = link.index,
            .name = link.name,
            .parent = link.lower_nsid ? 0 : link.lower,
            .mac = *link.mac,
            .role = role_of_alias(link.alias),
            .configured = is_configured(link),
            .addresses = {},
            .proxied = {}};
  auto found = addresses(link.index);
  if (!found) return fail(found.error());
  for (const auto& address : *found) shim.addresses.push_back(address.prefix);
  auto proxies = neighbours(request::proxies_on(link.index));
  if (!proxies) return fail(proxies.error());
  for (const auto& proxy : *proxies)
    if (proxy.proxy && proxy.device == link.index) shim.proxied.push_back(proxy.address);
  return shim;
}

Status RtnlKernel::read_routes(const Shim& shim, const Scope& scope, Owned& owned) {
  const auto take = [&](const RouteView& route) {
    const bool ours = route.protocol == kGuestProtocol || route.protocol == kManualProtocol;
    const IpAddress& guest = route.destination.address;
    if (scope.addresses && !contains(*scope.addresses, guest)) return;
    if (ours && route.device == shim.index && route.destination.length == guest.bits())
      owned.routes.push_back({guest, shim.index, route.source, route.protocol == kManualProtocol});
  };
  if (scope.addresses) {
    for (const auto& address : *scope.addresses) {
      auto route = route_to(address);
      if (!route) return fail(route.error());
      if (*route) take(**route);
    }
    // A pinned neighbour without its route: it may only be hidden, by a rule that looks into another table first.
    const auto lacks_route = [&](const GuestNeighbour& n) {
      return n.shim == shim.index && !contains(owned.routes, n.guest, &GuestRoute::guest);
    };
    if (std::ranges::none_of(owned.neighbours, lacks_route)) return {};
    std::erase_if(owned.routes, [&](const GuestRoute& r) { return r.shim == shim.index; });
  }
  auto routes = socket_.collect(request::routes_on(shim.index), "list routes", decode_route);
  if (!routes) return fail(routes.error());
  for (const auto& answer : *routes) take(answer.route);
  return {};
}

Status RtnlKernel::read_neighbours(const Shim& shim, const Scope& scope, Owned& owned) {
  const auto take = [&](const NeighbourAnswer& n) {
    const auto origin = origin_of(n.protocol);
    if (n.device != shim.index || !n.mac || n.proxy) return;
    if (n.protocol == kMarkProtocol) owned.marks.push_back({.at = n.address, .shim = shim.index, .mark = *n.mac});
    if (!origin) return;
    owned.neighbours.push_back(
        {.guest = n.address, .shim = shim.index, .mac = *n.mac, .origin = *origin, .age = n.age});
  };
  if (scope.addresses) {
    std::vector<IpAddress> points = *scope.addresses;
    for (const auto& mac : scope.marks) points.push_back(mark_address(mac));
    for (const auto& address : points) {
      auto found = neighbours(request::neighbour_at(shim.index, address));
      if (!found && found.error().kind != ErrorKind::kNotFound) return fail(found.error());
      if (found)
        for (const auto& neighbour : *found) take(neighbour);
    }
    return {};
  }
  auto found = neighbours(request::neighbours_on(shim.index));
  if (!found) return fail(found.error());
  for (const auto& neighbour : *found) take(neighbour);
  return {};
}

// A list that is not read to its end keeps its socket busy, and a new one gets it in the smallest portions.
std::expected<bool, Error> RtnlKernel::serves_others(const Shim& shim, std::span<const MacAddress> macs) {
  auto socket = RtnlSocket::open();
  if (!socket) return fail(socket.error());
  std::vector<IpAddress> own_marks;
  for (const auto& mac : macs) own_marks.push_back(mark_address(mac));
  const auto is_anothers = [&](nlmsghdr* message) {
    const auto n = decode_neighbour(message);
    if (!n || n->device != shim.index || !n->mac || n->proxy) return false;
    return n->protocol == kMarkProtocol ? !contains(own_marks, n->address)
                                        : origin_of(n->protocol) && !contains(macs, *n->mac);
  };
  return socket->any(request::neighbours_on(shim.index), "list neighbours", is_anothers);
}

std::expected<Owned, Error> RtnlKernel::owned(const Scope& scope) {
  auto links = shim_links(scope);
  if (!links) return fail(links.error());
  Owned owned;
  for (const auto& answer : *links) {
    auto shim = describe_shim(answer);
    if (!shim) return fail(shim.error());
    if (auto status = read_neighbours(*shim, scope, owned); !status) return fail(status.error());
    if (auto status = read_routes(*shim, scope, owned); !status) return fail(status.error());
    names_.insert_or_assign(shim->parent, shim->name);
    owned.shims.push_back(std::move(*shim));
  }
  return owned;
}

}  // namespace vmt
