// SPDX-License-Identifier: LGPL-2.1-or-later
// What can be soaked. Each part is in namespaces of its own, with an empty /run, and nothing in them yet.
#pragma once

#include "tests/soak/report.h"

namespace vmt::soak {

// How much: for a real soak, or to see whether all is well.
struct Scale {
  int cycles = 10'000;
  int alone = 200;  // guests before and after, one at a time, whose latencies are compared
  int guests = 2'000;
  int devices = 1'000;
  int frames = 1'000'000;
};
inline constexpr Scale kQuick{.cycles = 1'000, .alone = 40, .guests = 200, .devices = 120, .frames = 100'000};

inline constexpr int kAtOnce = 64;
inline constexpr int kParents = 8;

// Guests start and stop, through the hook, kAtOnce at a time.
void soak_cycles(Report& report, const Scale& scale);
// Many guests run on one host.
void soak_many(Report& report, const Scale& scale);
// Self-removing devices whose holders are killed.
void soak_killed(Report& report, const Scale& scale);
// The watcher hears frames.
void soak_frames(Report& report, const Scale& scale);

// What a killed device's holder is: the program itself, started like this with the fd of a pipe. It says that it is
// there, and waits.
int hold(int pipe);

}  // namespace vmt::soak
