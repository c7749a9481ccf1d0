// SPDX-License-Identifier: LGPL-2.1-or-later
// Which claims of guests become addresses? The rules and the patience, without a socket and without a clock: told what
// was heard and what time it is, it says what to ask, what to learn and what to give up.
//
// A guest can announce what it likes, so nothing is taken at its word: an address that the LAN answers for, that
// another guest defends, or that nobody may have is refused, and what a guest can make us remember, ask or log is
// bounded. What was learned is asked for again when somebody else claims it, and now and then when nothing was heard of
// it: a pinned neighbour is permanent, as else any guest could take it over by one ARP reply, and so the kernel itself
// never finds out that an address is gone.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/config.h"
#include "lib/frame.h"
#include "lib/objects.h"

namespace vmt {

struct LearnedAddress {
  unsigned parent = 0;  // ifindex
  MacAddress mac;
  IpAddress address;

  auto operator<=>(const LearnedAddress&) const = default;
};

// A guest's bridge-mode macvtap, in whatever namespace, and what was written down about it.
struct GuestNic {
  std::string guest;  // for notes: the domain's name, else the macvtap's
  std::vector<IpAddress> given;
  LearnMode learn = LearnMode::kYes;
  // Down while the guest is paused, or has not come over from another host yet: no word of it comes this way then.
  bool up = true;
  std::optional<MacAddress> mark = {};  // Attachment::mark
};

// A parent as the last look at the kernel saw it.
struct Ground {
  Parent parent;
  std::map<MacAddress, GuestNic> guests;
};

class Learning {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Milliseconds = std::chrono::milliseconds;

