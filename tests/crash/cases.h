// SPDX-License-Identifier: LGPL-2.1-or-later
// What is hurt: which program, in which world, and what an ordinary call of it has to lead to.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/crash/companion.h"
#include "tests/crash/tracer.h"

namespace vmt::crash {

struct Case {
  std::string name;
  std::string world = {};            // shell: what is there besides the strangers
  std::vector<Program> before = {};  // ordinary calls that come before the one that is hurt
  Program target;
  // What repairs, when it is not simply the same call once more.
  std::vector<Program> again = {};
  bool again_undoes = false;  // that leads back to where the target began
  std::vector<Program> undo;  // leaves the host as it was

  enum class Manner {
    kHook,        // ends with 0, and says what it could not do; nothing on stdout
    kDeviceHook,  // the same, but 1 when the guest cannot start without what it could not do
    kCommand,     // ends with 0 when all is done
  };
  Manner manner = Manner::kCommand;
  bool compare_output = false;  // of a call that ends with 0

  // A companion for each run of the target. `done`: whether a state is the one that the target is to lead to; before
  // anybody knows that state, what says so at a glance.
  std::function<std::unique_ptr<Companion>(const Reached& done)> companion = {};
  Reached at_a_glance = {};
  std::function<void()> in_world = {};  // once, when the world is there
};

const std::vector<Case>& cases();

// In the caller's namespaces, which it makes: a host eth0 with a LAN, strangers that look like ours, and `extra`.
void make_world(const std::string& extra);

}  // namespace vmt::crash
