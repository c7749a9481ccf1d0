// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/watch/watcher.h"

#include <fmt/core.h>
#include <linux/neighbour.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <iterator>
#include <utility>

#include "lib/algorithm.h"
#include "lib/lock.h"

namespace vmt::watch {
namespace {

using std::chrono::milliseconds;

// Events come in bursts: a link that appears is up, has an address, ... in the next millisecond.
constexpr milliseconds kBurst{2};
constexpr milliseconds kLockPatience{2000};
constexpr int kSilentFailures = 3;
constexpr milliseconds kRetry{1000};  // after a look that failed, or news that could not be read
// After a look that could not do all: twice as long each time.
constexpr milliseconds kFirstAgain{1000};
constexpr milliseconds kLastAgain{64'000};
constexpr std::chrono::seconds kAtOnce{3};
constexpr int kTolerated = 5;  // times that somebody may undo the same changes before we take our time

}  // namespace

Watcher::Watcher(boost::asio::io_context& io, ReadConfig read_config, Log log, RtnlKernel kernel, RtnlEvents events)
    : read_config_(std::move(read_config)),
      log_(std::move(log)),
      config_(read_config_()),
      kernel_(std::move(kernel)),
      events_(std::move(events)),
      learning_(config_),
      ears_(
          io, [this](unsigned parent, std::span<const Heard> heard) { hear(parent, heard); },
          [this](unsigned parent, const MacAddress& mac, std::chrono::seconds length) {
            learning_.cannot_hear(parent, mac, Clock::now() + length, Clock::now());
          },
          log_),
      events_ready_(io, events_.fd()),
      events_timer_(io),
      look_timer_(io),
      again_timer_(io),
      linger_timer_(io),
      learning_timer_(io) {}

Watcher::~Watcher() {
  events_ready_.release();  // the socket is events_'s
}

std::expected<std::unique_ptr<Watcher>, Error> Watcher::start(boost::asio::io_context& io, ReadConfig read_config,
                                                              Log log) {
  auto kernel = RtnlKernel::open();
  if (!kernel) return fail(kernel.error());
  auto events = RtnlEvents::open();
  if (!events) return fail(events.error());
  if (!events->hears_other_namespaces())
    log("without CAP_NET_BROADCAST and CAP_NET_ADMIN macvtaps in other namespaces (`exec`, the helper) are not seen");
  std::unique_ptr<Watcher> watcher(
      new Watcher(io, std::move(read_config), std::move(log), std::move(*kernel), std::move(*events)));
  if (auto status = watcher->look_around(); !status) return fail(status.error());
  watcher->wait_for_events();
  return watcher;
}

void Watcher::reload() {
  const auto before = std::exchange(config_, read_config_()).nics();
  const auto now = config_.nics();
  for (const auto& [mac, nic] : before)
    for (const auto& address : nic.given)
      if (const auto it = now.find(mac); it == now.end() || !contains(it->second.given, address))
        withdrawn_.emplace(mac, address);
  look_soon();
}

void Watcher::finish() {
  linger_ = {};
  idle_until_.clear();
  elsewhere_changed_ = true;  // the news of it may be unread
  if (const auto status = look_around(); !status) log_(status.error().message);
}

// ---- events ----

void Watcher::wait_for_events() {
  events_ready_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const auto& error) {
    if (error == boost::asio::error::operation_aborted) return;
    // Whoever started us starts us anew; deaf we would be of no use to anybody.
    if (error) throw boost::system::system_error(error, "wait for news of links");
    take_events();
  });
}

void Watcher::take_events() {
  const std::uint32_t own[] = {kernel_.port()};
  const auto events = events_.take(own);
  if (!events) {
    log_(events.error().message);
    look_soon();
    events_timer_.expires_after(kRetry);
    events_timer_.async_wait([this](const auto& error) {
      if (!error) take_events();
    });
    return;
  }
  bool look_now = false;
  for (const auto& event : *events) look_now = matters(event) || look_now;
  if (look_now) look_soon();
  carry_out_decisions();
  wait_for_events();
}

bool Watcher::matters(const Event& event) {
  switch (event.kind) {
    case Event::Kind::kLost:
    case Event::Kind::kNamespace:
      elsewhere_changed_ = true;
      return true;
    case Event::Kind::kLink:
      if (event.nsid) elsewhere_changed_ = true;
      return event.child || hears_of(event.link);
    case Event::Kind::kAddress:
    case Event::Kind::kRoute:
      return hears_of(event.link);
    case Event::Kind::kNeighbour:
      if (!event.address) return false;
      if (ground(event.link) != nullptr) {
        // The host looked for it on the LAN. The kernel tells of that when it has given up, after three seconds.
        if (event.state & NUD_FAILED) learning_.missed(event.link, event.address->address, Clock::now());
        return false;
      }
      // What guests do to the shim's own neighbour cache is no news.
      return event.protocol == kGuestProtocol || event.protocol == kLearnedProtocol ||
             event.protocol == kMarkProtocol || learning_.knows(event.address->address);
  }
  return false;
}

// ---- looking ----

