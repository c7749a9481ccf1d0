// SPDX-License-Identifier: LGPL-2.1-or-later
// qemu-macvtap-helper as it is installed, started by an ordinary user on a LAN of the test's own, and what a VMM sees.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lib/fd.h"
#include "lib/kernel.h"
#include "tests/netns/namespace.h"

namespace vmt {

struct Call {
  std::vector<std::string> words;  // "FD" becomes the socket's number
  uid_t uid = 1000;
  gid_t gid = 1000;
  std::vector<gid_t> groups = {};
  std::vector<std::string> environment = {};
  std::function<void()> before_exec = {};  // as the user, in the process that becomes the helper
  int fd = 20;                             // of the socket in the helper
  std::string program = {};                // the installed one
  bool traced = false;                     // PTRACE_TRACEME, by root
  bool no_arguments = false;               // not even a name
};

// A helper that runs. Its end takes it along.
struct Running {
  pid_t pid = -1;
  Fd socket;  // QEMU's end
  Fd err;
};

struct Outcome {
  int status = -1;  // 128 + the signal
  std::string err;
  std::string bytes;     // that came over the socket
  std::vector<Fd> taps;  // and the fds beside them
  bool closed = false;   // nobody holds the other end any more
};

class TapTest : public NamespaceTest {
 protected:
  void SetUp() override;

  // The list is this; owned by root, 0644.
  static void allow(const std::string& list);

  static Running start(const Call& call);
  // Waits a few seconds at most.
  static Outcome finish(Running running);
  static Outcome run(const Call& call) { return finish(start(call)); }
  // A helper that is asked for "BR" as QEMU asks.
  static Call ask(const std::string& br, uid_t uid = 1000);
  static Outcome get(const std::string& br, uid_t uid = 1000) { return run(ask(br, uid)); }
  // The tap of one that succeeds.
  static Fd tap_of(const std::string& br, uid_t uid = 1000);

  // All macvtaps that are not in this namespace.
  static std::vector<Child> devices();
  // The one that a tap belongs to.
  static Child device_of(const Fd& tap);
  // Helpers and what they left behind, of this test.
  static std::vector<pid_t> helpers();

  // Links, namespaces and helpers of the test.
  static std::string world();
  // Within a few seconds; devices die after their last fd.
  static void expect_world(const std::string& before, const std::string& what);
  static bool soon(const std::function<bool()>& condition, int milliseconds = 3000);

  static std::string name_of(const Fd& tap);
  static short flags_of(const Fd& tap);
  static std::string mac_of(const Fd& tap);
  static bool set_mac(const Fd& tap, const std::string& mac);
  // An Ethernet frame from this sender.
  static void send_frame(const Fd& tap, const std::string& sender);
};

}  // namespace vmt
