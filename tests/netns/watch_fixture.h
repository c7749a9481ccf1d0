// SPDX-License-Identifier: LGPL-2.1-or-later
// The real `virt-macvtap watch` in a namespace with a LAN peer, and guests that are macvtaps in namespaces of their
// own.
#pragma once

#include <functional>
#include <string>

#include "lib/frame.h"
#include "tests/netns/namespace.h"

namespace vmt {

class WatchTest : public NamespaceTest {
 protected:
  static constexpr const char* kLog = "/run/watch.log";

  void SetUp() override;
  void TearDown() override;

  // Starts the watcher and waits until it says that it is ready. `as`: a command that starts it.
  void start(const std::string& options = {}, const std::string& as = {});
  void stop(int signal = 15);
  pid_t watcher() const { return watcher_; }
  // What it has said so far.
  static std::string log();

  // A bridge-mode macvtap on `parent` in the namespace `name`, whose network stack is the guest: up, without addresses.
  // No VMM has it open, so the kernel gives its frames to that stack.
  static void add_tap_guest(const std::string& name, const std::string& mac, const std::string& parent = "eth0");
  static void remove_tap_guest(const std::string& name);
  // Runs a command in a namespace; its exit status.
  static int in(const std::string& name, const std::string& command);
  // Sends a frame from a guest's (or the peer's) link.
  static void send_frame(const std::string& name, const std::string& link, std::span<const std::uint8_t> frame);

  // The guest says that it has the address, as gratuitous ARP or an advertisement does.
  static void announce(const std::string& name, const std::string& mac, const std::string& address);
  // What of the host's network is ours.
  static std::string ours();

  // One ping, answered within the second that it waits. "" is the host.
  static bool reaches(const std::string& from, const std::string& to);
  // Waits for at most ten seconds.
  static bool eventually(const std::function<bool()>& condition);
  // On how many shims the watcher listens; that is some ms after they are there.
  static int listens_on();
  // The names of the shims there are, a line each.
  static std::string shims();
  static bool has_route(const std::string& address);
  // Waits for what comes at once, or never: "in vain" after a second.
  static bool never(const std::function<bool()>& condition);

  pid_t watcher_ = -1;
};

}  // namespace vmt