  // How long the LAN has to object to a claim; it answers in one, a busy or wireless machine in some tens.
  static constexpr Milliseconds kObjection{100};
  // A holder is asked kAsks times before its address is somebody else's; this far apart when somebody else claims it,
  // and with patience when nobody does: it may only be busy.
  static constexpr Milliseconds kAnswer{150};
  static constexpr Milliseconds kPatientAnswer{1000};
  static constexpr int kAsks = 3;
  // What was not heard of for so long is asked for: at the next frame, whoever sends it, so that nobody wakes up for
  // it.
  static constexpr Milliseconds kConfirmation{60'000};
  // For so long a refused claim is refused unheard, and an address that was defended is not questioned again.
  static constexpr Milliseconds kRefusal{10'000};
  static constexpr std::size_t kMaxRefusals = 64;  // of one MAC
  // What strangers said so long ago, so many of them at most, counts if they turn out to be guests that are up: a guest
  // may speak before the kernel's news of its macvtap, of its being up, or of its new MAC, have been read.
  static constexpr Milliseconds kMemory{5'000};
  static constexpr std::size_t kMaxOverheard = 512;
  static constexpr std::size_t kMaxNotes = 16;  // about one MAC

  // An ARP request or neighbour solicitation to send: from the shim to the guest, or (nullopt) from the parent to
  // the LAN.
  struct Question {
    unsigned parent = 0;
    IpAddress source;  // the host's address that asks
    IpAddress address;
    std::optional<MacAddress> guest;

    bool operator==(const Question&) const = default;
  };
  // A neighbour advertisement to send from the shim: a guest asks from its link-local address for one of the host's.
  // The kernel's proxy has no source for an answer to that (kernel_facts_test).
  struct Answer {
    unsigned parent = 0;
    IpAddress address;
    MacAddress guest;
    IpAddress asker;

    bool operator==(const Answer&) const = default;
  };
  struct Decisions {
    std::vector<LearnedAddress> learn;  // to be tried; refuse() says that it could not be
    std::vector<IpAddress> forget;
    std::vector<Question> questions;
    std::vector<Answer> answers;
    std::vector<std::string> notes;  // for the log; each once
  };

  explicit Learning(const Config& config) : config_(&config) {}

  // `given`: what somebody has written down, in force now. Forgets guests that are no longer there.
  void update(std::vector<Ground> grounds, const std::vector<LearnedAddress>& given, Time now);
  // Found in the kernel at the start: learned by an earlier watcher, and to be asked for soon.
  void adopt(const LearnedAddress& learned);
  // It could not be set up after all (a foreign route, ...).
  void refuse(const LearnedAddress& learned, std::string why, Time now);

  // Its frames are dropped until then, so its silence means nothing: it keeps what it has. Anybody can send too many in
  // its name.
  void cannot_hear(unsigned parent, const MacAddress& mac, Time until, Time now);
  // Heard on the parent's shim, or as an answer to the parent itself.
  void hear(unsigned parent, const Heard& heard, Time now);
  // The host looked for this address on the parent's LAN, in vain: one of the guests may have it.
  void missed(unsigned parent, const IpAddress& address, Time now);
  // What is due; nullopt: nothing until somebody speaks.
  std::optional<Time> due() const;
  void tick(Time now);

  // What has been decided since the last call.
  Decisions take();
  std::vector<LearnedAddress> learned() const;
  bool knows(const IpAddress& address) const { return known_.contains(address); }
  // The host's address that asks a guest for `address`; nullopt: it has none.
  std::optional<IpAddress> source_of(unsigned parent, const IpAddress& address, bool on_shim) const;

 private:
  struct Known {
    unsigned parent = 0;
    MacAddress mac;
    Origin origin = Origin::kLearned;
    Time confirmed;           // when its guest was last heard with it
    Time settled_until = {};  // defended until shortly before: no further check because of a challenge
  };
  // An open question: is the address free (claimant), does its holder still have it?
  struct Case {
    unsigned parent = 0;
    std::optional<MacAddress> claimant;
    std::optional<MacAddress> holder;
    std::optional<MacAddress> rival;  // a machine of the LAN that claims it, too
    int asks_left = 0;
    Time due;
  };
  // A DHCP client is about to get an address, of which it may never speak.
  struct Lease {
    IpAddress address;
    std::size_t asked = 0;
    Time due;
  };
  struct GuestState {
    bool up = false;
    std::map<IpAddress, Time> refused;  // until when
    Time unheard_until = {};
    std::set<std::string> said;
  };
  struct Overheard {
    unsigned parent = 0;
    Heard heard;
    Time when;
  };
  // The same MAC may be on two parents.
  struct GuestKey {
    unsigned parent = 0;
    MacAddress mac;
    auto operator<=>(const GuestKey&) const = default;
  };

  const Ground* ground(unsigned parent) const;
  GuestState* state(const GuestKey& guest);
  bool is_down(const GuestKey& guest) const;
  // Muted, or down: its silence says nothing.
  bool is_unheard(const Known& known, Time now);
  void drop_what_no_longer_holds();
  void recall(const std::set<GuestKey>& newcomers, Time now);
  void hear_guest(const GuestKey& guest, const IpAddress& address, Time now);
  void hear_stranger(unsigned parent, const MacAddress& mac, const IpAddress& address, Time now);
  void claim(const GuestKey& guest, const IpAddress& address, Time now);
  void expect_lease(const GuestKey& guest, const IpAddress& address, Time now);
  void answer(const GuestKey& guest, const IpAddress& address, const IpAddress& asker);
  // Empty: nothing known speaks against it.
  std::string why_never(const GuestKey& guest, const IpAddress& address) const;
  bool is_anothers(const IpAddress& address, const MacAddress& mac) const;
  bool may_learn(const GuestKey& guest) const;
  // Known addresses and open claims.
  std::size_t count_of(const GuestKey& guest) const;
  void make_room(const GuestKey& guest, Time now);
  void check(const IpAddress& address, const Known& known, std::optional<MacAddress> rival, Time now);
  void check_the_silent(Time now);
  void refuse(const GuestKey& guest, const IpAddress& address, Time now);
  // Whoever was refused these may have them now.
  void set_free(const std::set<IpAddress>& addresses);
  void note(const GuestKey& guest, std::string line);
  void settle(const IpAddress& address, Known& known, Time now);
  void ask(unsigned parent, const IpAddress& address, const std::optional<MacAddress>& guest);
  void proceed(const IpAddress& address, Time now);
  void learn(const GuestKey& guest, const IpAddress& address, Time now);
  // A guest that has a new address may have given up an old one.
  void check_other_addresses(const GuestKey& guest, const IpAddress& address, Time now);
  static Milliseconds patience(const Case& open);
  void ask_lessees(Time now);

  const Config* config_;
  std::map<IpAddress, MacAddress> owners_;  // of what the configuration gives, whether they are there or not
  std::map<unsigned, Ground> grounds_;
  std::map<GuestKey, GuestState> guests_;
  std::map<IpAddress, Known> known_;
  std::map<IpAddress, Case> cases_;
  std::map<GuestKey, Lease> leases_;
  std::deque<Overheard> overheard_;  // from strangers, and from guests while they were down
  Time next_look_ = {};              // for silent ones
  Time next_search_ = {};            // after an address that the host missed
  std::size_t asked_so_far_ = 0;
  Decisions decisions_;
};

}  // namespace vmt
