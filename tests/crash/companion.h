// SPDX-License-Identifier: LGPL-2.1-or-later
// Who is at the other end while a program runs: the QEMU that the helper gives its tap to, the guest and the service
// manager of the watcher. Each has a thread of its own, as the traced program waits for the tracer's.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "lib/fd.h"
#include "tests/crash/state.h"
#include "tests/crash/tracer.h"

namespace vmt::crash {

class Companion {
 public:
  virtual ~Companion() = default;
  // Adds what the program has to be given.
  virtual void prepare(Program& program) = 0;
  // The program runs.
  void start(pid_t pid);
  // It has ended. What has been seen of it: "tap 52:54:00:12:34:56".
  std::string finish();

 protected:
  virtual void started() {}
  virtual void act(pid_t pid) = 0;  // in the thread
  bool over() const { return over_; }

  std::string seen_;

 private:
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

// The tap that a helper hands over, for --fd=3. As its guest it sends frames from `mac`, as long as the device has
// another one.
std::unique_ptr<Companion> qemu(const std::string& mac);

// Ends the watcher with SIGTERM as soon as it has got there. `guest` says a word now and then when it has a tap.
using Reached = std::function<bool(const State&)>;
std::unique_ptr<Companion> service_manager(const Reached& reached, bool guest_speaks);
// For the guest on macvtap0, once in a world: its tap.
void open_guest_tap();

// For a command that `exec` becomes: what the tap with this number is, on stdout.
int probe(int tap);

}  // namespace vmt::crash