bool Watcher::hears_of(unsigned link) const {
  return heard_of_ && contains(*heard_of_, link);
}

void Watcher::look_soon() {
  if (look_is_due_) return;
  look_is_due_ = true;
  look_timer_.expires_at(std::max(Clock::now() + kBurst, last_look_ + pause_));
  look_timer_.async_wait([this](const auto& error) {
    if (!error) look();
  });
}

void Watcher::look() {
  look_is_due_ = false;
  const auto begin = Clock::now();
  const auto status = look_around();
  last_look_ = Clock::now();
  // However much happens, the greater part of the time is not spent on looking.
  if (undone_ <= kTolerated) pause_ = std::chrono::ceil<milliseconds>(2 * (last_look_ - begin));
  failures_ = status ? 0 : failures_ + 1;
  if (status) return;
  // While many links come or go the kernel's lists may change faster than they can be read.
  if (failures_ > kSilentFailures) {
    log_(status.error().message);
    pause_ = kRetry;
  }
  look_soon();
}

Status Watcher::look_around() {
  const auto lock = Lock::take(kLockPatience);
  if (!lock) return fail(lock.error());
  if (auto status = read_guests(); !status) return status;
  auto owned = kernel_.owned(Scope{});
  if (!owned) return fail(owned.error());
  // In the kernel it looks like what the hook was told, and would stay as that.
  for (auto& neighbour : owned->neighbours)
    if (neighbour.origin == Origin::kGiven && withdrawn_.contains({neighbour.mac, neighbour.guest}))
      neighbour.origin = Origin::kLearned;
  const auto now = Clock::now();
  learning_.update(grounds_, given_on(grounds_, *owned), now);
  if (first_)
    for (const auto& learned : learned_on(grounds_, *owned)) learning_.adopt(learned);
  first_ = false;
  auto status = converge(std::move(*owned));
  if (status) withdrawn_.clear();
  return status;
}

// Of a link that is new to us events are told from now on, so it is looked at only then.
Status Watcher::read_guests() {
  for (;;) {
    auto children = kernel_.children();
    if (!children) return fail(children.error());
    if (elsewhere_changed_) {
      auto elsewhere = kernel_.children_elsewhere();
      if (!elsewhere && elsewhere.error().kind != ErrorKind::kPermission) return fail(elsewhere.error());
      elsewhere_ = elsewhere ? std::move(*elsewhere) : std::vector<Child>{};
      elsewhere_changed_ = false;
    }
    std::ranges::copy(elsewhere_, std::back_inserter(*children));
    domains_.refresh();
    auto grounds =
        grounds_of(kernel_, *children, config_, [&](const MacAddress& mac) { return domains_.guest_with(mac); });
    if (!grounds) return fail(grounds.error());
    grounds_ = std::move(*grounds);
    std::vector<unsigned> links;
    for (const auto& ground : grounds_) {
      links.push_back(ground.parent.index);
      links.push_back(shim_index(ground.parent.index));
    }
    if (links == heard_of_) return {};
    heard_of_ = std::move(links);
    if (auto status = events_.only(*heard_of_); !status) return status;
  }
}

Status Watcher::converge(Owned owned) {
  const Watched watched{.grounds = grounds_, .learned = learning_.learned(), .lingering = lingering(owned)};
  const auto owned_shims = owned.shims;
  auto planned = plan_watch(kernel_, std::move(owned), watched, config_);
  if (!planned) return fail(planned.error());
  shim_macs_.clear();
  for (const auto& shim : owned_shims) shim_macs_.emplace(shim.parent, shim.mac);
  for (const auto& change : planned->changes)
    if (const auto* made = std::get_if<CreateShim>(&change)) shim_macs_.insert_or_assign(made->parent, made->mac);
  const auto errors = apply_all(kernel_, planned->changes);
  for (const auto& error : errors) planned->notes.push_back(error.message);
  if (undone_ > kTolerated)
    planned->notes.push_back(
        fmt::format("somebody keeps undoing this: {}; it is done again once a second", last_changes_.front()));
  say(planned->notes);
  slow_down_when_somebody_undoes(errors.empty() ? planned->changes : std::vector<Change>{});
  look_again_unless(listen() && errors.empty() && !domains_.incomplete());
  for (const auto& one : std::exchange(unprompted_, {}))
    if (contains(watched.learned, one)) prompt(one);
  carry_out_decisions();
  return {};
}

std::set<unsigned> Watcher::lingering(const Owned& owned) {
  const auto now = Clock::now();
  std::map<unsigned, Clock::time_point> idle;
  for (const auto& shim : owned.shims) {
    if (shim.role != ShimRole::kGuests || shim.parent == 0 || ground(shim.parent) != nullptr) continue;
    const auto known = idle_until_.find(shim.parent);
    idle.emplace(shim.parent, known == idle_until_.end() ? now + linger_ : known->second);
  }
  idle_until_ = std::move(idle);
  std::set<unsigned> result;
  auto next = Clock::time_point::max();
  for (const auto& [parent, until] : idle_until_) {
    if (until <= now) continue;
    result.insert(parent);
    next = std::min(next, until);
  }
  linger_timer_.cancel();
  if (!result.empty()) {
    linger_timer_.expires_at(next);
    linger_timer_.async_wait([this](const auto& error) {
      if (!error) look_soon();
    });
  }
  return result;
}

