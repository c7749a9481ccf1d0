// SPDX-License-Identifier: LGPL-2.1-or-later
// The watcher: from what the kernel tells and what guests say to the same plan and apply as the hook's.
//
// Level-triggered: an event only says that it is time to look. A look reads everything, plans and applies under the
// lock that hook and commands take, too; nothing that the watcher knows is needed to find out what to do, but for the
// addresses that it has learned, and those are in the kernel. So it may be killed at any time.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "helper/watch/ears.h"
#include "lib/config.h"
#include "lib/learning.h"
#include "lib/rtnl_events.h"
#include "lib/rtnl_kernel.h"
#include "lib/watch_plan.h"
#include "xml/status_files.h"

namespace vmt::watch {

// A shim without guests stays for so long: a guest that restarts finds it again.
inline constexpr std::chrono::seconds kLinger{5};

class Watcher {
 public:
  using Log = std::function<void(std::string_view)>;
  using ReadConfig = std::function<Config()>;

  // Opens what it needs in the caller's network namespace and looks for the first time. An error is one that makes
  // watching pointless; later ones are logged, and tried again.
  static std::expected<std::unique_ptr<Watcher>, Error> start(boost::asio::io_context& io, ReadConfig read_config,
                                                              Log log);
  ~Watcher();

  // Reads the configuration again.
  void reload();
  // The last look, for who stops: shims that wait for a guest go now, as nobody else takes them away.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  Watcher(boost::asio::io_context& io, ReadConfig read_config, Log log, RtnlKernel kernel, RtnlEvents events);

  void wait_for_events();
  void take_events();  // and waits again
  // Whether it calls for a look.
  bool matters(const Event& event);
  bool hears_of(unsigned link) const;

  void look_soon();
  void look();
  Status look_around();
  Status read_guests();
  Status converge(Owned owned);
  std::set<unsigned> lingering(const Owned& owned);
  // False: not at all places.
  bool listen();
  // A look that has not done all is not the last one, nor is one at a NIC of which libvirt may yet write whose it is.
  void look_again_unless(bool all_is_done);
  void slow_down_when_somebody_undoes(const std::vector<Change>& changes);

  void hear(unsigned parent, std::span<const Heard> heard);
  void tick();
  // Carries out what learning has decided, and sets its timer.
  void carry_out_decisions();
  void set_up(const std::vector<LearnedAddress>& learned);
  void prompt(const LearnedAddress& one);
  const Ground* ground(unsigned parent) const;

  // What a look has found: each line once, until a look does without it.
  void say(const std::vector<std::string>& lines);

  ReadConfig read_config_;
  Log log_;
  Config config_;
  RtnlKernel kernel_;
  RtnlEvents events_;
  StatusFiles domains_;
  Learning learning_;
  Ears ears_;

  boost::asio::posix::stream_descriptor events_ready_;
  boost::asio::steady_timer events_timer_;  // until they are read again, after an error
  boost::asio::steady_timer look_timer_;
  boost::asio::steady_timer again_timer_;
  boost::asio::steady_timer linger_timer_;
  boost::asio::steady_timer learning_timer_;
  bool look_is_due_ = false;
  std::chrono::milliseconds pause_{0};  // between two looks, longer when they cost much or help nothing
  Clock::time_point last_look_{};

  std::set<std::pair<MacAddress, IpAddress>> withdrawn_;  // given by the file before it was read again
  std::vector<Ground> grounds_;
  std::vector<Child> elsewhere_;  // in other namespaces
  bool elsewhere_changed_ = true;
  std::optional<std::vector<unsigned>> heard_of_;  // links of which events are told; nullopt: all
  // Of the shims that there are, by parent: a shim keeps its MAC when its parent gets another one.
  std::map<unsigned, MacAddress> shim_macs_;
  std::chrono::seconds linger_ = kLinger;
  std::map<unsigned, Clock::time_point> idle_until_;  // shims without guests, by parent
  std::vector<LearnedAddress> unprompted_;            // learned, left to the next look
  std::set<std::string> said_;
  std::vector<std::string> last_changes_;
  Clock::time_point last_changed_{};
  int failures_ = 0;    // looks in a row
  int unfinished_ = 0;  // looks in a row that have not done all
  int undone_ = 0;      // how many times in a row the same changes were necessary
  bool first_ = true;
};

}  // namespace vmt::watch
