// SPDX-License-Identifier: LGPL-2.1-or-later
// What everybody else does to a host: other programs, administrators, cables.
#include <fmt/core.h>
#include <net/if.h>

#include <thread>

#include "tests/model/world.h"

namespace vmt::model {
namespace {

const char* family(const IpAddress& address) {
  return address.is_v4() ? "-4" : "-6";
}

std::string name_of(unsigned shim, const Owned& owned) {
  for (const auto& one : owned.shims)
    if (one.index == shim) return one.name.str();
  return "nothing";
}

// Their addresses go when a parent is down, and so do all routes through it.
std::string addresses_again(unsigned parent) {
  const auto& plan = kPlans[parent];
  const std::string name = parent_name(parent);
  std::string commands;
  if (*plan.v6) commands += fmt::format("ip -6 addr replace {}10/64 dev {} nodad; ", plan.v6, name);
  if (parent == 0)
    commands += fmt::format("ip route replace default via {}1 dev {}; ip -6 route replace default via {}1 dev {}; ",
                            plan.v4, name, plan.v6, name);
  return commands;
}

}  // namespace

Owned World::owned() {
  auto all = kernel_.owned(Scope{});
  // A watcher may delete a link while it is being described.
  for (int tries = 0; !all && tries < 10; ++tries) all = kernel_.owned(Scope{});
  if (!all) throw std::runtime_error(all.error().message);
  return std::move(*all);
}

void World::shell(const std::string& command) {
  story_ += "    # " + command + "\n";
  story_ += run(command).err;
}

void World::interfere(const Step& step) {
  const auto& [a, b, c, d] = step.what;
  const unsigned parent = a % kParents;
  const std::string name = parent_name(parent);
  const auto& plan = kPlans[parent];
  const Owned all = owned();
  switch (step.kind) {
    case Kind::kDeleteRoute:
      if (all.routes.empty()) return;
      if (const auto& route = all.routes[a % all.routes.size()]; true)
        shell(fmt::format("ip {} route del {} dev {} proto {}", family(route.guest), route.guest.str(),
                          name_of(route.shim, all), route.manual ? kManualProtocol : kGuestProtocol));
      return;
    case Kind::kDeleteNeighbour:
      if (all.neighbours.empty()) return;
      if (const auto& neighbour = all.neighbours[a % all.neighbours.size()]; true)
        shell(fmt::format("ip neigh del {} dev {}", neighbour.guest.str(), name_of(neighbour.shim, all)));
      return;
    case Kind::kFlushRoutes:
      return shell("ip route flush proto 118; ip -6 route flush proto 118");
    case Kind::kDeleteShim:
      if (!all.shims.empty()) shell("ip link del " + all.shims[a % all.shims.size()].name.str());
      return;
    case Kind::kMeddle:
      if (!all.shims.empty()) meddle(all.shims[a % all.shims.size()], b);
      return;
    case Kind::kRenameShim:
      if (!all.shims.empty())
        if (const auto& shim = all.shims[a % all.shims.size()]; true)
          shell(fmt::format("ip link set {} name other{}", shim.name.str(), shim.parent));
      return;
    case Kind::kRenameParent:
      return shell(fmt::format("ip link set {} name {}", name, name == plan.name ? plan.renamed : plan.name));
    case Kind::kAddAddress:
      return shell(
          fmt::format("ip addr add {0}11/24 dev {1} 2>/dev/null || ip addr del {0}11/24 dev {1}", plan.v4, name));
    case Kind::kMoveAddress:
      shell(
          fmt::format("if ip -4 addr show dev {1} | grep -q ' {0}10/'; then ip addr del {0}10/24 dev {1}; ip addr add "
                      "{0}12/24 dev {1}; else ip addr del {0}12/24 dev {1}; ip addr add {0}10/24 dev {1}; fi",
                      plan.v4, name));
      return shell(addresses_again(parent));
    case Kind::kParentDown:
      return toggle_parent(parent);
    case Kind::kCable:
      return toggle_cable(parent);
    case Kind::kForeignRoute:
      return toggle_foreign_route(a % kGuests, b % 2 == 0);
    case Kind::kForeignNeighbour: {
      const auto& nic = state_.guests[a % kGuests].nics[0];
      const unsigned on = nic ? nic->parent : a % kParents;
      const auto address = address_of(a % kGuests, 0, on, true, 0);
      const unsigned shim = shim_index(if_nametoindex(parent_name(on).c_str()));
      return shell(fmt::format("ip neigh add {} dev {} lladdr 52:54:00:99:99:99 nud permanent", address->str(),
                               name_of(shim, all)));
    }
    case Kind::kForeignShim:
      return toggle_foreign_shim(parent);
    case Kind::kForeignMacvlan:
      return toggle_foreign_macvlan(parent);
    default:
      throw std::runtime_error("a step that nobody takes");
  }
}

void World::meddle(const Shim& shim, unsigned how) {
  const std::string& name = shim.name.str();
  const std::array commands = {
      fmt::format("echo 0 >/proc/sys/net/ipv4/conf/{}/arp_filter", name),
      fmt::format("echo 0 >/proc/sys/net/ipv6/conf/{}/proxy_ndp", name),
      fmt::format("echo 0 >/proc/sys/net/ipv6/conf/{}/forwarding", name),
      fmt::format("ip link set {} down", name),
      fmt::format("ip link set {} alias ''", name),
      fmt::format("ip neigh flush nud permanent dev {0}; ip -6 neigh flush proxy dev {0}", name),
  };
  if (how % commands.size() < 3) meddled_ = true;
  if (how % commands.size() == 5) unproxied_ = true;
  shell(commands[how % commands.size()]);
}

void World::toggle_parent(unsigned parent) {
  const std::string name = parent_name(parent);
  if (run(fmt::format("ip -br link show dev {} up | grep -q .", name)).status == 0)
    return shell(fmt::format("ip link set {} down", name));
  shell(fmt::format("ip link set {} up", name));
  shell(addresses_again(parent));
  // What hangs on it was refused to go up meanwhile, or is up again.
}

void World::toggle_cable(unsigned parent) {
  const auto& plan = kPlans[parent];
  const bool plugged = run(fmt::format("ip -n lan -br link show dev {} up | grep -q .", plan.name)).status == 0;
  shell(fmt::format("ip -n lan link set {} {}", plan.name, plugged ? "down" : "up"));
  // The kernel tells of a carrier some time later. A parent that is down has none to tell of.
  run(
      fmt::format("for i in $(seq 150); do test \"$(cat /sys/class/net/{}/carrier || echo {})\" = {} && exit; sleep "
                  "0.01; done",
                  parent_name(parent), plugged ? 0 : 1, plugged ? 0 : 1));
}

void World::toggle_foreign_route(unsigned guest, bool v4) {
  const auto& nic = state_.guests[guest].nics[0];
  const unsigned parent = nic ? nic->parent : guest % kParents;
  const auto address = address_of(guest, 0, parent, v4, 0);
  if (!address) return;
  if (foreign_routes_.erase(*address) > 0)
    return shell(fmt::format("ip {} route del {} proto static", family(*address), address->str()));
  const std::string command =
      fmt::format("ip {} route add {} dev {} proto static", family(*address), address->str(), parent_name(parent));
  if (run(command).status != 0) return;
  story_ += "    # " + command + "\n";
  foreign_routes_.emplace(*address, parent_name(parent));
}

void World::toggle_foreign_shim(unsigned parent) {
  const unsigned index = if_nametoindex(parent_name(parent).c_str());
  if (run(fmt::format("ip link show fs{}", parent)).status == 0) return shell(fmt::format("ip link del fs{}", parent));
  shell(fmt::format("ip link add {} type veth peer name fs{}", shim_name(index).str(), parent));
}

void World::toggle_foreign_macvlan(unsigned parent) {
  if (run(fmt::format("ip link show fm{}", parent)).status == 0) return shell(fmt::format("ip link del fm{}", parent));
  shell(
      fmt::format("ip link add link {1} name fm{0} type macvlan mode bridge && ip link set fm{0} alias 'virt-macvtap: "
                  "host access for guests' up; ip route add 10.9.{0}.0/24 dev fm{0} proto 118; ip neigh add "
                  "10.9.{0}.1 dev fm{0} lladdr 52:54:00:99:99:98 nud permanent",
                  parent, parent_name(parent)));
}

}  // namespace vmt::model
