// SPDX-License-Identifier: LGPL-2.1-or-later
// Runs a program, and hurts it at its n-th system call: kills it before the call is carried out, or lets the call, or
// the netlink request that it sends, fail.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace vmt::crash {

struct Program {
  std::vector<std::string> words;                        // [0] is the path
  std::string input = "/dev/null";                       // standard input
  std::vector<std::string> environment = {};             // "NAME=VALUE"; nothing else is in it
  std::vector<std::pair<int, int>> fds = {};             // ours, and what it is there
  enum class Counted { kAll, kUntilReady, kFromReady };  // READY: sd_notify's message
  Counted counted = Counted::kAll;
};

// A call that counts (calls.h). Calls behind a second exec do not, as that is another program; nor do those of programs
// that it starts.
struct Call {
  long number = 0;
  std::uint16_t request = 0;  // nlmsg_type, of a netlink request that is sent
  bool dump = false;
  bool deletes = false;  // the request: what it is about goes, or is made ready to go
  bool fallible = true;  // false: an fcntl() that neither locks nor duplicates, an epoll_ctl() that adds nothing
  bool changes() const { return request != 0 && request % 4 != 2; }
};
// "sendmsg(RTM 16)"
std::string describe(const Call& call);

struct Hurt {
  enum class Kind {
    kNone,
    kKill,    // instead of the call
    kFail,    // the call, without being carried out
    kRefuse,  // the request: not carried out, and answered with the error
    kDeny,    // the request: carried out, and answered with the error; of a dump, at its end
  };
  Kind kind = Kind::kNone;
  std::size_t at = 0;  // the first is 0
  int error = 0;       // positive errno
};
// "kill", "fail:EBUSY", ...
std::string describe(const Hurt& hurt);
// The hurts that a call can take.
std::vector<Hurt> hurts_of(const Call& call, std::size_t at);

struct Outcome {
  int status = -1;        // exit status
  int signal = 0;         // that ended it
  bool hurt = false;      // whether it came to that
  bool in_child = false;  // it was in a process that it had started
  bool followed = false;  // up to its exit, or to its exec of another program
  bool hung = false;      // it, or something that it started, was there after the patience, and was killed
  std::string out, err;   // what it said
  std::vector<Call> calls;
};

// `started` is called with its process number as soon as it runs.
Outcome run(const Program& program, const Hurt& hurt = {}, std::chrono::seconds patience = std::chrono::seconds(20),
            const std::function<void(pid_t)>& started = {});
// The same without looking at its calls; much faster.
Outcome run_untraced(const Program& program);

}  // namespace vmt::crash
