// SPDX-License-Identifier: LGPL-2.1-or-later
// A machine for the model to play with: namespaces of its own, three parents with a LAN at the other end of each, and
// what `ip` says about all that is not ours.
#pragma once

#include <set>
#include <string>

namespace vmt::model {

struct Output {
  int status = 0;  // 128 + N: a signal
  std::string out, err;
};

// Through the shell, with an empty standard input.
Output run(const std::string& command);
// Throws std::runtime_error when it fails: without it there is nothing to test.
void must(const std::string& command);
void write_file(const std::string& path, const std::string& text);

inline constexpr unsigned kParents = 3;

// A parent as it is at the start and is to be at the end.
struct ParentPlan {
  const char* name;
  const char* renamed;
  const char* mac;
  const char* v4;  // "192.0.2.": the host is .10; "" when it has none
  const char* v6;  // "2001:db8:1::": the host is ::10
};
extern const ParentPlan kPlans[kParents];

// A network and a mount namespace with an empty /run, an /etc whose changes go with it, and the parents. The process
// stays in there.
void enter_host();
// Brings a parent back to what it was at the start, whatever it is called and has become.
void reset_parent(unsigned parent);
// Its name now.
std::string parent_name(unsigned parent);

// Links, addresses, routes, rules, permanent and proxy neighbours, a line each, as `ip` tells it, without counters and
// passing states.
using Dump = std::set<std::string>;
// Without what carries our tags, told by this dump's own reading of them.
Dump dump_foreign();
// With it, and with all sysctls of the links.
Dump dump_all();
// "- what was" and "+ what is", a line each; empty when they agree.
std::string difference(const Dump& before, const Dump& after);

}  // namespace vmt::model
