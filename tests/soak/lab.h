// SPDX-License-Identifier: LGPL-2.1-or-later
// A hypervisor to soak: parents, guests as libvirt would start them, and the programs as they are installed. Whatever
// cannot be set up ends the program.
#pragma once

#include <sys/types.h>

#include <array>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "lib/fd.h"
#include "lib/if_name.h"
#include "lib/ip_address.h"
#include "lib/kernel.h"
#include "lib/mac_address.h"
#include "lib/rtnl_socket.h"

namespace vmt::soak {

[[noreturn]] void die(const std::string& what);
void sh(const std::string& command);
std::string output_of(const std::string& command);

// p0, p1, ...: each with 8,190 IPv4 addresses on-link, a /64, and carrier.
void make_parents(int count);

struct Guest {
  Guest(int number, int parents);

  int number;
  int on;  // which parent
  std::string name;
  std::string parent;
  MacAddress mac;
  IfName tap;
  IpAddress v4, v6;  // what its metadata say

  // What libvirt hands to the hook at this operation (recorded: tests/data/domain/static), with this guest's words.
  std::string domain(const std::string& operation) const;
};

// A macvtap as libvirt makes it, with its tap open as QEMU has it; closing the tap and deleting it is the caller's.
struct Macvtap {
  unsigned index = 0;
  Fd tap;
};
Macvtap make_macvtap(RtnlSocket& socket, const Guest& guest);
void delete_macvtap(RtnlSocket& socket, Macvtap macvtap);

struct Ended {
  int status = -1;
  double microseconds = 0;  // from before its start until it had ended
};
// Its stdout and stderr go to the end of kSaid.
inline constexpr const char* kSaid = "/run/said";
Ended run_program(std::vector<std::string> words, int input = -1);
Ended call_hook(const Guest& guest, const std::string& operation);
// The floor: a process that does nothing.
Ended run_nothing();
// A guest's life in libvirt's order: it makes its macvtap after `prepare`, and deletes it between `stopped` and
// `release`. What it took, and how the hook ended.
inline constexpr std::array kCalls = {"prepare", "start", "started", "stopped", "release"};
struct Life {
  std::array<double, kCalls.size()> calls{};  // microseconds
  double floor = 0;                           // what is none of ours: making and deleting the macvtap, an empty process
  unsigned index = 0;                         // of the macvtap
  int failed = 0;                             // calls
};
Life live(RtnlSocket& socket, const Guest& guest, const std::function<void()>& while_it_runs = {});

// What all those programs have said; empty when all is well.
std::string said();

// Does `what(worker, number)` for each number below `count`, so many at once.
void in_parallel(int at_once, int count, const std::function<void(int worker, int number)>& what);

}  // namespace vmt::soak
