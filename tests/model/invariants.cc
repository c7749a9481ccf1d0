// SPDX-License-Identifier: LGPL-2.1-or-later
// What has to hold whatever has happened.
#include <fmt/core.h>
#include <sys/wait.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "lib/algorithm.h"
#include "tests/model/twin.h"
#include "tests/model/world.h"

namespace vmt::model {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds kSettled{12'000};  // a watcher has looked and learned by then
constexpr milliseconds kPoll{15};
constexpr milliseconds kReminder{400};
constexpr milliseconds kEcho{1'000};

const Shim* shim_on(const Owned& owned, unsigned parent) {
  const auto it = std::ranges::find(owned.shims, parent, &Shim::parent);
  return it == owned.shims.end() ? nullptr : &*it;
}

}  // namespace

// An address that a running guest has, or claims.
struct World::Expected {
  unsigned guest, slot;
  IpAddress address;
  bool learned;
  Parent parent;
  // Why it need not work; and what then has to be said about it, somewhere; both empty: it has to.
  std::string excuse, word;
  bool may_ping = false;
};

std::string World::reports() {
  const std::string words = " --connect test:///run/node.xml 2>&1";
  return said_ + run(VMT_BINARY_DIR "/virt-macvtap status --json" + words).out +
         run(VMT_BINARY_DIR "/virt-macvtap plan" + words).out + run("cat /run/watch.log").out;
}

// What keeps a `sync` from doing all that it wants.
std::string World::troubles() {
  std::string all;
  for (unsigned i = 0; i < kParents; ++i) {
    const auto parent = kernel_.parent(*IfName::parse(parent_name(i)));
    if (parent && *kernel_.index_of(shim_name(parent->index)) && shim_on(owned(), parent->index) == nullptr)
      all += fmt::format("{} has a stranger's shim; ", parent_name(i));
  }
  for (const auto& [shim, address] : strangers_on_shims(owned()))
    all += fmt::format("a stranger's neighbour {}; ", address.str());
  for (const auto& [address, parent] : foreign_routes_) all += fmt::format("a stranger's route to {}; ", address.str());
  return all;
}

// ---- what is expected ----------------------------------------------------------------------------------------------

bool World::is_claimed_elsewhere(const Expected& one) {
  if (contended_.contains(one.address) || by_hand_.contains(one.address)) return true;
  for (unsigned guest = 0; guest < kGuests; ++guest) {
    if (!(guest == one.guest && one.slot == 0) && contains(state_.configured[guest], one.address)) return true;
    for (unsigned slot = 0; slot < kNics; ++slot) {
      const auto& nic = state_.guests[guest].nics[slot];
      if (!nic || (guest == one.guest && slot == one.slot)) continue;
      if (contains(nic->given, one.address) || nic->announced.contains(one.address)) return true;
    }
  }
  return false;
}

void World::excuse(Expected& one, const NicState& nic) {
  const Parent& parent = one.parent;
  const auto because = [&](const std::string& why, const std::string& word) {
    if (one.excuse.empty()) one.excuse = why, one.word = word;
  };
  // Of what nobody has learned, nobody has anything to say.
  if (one.learned && watcher_ <= 0) because("nobody learns", "");
  if (one.learned && (!nic.up || !parent.up || !parent.carrier)) because("nobody can hear it", "");
  if (one.learned &&
      (state_.learn == 2 || (state_.learn == 1 && !(nic.given.empty() && state_.configured[one.guest].empty()))))
    because("learning is forbidden", "");
  const bool renamed = parent.name.str() != kPlans[nic.parent].name;
  if (state_.guests[one.guest].switched_off) because("its guest is switched off", "");
  if (state_.off[nic.parent]) because("its parent is switched off", "");
  if (renamed || nic.source != parent.name.str()) because("its parent is renamed", "");
  if (nic.mode != MacvlanMode::kBridge)
    because("its mode", fmt::format("no host access in mode {}", to_string(nic.mode)));
  if (*kernel_.index_of(shim_name(parent.index)) && shim_on(owned(), parent.index) == nullptr)
    because("a stranger has the shim's name", shim_name(parent.index).str());
  const std::string text = one.address.str();
  bool on_link = false;
  for (const auto& own : parent.addresses) {
    on_link = on_link || own.prefix.contains(one.address);
    if (own.prefix.address == one.address) because("it is the host's", text);
  }
  if (!on_link) because("it is off-link", text);
  if (contains(parent.gateways, one.address)) because("it is a gateway's", text);
  if (is_claimed_elsewhere(one)) because("another has it, too", one.learned ? "" : text);
  const auto route = kernel_.route_to(one.address);
  if (route && *route && (*route)->destination.length == one.address.bits() &&
      (*route)->device != shim_index(parent.index))
    because("a stranger has a route to it", text);
  if (strangers_on_shims(owned()).contains({shim_index(parent.index), one.address}))
    because("a stranger has a permanent neighbour", text);
  if (meddled_ && watcher_ > 0) because("its shim was meddled with", "not as virt-macvtap has left it");
  if (one.learned && nic.announced.size() > state_.max_addresses) because("there are too many", "max-addresses");
}

std::vector<World::Expected> World::expected() {
  std::vector<Expected> all;
  for (unsigned guest = 0; guest < kGuests; ++guest)
    for (unsigned slot = 0; slot < kNics; ++slot) {
      const auto& nic = state_.guests[guest].nics[slot];
      if (!nic || !state_.guests[guest].running) continue;
      const auto parent = kernel_.parent(*IfName::parse(parent_name(nic->parent)));
      if (!parent) throw std::runtime_error(parent.error().message);
      std::vector<IpAddress> given = nic->given;
      if (slot == 0) given.insert(given.end(), state_.configured[guest].begin(), state_.configured[guest].end());
      given = unique(std::move(given));
      const auto add = [&](const IpAddress& address, bool learned) {
        Expected one{.guest = guest, .slot = slot, .address = address, .learned = learned, .parent = *parent};
        excuse(one, *nic);
        one.may_ping =
            is_a_guests(address) && nic->up && parent->up && parent->carrier && nic->mode == MacvlanMode::kBridge;
        all.push_back(std::move(one));
      };
      for (const auto& address : given) add(address, false);
      for (const auto& address : nic->announced)
        if (!contains(given, address)) add(address, true);
    }
  return all;
}

void World::check_expected(const Expected& one, const Owned& owned) {
  const std::string who = fmt::format("{} of {} ({} on {})", one.address.str(), guest_name(one.guest),
                                      mac_of(one.guest, one.slot).str(), one.parent.name.str());
  const Shim* shim = shim_on(owned, one.parent.index);
  const auto is_ours = [&](const auto& object) { return object.guest == one.address && object.shim == shim->index; };
  const auto neighbour = shim ? std::ranges::find_if(owned.neighbours, is_ours) : owned.neighbours.end();
  const auto route = shim ? std::ranges::find_if(owned.routes, is_ours) : owned.routes.end();
  const bool served = shim && shim->configured && neighbour != owned.neighbours.end() && route != owned.routes.end() &&
                      neighbour->mac == mac_of(one.guest, one.slot);
  if (!served) {
    if (one.excuse.empty()) throw Violation("reach", who + " is not set up, and nothing speaks against it");
    if (!one.word.empty() && reports().find(one.word) == std::string::npos)
      throw Violation("reach", fmt::format("{} is not set up as {}, and nobody says so", who, one.excuse));
    return;
  }
  if (!one.excuse.empty()) return;
  const bool good_source = route->source && (std::ranges::any_of(one.parent.addresses,
                                                                 [&](const HostAddress& own) {
                                                                   return own.prefix.address == *route->source &&
                                                                          own.prefix.contains(one.address);
                                                                 }) ||
                                             contains(shim->addresses, *route->source, &IpPrefix::address));
  if (!good_source) throw Violation("reach", who + " has a route with a source that is not the host's");
  const bool numbered = std::ranges::any_of(
      shim->addresses, [&](const IpPrefix& own) { return own.address.is_v4() == one.address.is_v4(); });
  if (state_.numbered[state_.guests[one.guest].nics[one.slot]->parent] && !numbered)
    throw Violation("reach", who + ": the shim has no number");
  Stack* stack = stack_of(one.guest, one.slot);
  if (!one.may_ping || stack == nullptr) return;
  if (!echoes(one.address, kEcho)) throw Violation("reach", "the host does not reach " + who);
  if (!stack->resolves(one.address, *route->source, kEcho))
    throw Violation("reach", fmt::format("{} does not find the host at {}", who, route->source->str()));
}

// ---- whose is what
// ---------------------------------------------------------------------------------------------------

void World::check_owners(const Owned& owned, bool shims_too) {
  const auto children = kernel_.children();
  if (!children) throw std::runtime_error(children.error().message);
  const auto is_guest = [&](const Child& child, unsigned parent) {
    if (!child.macvtap || child.parent != parent || child.mode != MacvlanMode::kBridge) return false;
    for (unsigned i = 0; i < kGuests * kNics; ++i)
      if (child.mac == mac_of(i / kNics, i % kNics) && state_.guests[i / kNics].switched_off) return false;
    for (unsigned i = 0; i < kParents; ++i)
      if (state_.off[i] && kernel_.index_of(*IfName::parse(kPlans[i].name)) == parent) return false;
    return true;
  };
  // Wanted by whoever has called `host up`, whatever the configuration says of the parent and its guests.
  const auto is_by_hand = [&](const GuestNeighbour& neighbour) {
    return neighbour.origin == Origin::kManual && by_hand_.contains(neighbour.guest);
  };
  // A stranger's entry is where ours would be, and `sync` has said so.
  const auto strangers = strangers_on_shims(owned);
  for (const auto& shim : owned.shims) {
    const bool by_hand = shim.role == ShimRole::kManual || std::ranges::any_of(owned.routes, [&](const GuestRoute& r) {
                           return r.manual && r.shim == shim.index;
                         });
    const bool used = std::ranges::any_of(*children, [&](const Child& child) { return is_guest(child, shim.parent); });
    if (shims_too && !used && !by_hand) throw Violation("owner", shim.name.str() + " is nobody's");
    for (const auto& neighbour : owned.neighbours)
      if (neighbour.shim == shim.index && !is_by_hand(neighbour) &&
          std::ranges::none_of(*children, [&](const Child& child) {
            return child.mac == neighbour.mac && is_guest(child, shim.parent);
          }))
        throw Violation("owner", fmt::format("neighbour {} on {} is nobody's", neighbour.guest.str(), shim.name.str()));
  }
  for (const auto& mark : owned.marks) {
    const auto shim = std::ranges::find(owned.shims, mark.shim, &Shim::index);
    if (std::ranges::none_of(*children, [&](const Child& child) {
          return mark_address(child.mac) == mark.at && is_guest(child, shim->parent);
        }))
      throw Violation("owner", fmt::format("mark {} on {} is nobody's", mark.at.str(), shim->name.str()));
  }
  for (const auto& route : owned.routes) {
    const bool explained = strangers.contains({route.shim, route.guest}) ||
                           std::ranges::any_of(owned.neighbours, [&](const GuestNeighbour& n) {
                             return n.guest == route.guest && n.shim == route.shim;
                           });
    if (route.manual ? !by_hand_.contains(route.guest) : !explained)
      throw Violation("owner", fmt::format("route to {} is nobody's", route.guest.str()));
  }
  for (const auto& child : *children) {
    if (!child.ours || stale_.contains(child.name.str()) || stacks_.contains(child.name.str())) continue;
    bool known = false;
    for (unsigned i = 0; i < kStandings; ++i)
      known = known || (state_.standings[i] && child.name.str() == standing_name(i));
    if (!known) throw Violation("owner", child.name.str() + " is nobody's");
  }
}

void World::check_second_plan() {
  const Output planned = run(VMT_BINARY_DIR "/virt-macvtap plan --json --connect test:///run/node.xml");
  if (planned.status != 0) throw Violation("again", "plan: " + planned.err);
  const json document = json::parse(planned.out);
  for (const auto& change : document["changes"]) {
    const std::string what = change["change"];
    const auto is_stale = [&](const json& name) { return stale_.contains(name.get<std::string>()); };
    // Under a watcher it waits for guests, for what the kernel tells nobody of, or for a sync, which alone deletes
    // devices.
    const bool may_wait = what == "delete-shim" || (what == "finish-shim" && meddled_) ||
                          (what == "add-proxy" && unproxied_ &&
                           reports().find("does not answer guests that look") != std::string::npos) ||
                          (what == "delete-devices" && std::ranges::all_of(change["names"], is_stale));
    if (watcher_ <= 0 || !may_wait)
      throw Violation("again", "there is still something to do: " + std::string(change["text"]));
  }
}

// ---- when
// --------------------------------------------------------------------------------------------------------------

void World::check_guest(unsigned guest) {
  if (watcher_ > 0) return;
  const Owned all = owned();
  for (const auto& one : expected())
    if (one.guest == guest && !one.learned) check_expected(one, all);
}

// A guest that gets no answer speaks again.
void World::remind_of_unknown() {
  const Owned all = owned();
  for (unsigned i = 0; i < kGuests * kNics; ++i) {
    const auto& nic = state_.guests[i / kNics].nics[i % kNics];
    Stack* stack = stack_of(i / kNics, i % kNics);
    if (stack == nullptr || !nic->up) continue;
    for (const auto& address : nic->announced)
      if (!contains(all.neighbours, address, &GuestNeighbour::guest)) stack->announce(address);
  }
}

void World::check_all(const Output& synced, bool wait_for_lingering) {
  const Owned all = owned();
  for (const auto& one : expected()) check_expected(one, all);
  check_owners(all, watcher_ <= 0 || wait_for_lingering);
  if (synced.status == 0 && troubles().empty()) check_second_plan();
}

void World::settle(bool wait_for_lingering) {
  if (watcher_ <= 0) {
    const Output synced = sync();
    if (synced.status != 0 && troubles().empty())
      throw Violation("again", "sync failed, and nothing keeps it from working: " + synced.err);
    return check_all(synced, true);
  }
  const auto deadline = Clock::now() + kSettled;
  auto reminder = Clock::now();
  for (;;) {
    if (waitpid(watcher_, nullptr, WNOHANG) != 0) {
      watcher_ = -1;
      throw Violation("watcher", "it has died: " + run("cat /run/watch.log").out);
    }
    if (Clock::now() >= reminder) remind_of_unknown(), reminder = Clock::now() + kReminder;
    try {
      return check_all({}, wait_for_lingering);
    } catch (const Violation& violation) {
      if (Clock::now() > deadline) {
        story_ += run("cat /run/watch.log").out;
        throw;
      }
    }
    std::this_thread::sleep_for(kPoll);
  }
}

}  // namespace vmt::model
