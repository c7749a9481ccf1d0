// SPDX-License-Identifier: LGPL-2.1-or-later
// What libvirt and its guests do: the hook's calls in libvirt's order, macvtaps that come and go beside them, and what
// guests say on the wire.
#include <fmt/core.h>
#include <net/if.h>
#include <unistd.h>

#include "lib/algorithm.h"
#include "lib/tap_node.h"
#include "tests/model/world.h"

namespace vmt::model {
namespace {

constexpr std::array kModes = {MacvlanMode::kBridge, MacvlanMode::kVepa, MacvlanMode::kPrivate, MacvlanMode::kPassthru,
                               MacvlanMode::kBridge};

std::string status_file(unsigned guest) {
  return fmt::format("/run/libvirt/qemu/{}.xml", guest_name(guest));
}

// As libvirt does at a start: there, and down until the guest's CPUs run.
bool make_macvtap(NicState& nic, const MacAddress& mac) {
  nic.index = unique_index();
  const std::string address = nic.mode == MacvlanMode::kPassthru ? "" : "address " + mac.str();
  return run(fmt::format("ip link add link {} name {} index {} {} type macvtap mode {}", nic.source, nic.device,
                         nic.index, address, to_string(nic.mode)))
             .status == 0;
}

// A VMM opens it: its frames go to the tap then, and no longer to the host's own stack.
std::unique_ptr<Stack> open_stack(const NicState& nic, const MacAddress& mac) {
  auto queues = open_queues(*IfName::parse(nic.device), nic.index, {.queues = 1, .vnet_header = false});
  if (!queues) throw std::runtime_error(queues.error().message);
  return std::make_unique<Stack>(std::move(queues->front()), mac);
}

}  // namespace

Stack* World::stack_of(unsigned guest, unsigned slot) {
  const auto& nic = state_.guests[guest].nics[slot];
  const auto it = nic ? stacks_.find(nic->device) : stacks_.end();
  return it == stacks_.end() ? nullptr : it->second.get();
}

// libvirt's answers, and the files that it keeps for itself.
void World::tell_libvirt() {
  write_file("/run/node.xml", node_xml(state_));
  for (unsigned guest = 0; guest < kGuests; ++guest) {
    if (state_.guests[guest].running)
      write_file(status_file(guest), "<domstatus state='running'>" + domain_xml(state_, guest) + "</domstatus>");
    else
      unlink(status_file(guest).c_str());
  }
  tell_stacks();
}

// Guests use what they were given, and what they have announced.
void World::tell_stacks() {
  for (unsigned guest = 0; guest < kGuests; ++guest)
    for (unsigned slot = 0; slot < kNics; ++slot) {
      Stack* stack = stack_of(guest, slot);
      if (stack == nullptr) continue;
      const NicState& nic = *state_.guests[guest].nics[slot];
      std::set<IpAddress> addresses = nic.announced;
      for (const auto& given : nic.given)
        if (is_a_guests(given)) addresses.insert(given);
      for (const bool v4 : {true, false})
        for (const unsigned which : {0, 3})
          if (const auto own = address_of(guest, slot, nic.parent, v4, which)) addresses.insert(*own);
      stack->set_addresses(std::move(addresses));
    }
}

void World::make_nic(unsigned guest, unsigned slot, unsigned parent, unsigned kind, unsigned given) {
  state_.guests[guest].nics[slot] =
      NicState{.parent = parent,
               .source = parent_name(parent),
               .mode = kModes[kind % kNicKinds],
               .premade = static_cast<NicKind>(kind % kNicKinds) == NicKind::kPremade,
               .device = device_name(guest, slot, static_cast<NicKind>(kind % kNicKinds) == NicKind::kPremade),
               .given = given_by(guest, slot, parent, given),
               .announced = {}};
}

void World::start(const Step& step, bool goes_up) {
  const unsigned guest = step.what[0] % kGuests;
  GuestState& it = state_.guests[guest];
  if (it.running) return;
  it.switched_off = (step.what[3] & kSwitchedOff) != 0;
  make_nic(guest, 0, step.what[1] % kParents, step.what[2], step.what[3]);
  NicState& nic = *it.nics[0];
  story_ += fmt::format("    {} on {}, {}\n", guest_name(guest), nic.source, nic.device);
  if (!goes_up) hook(guest, "migrate");
  const bool prepared = hook(guest, "prepare").status == 0;
  stale_.erase(nic.device);
  bool there = prepared;
  if (nic.premade && prepared) {
    nic.index = if_nametoindex(nic.device.c_str());
    const auto made = kernel_.child(*IfName::parse(nic.device));
    if (!made || !*made || (*made)->mode != MacvlanMode::kBridge || (*made)->mac != mac_of(guest, 0) || !(*made)->ours)
      throw Violation("premade", nic.device + " is not as the metadata has it");
    nic.up = (*made)->up;
  } else if (!nic.premade) {
    there = make_macvtap(nic, mac_of(guest, 0));
  }
  it.running = true;
  if (!there) return stop(guest);
  stacks_[nic.device] = open_stack(nic, mac_of(guest, 0));
  tell_libvirt();
  hook(guest, "start");
  if (!goes_up) return check_guest(guest);
  if (!set_up(guest, true)) return stop(guest);
  hook(guest, "started");
  check_guest(guest);
}

void World::stop(unsigned guest) {
  GuestState& it = state_.guests[guest];
  if (!it.running) return;
  hook(guest, "stopped");
  for (const auto& nic : it.nics)
    if (nic) {
      stacks_.erase(nic->device);
      if (!nic->premade) run("ip link del " + nic->device);
    }
  const GuestState as_it_was = it;
  hook(guest, "release");
  it.running = false;
  it.nics.fill({});
  tell_libvirt();
  if (watcher_ > 0) return;
  // What was left of an earlier life keeps its MAC's share.
  const auto children = kernel_.children();
  for (unsigned slot = 0; slot < kNics; ++slot)
    if (as_it_was.nics[slot] &&
        std::ranges::any_of(
            owned().neighbours,
            [&](const GuestNeighbour& n) { return n.mac == mac_of(guest, slot) && n.origin != Origin::kManual; }) &&
        children && !contains(*children, mac_of(guest, slot), &Child::mac))
      throw Violation("owner", guest_name(guest) + " has been released, and something of it is still there");
  check_idle_shims(as_it_was);
}

// Without a watcher a shim goes with the last guest that its parent has.
void World::check_idle_shims(const GuestState& released) {
  const auto children = kernel_.children();
  const Owned all = owned();
  for (const auto& shim : all.shims) {
    const auto was_on = [&](const std::optional<NicState>& nic) {
      return nic && nic->mode == MacvlanMode::kBridge && kernel_.index_of(*IfName::parse(nic->source)) == shim.parent;
    };
    if (!children || shim.role == ShimRole::kManual || std::ranges::none_of(released.nics, was_on)) continue;
    const auto needs = [&](const Child& child) { return child.macvtap && child.parent == shim.parent; };
    if (std::ranges::none_of(*children, needs) && !contains(all.neighbours, shim.index, &GuestNeighbour::shim) &&
        !contains(all.routes, shim.index, &GuestRoute::shim))
      throw Violation("owner", shim.name.str() + " has outlived its last guest");
  }
}

// A power cut of libvirtd, say, while its guest ends: nobody calls a hook.
void World::kill(unsigned guest) {
  GuestState& it = state_.guests[guest];
  if (!it.running) return;
  for (auto& nic : it.nics)
    if (nic) {
      stacks_.erase(nic->device);
      if (nic->premade)
        stale_.insert(nic->device);
      else
        run("ip link del " + nic->device);
      nic.reset();
    }
  it.running = false;
  tell_libvirt();
}

void World::plug(const Step& step) {
  const unsigned guest = step.what[0] % kGuests, parent = step.what[1] % kParents;
  GuestState& it = state_.guests[guest];
  if (!it.running || it.nics[1]) return;
  make_nic(guest, 1, parent, 0, step.what[2]);
  NicState& nic = *it.nics[1];
  if (!make_macvtap(nic, mac_of(guest, 1))) return it.nics[1].reset();
  stacks_[nic.device] = open_stack(nic, mac_of(guest, 1));
  if (run(fmt::format("ip link set {} up", nic.device)).status != 0)
    unplug(guest, 1);
  else
    nic.up = true;
  tell_libvirt();
}

void World::unplug(unsigned guest, unsigned slot) {
  auto& nic = state_.guests[guest].nics[slot];
  stacks_.erase(nic->device);
  run("ip link del " + nic->device);
  nic.reset();
}

bool World::set_up(unsigned guest, bool up) {
  bool done = true;
  for (auto& nic : state_.guests[guest].nics) {
    if (!nic) continue;
    if (run(fmt::format("ip link set {} {}", nic->device, up ? "up" : "down")).status == 0)
      nic->up = up;
    else
      done = false;
  }
  return done;
}

void World::reconnect() {
  for (unsigned guest = 0; guest < kGuests; ++guest)
    if (state_.guests[guest].running) hook(guest, "reconnect");
}

void World::announce(unsigned guest, unsigned slot, unsigned which) {
  Stack* stack = stack_of(guest, slot);
  if (stack == nullptr) return;
  NicState& nic = *state_.guests[guest].nics[slot];
  const auto address = announced_by(guest, slot, nic.parent, which);
  if (!address) return;
  for (unsigned other = 0; other < kGuests * kNics; ++other)
    if (const auto& another = state_.guests[other / kNics].nics[other % kNics];
        another && &*another != &nic && another->announced.contains(*address))
      contended_.insert(*address);
  nic.announced.insert(*address);
  tell_stacks();
  if (nic.up) stack->announce(*address);
}

void World::forsake(unsigned guest, unsigned slot) {
  auto& nic = state_.guests[guest].nics[slot];
  if (!nic) return;
  // Whoever wants one of them now may have to wait until its holder's silence has been noticed.
  contended_.insert(nic->announced.begin(), nic->announced.end());
  nic->announced.clear();
  tell_stacks();
}

void World::configure_given(unsigned guest) {
  auto& configured = state_.configured[guest];
  const auto& nic = state_.guests[guest].nics[0];
  if (!configured.empty()) {
    configured.clear();
  } else {
    for (const bool v4 : {true, false})
      if (const auto address = address_of(guest, 0, nic ? nic->parent : guest % kParents, v4, 3))
        configured.push_back(*address);
  }
  write_config();
}

}  // namespace vmt::model
