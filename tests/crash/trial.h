// SPDX-License-Identifier: LGPL-2.1-or-later
// Hurts one case's program at its calls, one run for each hurt, and compares the world after each with what it has to
// be.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/crash/cases.h"
#include "tests/crash/state.h"
#include "tests/crash/tracer.h"

namespace vmt::crash {

struct Figures {
  std::size_t calls = 0;  // of an undisturbed run that count
  std::size_t kills = 0;
  std::size_t errors = 0;
  std::size_t repaired = 0;  // states that were neither that before nor that after the undisturbed run
  std::size_t defects = 0;
};

class Trial {
 public:
  explicit Trial(const Case& which);

  // Every hurt that the calls of an undisturbed run can take.
  std::vector<Hurt> hurts() const;
  // False when the program ended before it could be hurt.
  bool hurt(const Hurt& hurt);
  const Figures& figures() const { return figures_; }

 private:
  void enter_world();
  Outcome run_target(const Program& program, const Hurt& hurt, const Reached& done);
  // An ordinary run of a list of calls.
  void play(const std::vector<Program>& programs, const Reached& done);

  void check_calls();
  void check_outcome(const Hurt& hurt, const Outcome& outcome);
  void check_state(const std::string& when, const State& wanted);
  void defect(const std::string& what, const std::string& details = "");

  const Case& case_;
  State baseline_, staged_, expected_;
  Outcome undisturbed_;
  Figures figures_;
  std::string current_;  // the hurt, for messages
  std::string failed_;   // which ordinary runs did since then, and why; some may: what is to be undone is not there
  bool broken_ = false;  // the world is not what it was
};

}  // namespace vmt::crash