bool Watcher::listen() {
  std::vector<Place> places;
  for (const auto& ground : grounds_) {
    Place place{.parent = ground.parent.index,
                .parent_mac = ground.parent.mac,
                .shim = shim_index(ground.parent.index),
                .shim_mac = shim_macs_.contains(ground.parent.index) ? shim_macs_.at(ground.parent.index)
                                                                     : shim_mac(ground.parent.mac),
                .guests = {}};
    for (const auto& [mac, nic] : ground.guests) place.guests.push_back(mac);
    places.push_back(std::move(place));
  }
  return ears_.listen(places);
}

// What stands in the way goes without a word, more often than not: memory is short, somebody's link has our name. And
// nothing tells that libvirt has written down whose a new NIC is.
void Watcher::look_again_unless(bool all_is_done) {
  again_timer_.cancel();
  unfinished_ = all_is_done ? 0 : unfinished_ + 1;
  if (all_is_done && !domains_.may_be_written_yet(macs_on(grounds_), Clock::now())) return;
  auto wait = kFirstAgain;
  for (int i = 1; i < unfinished_ && wait < kLastAgain; ++i) wait *= 2;
  again_timer_.expires_after(wait);
  again_timer_.async_wait([this](const auto& error) {
    if (!error) look_soon();
  });
}

// Another program that deletes what we make would keep both of us busy.
void Watcher::slow_down_when_somebody_undoes(const std::vector<Change>& changes) {
  const auto now = Clock::now();
  const bool at_once = now - last_changed_ < kAtOnce;
  if (changes.empty()) {
    if (!at_once) undone_ = 0;
    return;
  }
  std::vector<std::string> lines;
  for (const auto& change : changes) lines.push_back(describe(change));
  undone_ = at_once && lines == last_changes_ ? undone_ + 1 : 0;
  last_changes_ = std::move(lines);
  last_changed_ = now;
  if (undone_ > kTolerated) pause_ = kRetry;
}

// ---- learning ----

void Watcher::hear(unsigned parent, std::span<const Heard> heard) {
  const auto now = Clock::now();
  for (const auto& one : heard) learning_.hear(parent, one, now);
  carry_out_decisions();
}

void Watcher::tick() {
  learning_.tick(Clock::now());
  carry_out_decisions();
}

void Watcher::carry_out_decisions() {
  const auto decisions = learning_.take();
  for (const auto& note : decisions.notes) log_(note);
  for (const auto& question : decisions.questions) ears_.ask(question);
  for (const auto& answer : decisions.answers) ears_.answer(answer);
  // A look does it when an address moves, maybe from one parent's shim to another's; and when libvirt has just written
  // down what it knows of the guest, which it does after a NIC is plugged in.
  if (!decisions.forget.empty() || (!decisions.learn.empty() && domains_.refresh())) {
    std::ranges::copy(decisions.learn, std::back_inserter(unprompted_));
    look_soon();
  } else {
    set_up(decisions.learn);
  }
  learning_timer_.cancel();
  const auto due = learning_.due();
  if (!due) return;
  learning_timer_.expires_at(*due);
  learning_timer_.async_wait([this](const auto& error) {
    if (!error) tick();
  });
}

void Watcher::set_up(const std::vector<LearnedAddress>& learned) {
  if (learned.empty()) return;
  const auto lock = Lock::take(kLockPatience);
  if (!lock) {  // a look sets it up, too
    log_(lock.error().message);
    return look_soon();
  }
  for (const auto& one : learned) {
    const Ground* where = ground(one.parent);
    if (where == nullptr) continue;
    auto planned = plan_learned(kernel_, one, *where, config_);
    if (planned && planned->refused.contains(one.address)) {
      learning_.refuse(one, planned->refused.at(one.address), Clock::now());
      continue;
    }
    // The host may not be ready yet: its own address is new and tentative, say. A look tries again, and says why not.
    if (!planned || !apply_all(kernel_, planned->changes).empty()) {
      look_soon();
      continue;
    }
    prompt(one);
  }
}

// The guest may be waiting for an answer to its question for the host, and would ask again in a second only: a question
// by the host tells it all it wants to know.
void Watcher::prompt(const LearnedAddress& one) {
  if (const auto source = learning_.source_of(one.parent, one.address, true))
    ears_.ask({.parent = one.parent, .source = *source, .address = one.address, .guest = one.mac});
}

const Ground* Watcher::ground(unsigned parent) const {
  const auto it = std::ranges::find_if(grounds_, [&](const Ground& g) { return g.parent.index == parent; });
  return it == grounds_.end() ? nullptr : &*it;
}

void Watcher::say(const std::vector<std::string>& lines) {
  std::set<std::string> now(lines.begin(), lines.end());
  for (const auto& line : now)
    if (!said_.contains(line)) log_(line);
  said_ = std::move(now);
}

}  // namespace vmt::watch
