// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/fake_kernel.h"

#include <algorithm>
#include <cerrno>

#include "lib/algorithm.h"

namespace vmt {
namespace {

Status failed(int error_number, const Change& change) {
  return fail(errno_error(error_number, describe(change)));
}

template <typename Container, typename Predicate>
Status erase_one(Container& container, const Change& change, Predicate predicate) {
  if (std::erase_if(container, predicate) == 0) return failed(ENOENT, change);
  return {};
}

Parent with_gateways_among(Parent parent, const Suspects& suspects) {
  if (suspects) std::erase_if(parent.gateways, [&](const IpAddress& gateway) { return !contains(*suspects, gateway); });
  return parent;
}

}  // namespace

unsigned FakeKernel::add_parent(const char* name, const char* mac, std::vector<const char*> addresses,
                                const char* gateway) {
  Parent parent{.index = next_index_++,
                .name = *IfName::parse(name),
                .mac = *MacAddress::parse(mac),
                .up = true,
                .carrier = true,
                .addresses = {},
                .gateways = {}};
  for (const char* address : addresses) parent.addresses.push_back({*IpPrefix::parse(address), true});
  if (gateway != nullptr) parent.gateways.push_back(*IpAddress::parse(gateway));
  parents_.push_back(parent);
  return parent.index;
}

unsigned FakeKernel::add_child(unsigned parent, const char* name, const char* mac, MacvlanMode mode, bool macvtap) {
  children_.push_back({.index = next_index_++,
                       .name = *IfName::parse(name),
                       .parent = parent,
                       .mac = *MacAddress::parse(mac),
                       .mode = mode,
                       .macvtap = macvtap,
                       .up = true});
  return children_.back().index;
}

unsigned FakeKernel::add_unfinished(unsigned parent, const char* name, const char* mac) {
  const unsigned index = add_child(parent, name, mac, MacvlanMode::kBridge);
  children_.back().up = false;
  children_.back().ours = true;
  return index;
}

void FakeKernel::set_parent_state(unsigned index, bool up, bool carrier, bool wireless) {
  for (auto& parent : parents_) {
    if (parent.index != index) continue;
    parent.up = up;
    parent.carrier = carrier;
    parent.wireless = wireless;
  }
}

void FakeKernel::remove_link(unsigned index) {
  std::erase_if(parents_, [&](const Parent& p) { return p.index == index; });
  std::erase_if(children_, [&](const Child& c) { return c.index == index || c.parent == index; });
  const auto shims = owned_.shims;
  for (const auto& shim : shims)
    if (shim.index == index || shim.parent == index) {
      std::erase_if(owned_.shims, [&](const Shim& s) { return s.index == shim.index; });
      std::erase_if(owned_.routes, [&](const GuestRoute& r) { return r.shim == shim.index; });
      std::erase_if(owned_.neighbours, [&](const GuestNeighbour& n) { return n.shim == shim.index; });
      std::erase_if(owned_.marks, [&](const GuestMark& m) { return m.shim == shim.index; });
    }
}

void FakeKernel::add_foreign_route(const char* destination, unsigned device) {
  foreign_routes_.emplace(*IpAddress::parse(destination), device);
}

void FakeKernel::add_foreign_link(const char* name) {
  foreign_links_.insert(name);
}

void FakeKernel::set_host(Host host) {
  parents_ = std::move(host.parents);
  children_ = std::move(host.children);
  owned_ = std::move(host.owned);
  foreign_routes_ = std::move(host.foreign_routes);
  foreign_links_ = std::move(host.foreign_links);
  foreign_neighbours_ = std::move(host.foreign_neighbours);
  for (const auto& parent : parents_) next_index_ = std::max(next_index_, parent.index + 1);
  for (const auto& child : children_) next_index_ = std::max(next_index_, child.index + 1);
}

std::expected<Parent, Error> FakeKernel::parent(const IfName& name, const Suspects& suspects) {
  const auto it = std::ranges::find(parents_, name, &Parent::name);
  if (it == parents_.end()) return fail(errno_error(ENODEV, "look up parent " + name.str()));
  return with_gateways_among(*it, suspects);
}

std::expected<Parent, Error> FakeKernel::parent(unsigned index, const Suspects& suspects) {
  const auto it = std::ranges::find(parents_, index, &Parent::index);
  if (it == parents_.end()) return fail(errno_error(ENODEV, "look up parent"));
  return with_gateways_among(*it, suspects);
}

std::expected<std::optional<unsigned>, Error> FakeKernel::index_of(const IfName& name) {
  if (const auto device = child(name); device && *device) return (*device)->index;
  const auto found = parent(name);
  return found ? std::optional(found->index) : std::nullopt;
}

std::expected<std::optional<Child>, Error> FakeKernel::child(const IfName& name) {
  const auto all = *FakeKernel::children();
  const auto it = std::ranges::find(all, name, &Child::name);
  return it == all.end() ? std::nullopt : std::optional(*it);
}

std::expected<std::vector<Child>, Error> FakeKernel::children() {
  auto all = children_;
  for (const auto& shim : owned_.shims)
    all.push_back({.index = shim.index,
                   .name = shim.name,
                   .parent = shim.parent,
                   .mac = shim.mac,
                   .mode = MacvlanMode::kBridge,
                   .macvtap = false,
                   .up = shim.configured});
  return all;
}

std::expected<std::vector<Child>, Error> FakeKernel::children_beside(const Shim& shim) {
  auto all = *FakeKernel::children();
  std::erase_if(all, [&](const Child& c) { return c.parent != shim.parent || c.index == shim.index; });
  return all;
}

std::expected<std::optional<RouteView>, Error> FakeKernel::route_to(const IpAddress& address) {
  for (const auto& parent : parents_)
    for (const auto& own : parent.addresses)
      if (own.prefix.address == address)
        return RouteView{
            .destination = {address, address.bits()}, .device = 1, .protocol = 2, .source = {}, .local = true};
  for (const auto& route : owned_.routes)
    if (route.guest == address)
      return RouteView{.destination = {address, address.bits()},
                       .device = route.shim,
                       .protocol = route.manual ? kManualProtocol : kGuestProtocol,
                       .source = route.source,
                       .local = false};
  if (const auto it = foreign_routes_.find(address); it != foreign_routes_.end())
    return RouteView{
        .destination = {address, address.bits()}, .device = it->second, .protocol = 3, .source = {}, .local = false};
  for (const auto& parent : parents_)
    for (const auto& own : parent.addresses)
      if (own.prefix.contains(address))
        return RouteView{.destination = own.prefix,
                         .device = parent.index,
                         .protocol = 2,
                         .source = own.prefix.address,
                         .local = false};
  return std::nullopt;
}

std::expected<Owned, Error> FakeKernel::owned(const Scope& scope) {
  Owned result;
  for (const auto& shim : owned_.shims)
    if (!scope.parents || contains(*scope.parents, shim.parent)) result.shims.push_back(shim);
  const auto in_scope = [&](const auto& object) {
    return contains(result.shims, object.shim, &Shim::index) &&
           (!scope.addresses || contains(*scope.addresses, object.guest));
  };
  std::ranges::copy_if(owned_.routes, std::back_inserter(result.routes), in_scope);
  std::ranges::copy_if(owned_.neighbours, std::back_inserter(result.neighbours), in_scope);
  std::ranges::copy_if(owned_.marks, std::back_inserter(result.marks), [&](const GuestMark& m) {
    return contains(result.shims, m.shim, &Shim::index) &&
           (!scope.addresses || contains(scope.marks, m.at, mark_address));
  });
  return result;
}

std::expected<bool, Error> FakeKernel::serves_others(const Shim& shim, std::span<const MacAddress> macs) {
  return std::ranges::any_of(owned_.neighbours,
                             [&](const GuestNeighbour& n) { return n.shim == shim.index && !contains(macs, n.mac); }) ||
         std::ranges::any_of(owned_.marks, [&](const GuestMark& m) {
           return m.shim == shim.index && !contains(macs, m.at, mark_address);
         });
}

Shim* FakeKernel::shim_on(unsigned parent) {
  const auto it = std::ranges::find(owned_.shims, parent, &Shim::parent);
  return it == owned_.shims.end() ? nullptr : &*it;
}

Status FakeKernel::add(const CreateShim& change) {
  if (!parent(change.parent)) return failed(ENODEV, change);
  if (shim_on(change.parent) != nullptr || foreign_links_.contains(shim_name(change.parent).str()))
    return failed(EEXIST, change);
  for (const auto& child : children_)
    if (child.parent == change.parent && child.mode == MacvlanMode::kPassthru) return failed(EINVAL, change);
  owned_.shims.push_back({.index = shim_index(change.parent),
                          .name = shim_name(change.parent),
                          .parent = change.parent,
                          .mac = change.mac,
                          .addresses = {},
                          .proxied = {}});
  return {};
}

Status FakeKernel::add(const AddNeighbour& change) {
  const Shim* shim = shim_on(change.parent);
  if (shim == nullptr) return failed(ENODEV, change);
  for (const auto& neighbour : owned_.neighbours)
    if (neighbour.shim == shim->index && neighbour.guest == change.guest) return failed(EEXIST, change);
  if (foreign_neighbours_.contains(change.guest)) return failed(EEXIST, change);
  owned_.neighbours.push_back({.guest = change.guest, .shim = shim->index, .mac = change.mac, .origin = change.origin});
  return {};
}

Status FakeKernel::add(const AddMark& change) {
  const Shim* shim = shim_on(change.parent);
  if (shim == nullptr) return failed(ENODEV, change);
  for (const auto& mark : owned_.marks)
    if (mark.shim == shim->index && mark.at == change.at) return failed(EEXIST, change);
  owned_.marks.push_back({.at = change.at, .shim = shim->index, .mark = change.mark});
  return {};
}

// An IPv4 route goes with its source, an IPv6 one only loses it; a link's last IPv4 address takes all of IPv4 along.
void FakeKernel::lose_address(const Shim& shim, const IpAddress& address) {
  const bool last =
      address.is_v4() && std::ranges::none_of(shim.addresses, [](const IpPrefix& p) { return p.address.is_v4(); });
  const auto goes = [&](const auto& object) { return last && object.guest.is_v4() && object.shim == shim.index; };
  std::erase_if(owned_.neighbours, goes);
  std::erase_if(owned_.marks, [&](const GuestMark& m) { return last && m.shim == shim.index; });
  std::erase_if(owned_.routes,
                [&](const GuestRoute& r) { return goes(r) || (address.is_v4() && r.source == address); });
  for (auto& route : owned_.routes)
    if (route.source == address) route.source.reset();
}

bool FakeKernel::is_hosts(const IpAddress& address) const {
  const auto has_it = [&](const Parent& p) {
    return std::ranges::any_of(p.addresses, [&](const HostAddress& own) { return own.prefix.address == address; });
  };
  return std::ranges::any_of(parents_, has_it) || std::ranges::any_of(owned_.shims, [&](const Shim& s) {
           return contains(s.addresses, address, &IpPrefix::address);
         });
}

Status FakeKernel::add(const AddRoute& change) {
  const Shim* shim = shim_on(change.parent);
  if (shim == nullptr) return failed(ENODEV, change);
  if (!shim->configured) return failed(ENETDOWN, change);
  for (const auto& route : owned_.routes)
    if (route.guest == change.guest) return failed(EEXIST, change);
  if (foreign_routes_.contains(change.guest)) return failed(EEXIST, change);
  if (!is_hosts(change.source)) return failed(EINVAL, change);
  owned_.routes.push_back({change.guest, shim->index, change.source, change.manual});
  return {};
}

bool FakeKernel::mac_in_use(unsigned parent, const MacAddress& mac, unsigned but_for) const {
  return std::ranges::any_of(parents_, [&](const Parent& p) { return p.index == parent && p.mac == mac; }) ||
         std::ranges::any_of(children_, [&](const Child& c) {
           return c.parent == parent && c.mac == mac && c.up && c.index != but_for;
         });
}

Status FakeKernel::add(const CreateDevice& change) {
  const DeviceSpec& spec = change.spec;
  const auto on = parent(spec.parent);
  if (!on) return failed(ENODEV, change);
  if (const auto same = *child(spec.name); same && same->ours && !same->use) remove_link(same->index);
  if (*child(spec.name) || *index_of(spec.name) || foreign_links_.contains(spec.name.str()))
    return failed(EEXIST, change);
  const auto others = children();
  for (const auto& other : *others)
    if (other.parent == spec.parent && (other.mode == MacvlanMode::kPassthru || spec.mode == MacvlanMode::kPassthru))
      return failed(EINVAL, change);
  constexpr std::uint32_t kMtu = 1500;          // every parent's, here
  constexpr std::uint32_t kQueueLength = 1000;  // MACVLAN_DEFAULT_BC_QUEUE_LEN
  if (spec.mtu.value_or(kMtu) > kMtu) return failed(EINVAL, change);
  const bool passthru = spec.mode == MacvlanMode::kPassthru;
  if (!passthru && spec.up && mac_in_use(spec.parent, *spec.mac, 0)) return failed(EADDRINUSE, change);
  children_.push_back({.index = next_index_++,
                       .name = spec.name,
                       .parent = spec.parent,
                       .mac = passthru ? on->mac : *spec.mac,
                       .mode = spec.mode,
                       .macvtap = spec.macvtap,
                       .up = spec.up,
                       .carrier = spec.up,
                       .mtu = spec.mtu.value_or(kMtu),
                       .allmulticast = true,
                       .promiscuous = spec.promiscuous,
                       .bc_queue_length = spec.bc_queue_length.value_or(kQueueLength),
                       .allowed = spec.allowed,
                       .ours = true,
                       .use = change.use});
  return {};
}

Status FakeKernel::alter(const ChangeDevice& change) {
  const auto it = std::ranges::find(children_, change.index, &Child::index);
  if (it == children_.end()) return failed(ENODEV, Change(change));
  const auto passthru = [](MacvlanMode mode) { return mode == MacvlanMode::kPassthru; };
  if (change.mode && passthru(*change.mode) != passthru(it->mode)) return failed(EINVAL, Change(change));
  if (change.mtu.value_or(0) > 1500) return failed(EINVAL, Change(change));
  const bool goes_up = change.up.value_or(it->up);
  const MacAddress mac = change.mac.value_or(it->mac);
  if (goes_up && mac_in_use(it->parent, mac, it->index)) return failed(EADDRINUSE, Change(change));
  it->mac = mac;
  it->mode = change.mode.value_or(it->mode);
  it->mtu = change.mtu.value_or(it->mtu);
  it->up = goes_up;
  it->allmulticast = change.allmulticast.value_or(it->allmulticast);
  return {};
}

// One overload a change.
struct FakeKernel::Applier {
  FakeKernel& self;
  const Change& change;

