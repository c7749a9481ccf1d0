// SPDX-License-Identifier: LGPL-2.1-or-later
// The world: the program in it, and which step is whose.
#include "tests/model/world.h"

#include <fmt/core.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "lib/algorithm.h"
#include "lib/config_file.h"
#include "lib/devices.h"
#include "lib/host_access.h"
#include "tests/model/twin.h"
#include "xml/domain.h"

namespace vmt::model {
namespace {

const std::string kCli = VMT_BINARY_DIR "/virt-macvtap ";
const std::string kHook = VMT_BINARY_DIR "/virt-macvtap-hook ";
constexpr const char* kConnect = " --connect test:///run/node.xml";
constexpr const char* kNotify = "/run/notify";

void carry_out(FakeKernel& fake, const PlanResult& planned) {
  if (planned) apply_all(fake, planned->changes);
}

RtnlKernel open_kernel() {
  auto kernel = RtnlKernel::open();
  if (!kernel) throw std::runtime_error(kernel.error().message);
  return std::move(*kernel);
}

Config config_in_force() {
  return read_config().value_or(Config{});
}

}  // namespace

World::World() : kernel_(open_kernel()) {
  tell_libvirt();
  at_the_start_ = dump_all();
}

World::~World() {
  if (watcher_ <= 0) return;
  ::kill(watcher_, SIGKILL);
  waitpid(watcher_, nullptr, 0);
}

std::string World::story() {
  return std::exchange(story_, {});
}

// ---- what the program does, twice ------------------------------------------------------------------------------

Output World::act(const std::string& command, const Same& same) {
  const Dump before = dump_foreign();
  std::optional<Twin> twin;
  if (watcher_ <= 0) {
    auto made = Twin::of(kernel_, all_addresses());
    if (made) twin.emplace(std::move(*made));
  }
  const Output output = run(command);
  story_ += fmt::format("    $ {}{}\n{}{}", command, output.status == 0 ? "" : fmt::format("   -> {}", output.status),
                        output.out, output.err);
  said_ += output.err;
  if (output.status >= 128) throw Violation("crash", fmt::format("{}: status {}", command, output.status));
  auto changed = difference(before, dump_foreign());
  // `ip` asks for links and for what is on them one after the other, and a watcher may make a shim in between.
  if (!changed.empty() && watcher_ > 0) changed = difference(before, dump_foreign());
  if (!changed.empty()) throw Violation("foreign", fmt::format("{} changed what is not ours:\n{}", command, changed));
  if (!twin) return output;
  same(twin->fake());
  const auto differs = twin->difference(kernel_);
  if (!differs) throw std::runtime_error(differs.error().message);
  if (!differs->empty())
    throw Violation("fake", fmt::format("after {} the fake (-) and the kernel (+) differ:\n{}", command, *differs));
  return output;
}

Output World::cli(const std::string& words, const Same& same) {
  return act("timeout 60 " + kCli + words, same);
}

Guest World::guest_of(unsigned guest) const {
  return parse_domain(domain_xml(state_, guest)).value().guest;
}

std::vector<Guest> World::running() const {
  std::vector<Guest> guests;
  for (unsigned i = 0; i < kGuests; ++i)
    if (state_.guests[i].running) guests.push_back(guest_of(i));
  return guests;
}

std::optional<std::string> World::holder_of(const Child& device) const {
  return stacks_.contains(device.name.str()) ? std::optional<std::string>("the model") : std::nullopt;
}

Output World::hook(unsigned guest, const std::string& operation) {
  write_file("/run/domain.xml", domain_xml(state_, guest));
  const Guest told = guest_of(guest);
  const auto same = [&](FakeKernel& fake) {
    if (operation == "prepare") {
      carry_out(fake, plan_make_way(fake, told));
      carry_out(fake, plan_devices_for(fake, told));
    } else if (operation == "start" || operation == "reconnect") {
      carry_out(fake, plan_start(fake, told, config_in_force()));
    } else if (operation == "release") {
      carry_out(fake, plan_stop(fake, told, IdleShims::kGo));
      carry_out(fake, plan_devices_gone(fake, told));
    }
  };
  const Output output = act(fmt::format("{}{} {} begin - </run/domain.xml", kHook, guest_name(guest), operation), same);
  if (!output.out.empty()) throw Violation("hook", "the hook printed: " + output.out);
  if (output.status != 0 && operation != "prepare")
    throw Violation("hook", fmt::format("{} ended with status {}", operation, output.status));
  if (output.status != 0 && output.err.empty()) throw Violation("hook", operation + " failed without a word");
  return output;
}

Output World::sync() {
  std::vector<unsigned> devices;
  const auto children = kernel_.children();
  for (const auto& child : children.value_or(std::vector<Child>{}))
    if (child.ours) devices.push_back(child.index);
  const auto guests = running();
  const auto same = [&](FakeKernel& fake) {
    const auto find_holder = [&](const Child& device) { return holder_of(device); };
    const auto stale = plan_stale_devices(fake, guests, devices, find_holder);
    auto left = *fake.children();
    for (const auto& change : stale->changes)
      if (const auto* deletion = std::get_if<DeleteDevices>(&change))
        std::erase_if(
            left, [&](const Child& c) { return contains(deletion->devices, c.index, &DeleteDevices::Device::index); });
    carry_out(fake, plan_sync(fake, guests, config_in_force(), left));
    carry_out(fake, stale);
  };
  stale_.clear();
  meddled_ = unproxied_ = false;
  const Owned before = owned();
  const Output output = cli(fmt::format("sync{}", kConnect), same);
  const Owned after = owned();
  for (const auto& route : before.routes)
    if (route.manual && route.source && !contains(after.routes, route.guest, &GuestRoute::guest))
      throw Violation("by hand", fmt::format("sync took the route to {} that `host up` had made", route.guest.str()));
  return output;
}

void World::clean() {
  const auto find_holder = [&](const Child& device) { return holder_of(device); };
  const Output output = cli("clean", [&](FakeKernel& fake) {
    carry_out(fake, plan_clean(fake));
    carry_out(fake, plan_clean_devices(fake, find_holder));
  });
  if (output.status != 0) throw Violation("clean", "clean failed: " + output.err);
  state_.standings.fill({});
  stale_.clear();
  by_hand_.clear();
  if (watcher_ > 0) return;
  const Owned left = owned();
  if (!left.shims.empty() || !left.routes.empty() || !left.neighbours.empty())
    throw Violation("clean", "something of ours is left");
}

void World::host_up(unsigned parent, unsigned which) {
  const auto address = address_of(which % kGuests, 0, parent, which % 2 == 0, which < 4 ? 4 : 0);
  if (!address) return;
  const ManualRequest request{*IfName::parse(parent_name(parent)), {{*address}}, {}};
  by_hand_.insert(*address);
  // The command asks the guests which of them has the address, and so the plan alone does not know.
  const auto find_guest = [&](FakeKernel& fake) {
    for (const auto& found : owned().neighbours) {
      if (found.guest != *address || found.origin != Origin::kManual) continue;
      if (contains(fake.owned({})->neighbours, *address, &GuestNeighbour::guest)) continue;
      if (!is_a_guests(found.mac)) throw Violation("by hand", "host up has found a MAC that is no guest's");
      carry_out(fake, Planned{.changes = {AddNeighbour{kernel_.parent(request.parent)->index, *address, found.mac,
                                                       Origin::kManual}},
                              .notes = {}});
    }
  };
  cli(fmt::format("host up {} --guest {}", request.parent.str(), address->str()), [&](FakeKernel& fake) {
    carry_out(fake, plan_host_up(fake, request));
    find_guest(fake);
  });
}

void World::host_down(unsigned parent) {
  const ManualRequest request{*IfName::parse(parent_name(parent)), {}, {}};
  cli(fmt::format("host down {}", request.parent.str()),
      [&](FakeKernel& fake) { carry_out(fake, plan_host_down(fake, request)); });
  std::erase_if(by_hand_, [&](const IpAddress& address) {
    for (unsigned i = 0; i < 2 * kGuests; ++i)
      for (const unsigned of : {0, 4})
        if (address == address_of(i / 2, 0, parent, i % 2 == 0, of)) return true;
    return false;
  });
}

void World::create(unsigned which, unsigned parent) {
  const IfName name = *IfName::parse(standing_name(which));
  const DeviceSpec spec{.name = name,
                        .parent_name = *IfName::parse(parent_name(parent)),
                        .mac = standing_mac(which),
                        .mtu = {},
                        .bc_queue_length = {},
                        .allowed = {},
                        .owner = {}};
  const Output output =
      cli(fmt::format("create {} --parent {} --mac {}", name.str(), spec.parent_name.str(), spec.mac->str()),
          [&](FakeKernel& fake) {
            if (const auto planned = plan_create(fake, std::span(&spec, 1))) create_all_or_none(fake, planned->changes);
          });
  if (output.status == 0) state_.standings[which] = parent;
}

void World::remove(unsigned which) {
  const IfName name = *IfName::parse(standing_name(which));
  const Output output =
      cli("delete " + name.str(), [&](FakeKernel& fake) { carry_out(fake, plan_delete(fake, std::span(&name, 1))); });
  if (state_.standings[which] && output.status != 0) throw Violation("delete", output.err);
  state_.standings[which].reset();
}

// ---- the watcher and the configuration ---------------------------------------------------------------------------

void World::watch() {
  if (watcher_ > 0) return;
  unlink(kNotify);
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::strcpy(address.sun_path, kNotify);
  if (bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("cannot bind /run/notify");
  const timeval patience{.tv_sec = 20, .tv_usec = 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  watcher_ = fork();
  if (watcher_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setenv("NOTIFY_SOCKET", kNotify, 1);
    const std::string command = fmt::format("exec {} watch 2>>/run/watch.log", kCli);
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  char word[64] = {};
  if (recv(socket.get(), word, sizeof word - 1, 0) <= 0)
    throw Violation("watcher", "it does not become ready: " + run("cat /run/watch.log").out);
}

void World::stop_watcher(int signal) {
  if (watcher_ <= 0) return;
  ::kill(watcher_, signal);
  int status = 0;
  waitpid(std::exchange(watcher_, -1), &status, 0);
  if (signal == SIGTERM && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
    throw Violation("watcher", fmt::format("it ended with {}", status));
}

void World::write_config() {
  write_file("/etc/virt-macvtap.conf", config_text(state_));
  if (watcher_ > 0) ::kill(watcher_, SIGHUP);
}

std::set<IpAddress> World::all_addresses() const {
  std::set<IpAddress> all;
  for (unsigned guest = 0; guest < kGuests; ++guest) {
    for (unsigned parent = 0; parent < kParents; ++parent)
      for (unsigned which = 0; which < 5; ++which)
        for (unsigned slot = 0; slot < kNics; ++slot)
          for (const bool v4 : {true, false})
            if (const auto address = address_of(guest, slot, parent, v4, which)) all.insert(*address);
    for (const auto& nic : state_.guests[guest].nics)
      if (nic) all.insert(nic->given.begin(), nic->given.end());
  }
  return all;
}

// ---- steps ---------------------------------------------------------------------------------------------------------

void World::take(const Step& step) {
  const auto& [a, b, c, d] = step.what;
  switch (step.kind) {
    case Kind::kStart:
    case Kind::kMigrateIn:
      return start(step, step.kind == Kind::kStart);
    case Kind::kStop:
      return stop(a % kGuests);
    case Kind::kKill:
      return kill(a % kGuests);
    case Kind::kPlug:
      return plug(step);
    case Kind::kUnplug:
      if (state_.guests[a % kGuests].nics[1]) unplug(a % kGuests, 1);
      return tell_libvirt();
    case Kind::kPause:
    case Kind::kResume:
      set_up(a % kGuests, step.kind == Kind::kResume);
      return;
    case Kind::kMigrateOut:
      set_up(a % kGuests, false);
      return stop(a % kGuests);
    case Kind::kReconnect:
      return reconnect();
    case Kind::kAnnounce:
      return announce(a % kGuests, b % kNics, c % 4);
    case Kind::kForsake:
      return forsake(a % kGuests, b % kNics);
    case Kind::kConfigGiven:
      return configure_given(a % kGuests);
    case Kind::kConfigOff:
      state_.off[a % kParents] = !state_.off[a % kParents];
      return write_config();
    case Kind::kConfigLearn:
      state_.learn = a % 3;
      return write_config();
    case Kind::kConfigMax:
      state_.max_addresses = 1 + a % 5;
      return write_config();
    case Kind::kConfigNumbered:
      state_.numbered[a % kParents] = !state_.numbered[a % kParents];
      return write_config();
    case Kind::kSync:
      sync();
      return;
    case Kind::kClean:
      return clean();
    case Kind::kHostUp:
      return host_up(a % kParents, b % 6);
    case Kind::kHostDown:
      return host_down(a % kParents);
    case Kind::kCreate:
      return create(a % kStandings, b % kParents);
    case Kind::kDelete:
      return remove(a % kStandings);
    case Kind::kWatch:
      return watch();
    case Kind::kWatchTerm:
      return stop_watcher(SIGTERM);
    case Kind::kWatchKill:
      return stop_watcher(SIGKILL);
    case Kind::kSettle:
    case Kind::kLinger:
      return settle(step.kind == Kind::kLinger);
    default:
      return interfere(step);
  }
}

void World::finish() {
  for (unsigned guest = 0; guest < kGuests; ++guest) stop(guest);
  stop_watcher(SIGTERM);
  for (unsigned parent = 0; parent < kParents; ++parent)
    run(fmt::format("ip link del fs{0}; ip link del fm{0}", parent));
  for (const auto& [address, parent] : foreign_routes_) run(fmt::format("ip route del {} proto static", address.str()));
  clean();
  run("rm -f /etc/virt-macvtap.conf");
  for (unsigned parent = 0; parent < kParents; ++parent) reset_parent(parent);
  if (const auto left = difference(at_the_start_, dump_all()); !left.empty())
    throw Violation("undone", "the host is not as it was at the start:\n" + left);
}

}  // namespace vmt::model
