// SPDX-License-Identifier: LGPL-2.1-or-later
// The world that steps happen in: real namespaces, the real hook, command and watcher, and what the model believes.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>

#include "lib/config.h"
#include "lib/guest.h"
#include "lib/rtnl_kernel.h"
#include "tests/fake_kernel.h"
#include "tests/model/stack.h"
#include "tests/model/state.h"

namespace vmt::model {

// An invariant does not hold.
struct Violation : std::runtime_error {
  Violation(std::string which, const std::string& text) : runtime_error(text), invariant(std::move(which)) {}
  std::string invariant;
};

class World {
 public:
  // The process is in enter_host()'s namespaces.
  World();
  ~World();

  // Both throw Violation. After a step what has to hold at once is checked, at a kSettle everything.
  void take(const Step& step);
  // Everybody stops, everything foreign goes, `clean`: the host is as it was at the start.
  void finish();

  // What has been run and said since the last call, for people.
  std::string story();

 private:
  // What the library does to the twin where the program does it to the host.
  using Same = std::function<void(FakeKernel&)>;

  // ---- world.cc: the program ----
  Output act(const std::string& command, const Same& same);
  Output cli(const std::string& words, const Same& same);
  Output hook(unsigned guest, const std::string& operation);
  Output sync();
  void clean();
  void host_up(unsigned parent, unsigned which);
  void host_down(unsigned parent);
  void create(unsigned which, unsigned parent);
  void remove(unsigned which);
  void watch();
  void stop_watcher(int signal);
  void write_config();
  std::set<IpAddress> all_addresses() const;
  Guest guest_of(unsigned guest) const;
  std::vector<Guest> running() const;
  std::optional<std::string> holder_of(const Child& device) const;

  // ---- world_guests.cc ----
  void start(const Step& step, bool goes_up);
  void make_nic(unsigned guest, unsigned slot, unsigned parent, unsigned kind, unsigned given);
  void stop(unsigned guest);
  void check_idle_shims(const GuestState& released);
  void kill(unsigned guest);
  void plug(const Step& step);
  void unplug(unsigned guest, unsigned slot);
  bool set_up(unsigned guest, bool up);
  void reconnect();
  void announce(unsigned guest, unsigned slot, unsigned which);
  void forsake(unsigned guest, unsigned slot);
  void configure_given(unsigned guest);
  void tell_libvirt();
  void tell_stacks();
  Stack* stack_of(unsigned guest, unsigned slot);

  // ---- world_foreign.cc ----
  void interfere(const Step& step);
  void meddle(const Shim& shim, unsigned how);
  void toggle_parent(unsigned parent);
  void toggle_cable(unsigned parent);
  void toggle_foreign_route(unsigned guest, bool v4);
  void toggle_foreign_shim(unsigned parent);
  void toggle_foreign_macvlan(unsigned parent);
  Owned owned();
  void shell(const std::string& command);

  // ---- invariants.cc ----
  void settle(bool wait_for_lingering);
  void check_all(const Output& synced, bool wait_for_lingering);
  void check_guest(unsigned guest);
  void check_owners(const Owned& owned, bool shims_too);
  void check_second_plan();
  struct Expected;
  std::vector<Expected> expected();
  void excuse(Expected& one, const NicState& nic);
  void check_expected(const Expected& one, const Owned& owned);
  bool is_claimed_elsewhere(const Expected& one);
  void remind_of_unknown();
  std::string reports();
  std::string troubles();

  RtnlKernel kernel_;
  State state_;
  Dump at_the_start_;
  std::map<std::string, std::unique_ptr<Stack>> stacks_;  // by device
  pid_t watcher_ = -1;
  std::set<IpAddress> by_hand_;                      // asked for with `host up`
  std::set<std::string> stale_;                      // pre-made devices of guests that were killed
  std::map<IpAddress, std::string> foreign_routes_;  // and the parent's name
  std::set<IpAddress> contended_;                    // claimed by two at some time
  bool meddled_ = false;                             // with what the kernel tells nobody of, since the last sync
  bool unproxied_ = false;  // so, too: a shim's proxy entries, which any news of it brings back
  std::string said_;        // by hooks and commands
  std::string story_;
};

}  // namespace vmt::model