  Status operator()(const CreateShim& c) const { return self.add(c); }
  Status operator()(const AddNeighbour& c) const { return self.add(c); }
  Status operator()(const AddMark& c) const { return self.add(c); }
  Status operator()(const DeleteMark& c) const {
    return erase_one(self.owned_.marks, change, [&](const GuestMark& m) { return m.shim == c.shim && m.at == c.at; });
  }
  Status operator()(const AddRoute& c) const { return self.add(c); }
  Status operator()(const CreateDevice& c) const { return self.add(c); }
  Status operator()(const ChangeDevice& c) const { return self.alter(c); }
  Status operator()(const DeleteDevices& c) const {
    for (const auto& device : c.devices) self.remove_link(device.index);
    return {};
  }
  Status operator()(const FinishShim& c) const {
    Shim* shim = self.shim_on(c.parent);
    if (shim == nullptr) return failed(ENODEV, change);
    shim->configured = true;
    shim->role = c.role;
    return {};
  }
  Status operator()(const DeleteShim& c) const {
    if (!contains(self.owned_.shims, c.index, &Shim::index)) return failed(ENODEV, change);
    self.remove_link(c.index);
    return {};
  }
  Status operator()(const AddAddress& c) const { return insert(&Shim::addresses, c.parent, c.address); }
  Status operator()(const DeleteAddress& c) const {
    auto status = erase(&Shim::addresses, c.parent, c.address);
    if (status) self.lose_address(*self.shim_on(c.parent), c.address.address);
    return status;
  }
  Status operator()(const AddProxy& c) const {
    Shim* shim = self.shim_on(c.parent);
    if (shim == nullptr) return failed(ENODEV, change);
    if (!contains(shim->proxied, c.address)) shim->proxied.push_back(c.address);
    return {};
  }
  Status operator()(const DeleteProxy& c) const { return erase(&Shim::proxied, c.parent, c.address); }
  Status operator()(const DeleteNeighbour& c) const {
    return erase_one(self.owned_.neighbours, change,
                     [&](const GuestNeighbour& n) { return n.shim == c.shim && n.guest == c.guest; });
  }
  Status operator()(const DeleteRoute& c) const {
    return erase_one(self.owned_.routes, change, [&](const GuestRoute& r) {
      return r.shim == c.shim && r.guest == c.guest && r.manual == c.manual;
    });
  }

  template <typename T>
  Status insert(std::vector<T> Shim::*list, unsigned parent, const T& value) const {
    Shim* shim = self.shim_on(parent);
    if (shim == nullptr) return failed(ENODEV, change);
    if (contains(shim->*list, value)) return failed(EEXIST, change);
    (shim->*list).push_back(value);
    return {};
  }
  template <typename T>
  Status erase(std::vector<T> Shim::*list, unsigned parent, const T& value) const {
    Shim* shim = self.shim_on(parent);
    if (shim == nullptr) return failed(ENODEV, change);
    return erase_one(shim->*list, change, [&](const T& other) { return other == value; });
  }
};

Status FakeKernel::apply(const Change& change) {
  return std::visit(Applier{*this, change}, change);
}

}  // namespace vmt
