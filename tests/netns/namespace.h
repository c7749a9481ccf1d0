// SPDX-License-Identifier: LGPL-2.1-or-later
// A test in a network namespace of its own, with /sys and an empty /run that go with it. Nothing of the machine's own
// network is in reach. Without root there is nothing to test with: a loud skip, a failure under CI=true.
#pragma once

#include <gtest/gtest.h>

#include <string>

namespace vmt {

class NamespaceTest : public testing::Test {
 protected:
  void SetUp() override;

  // Runs a shell command; the test fails when it does.
  static void sh(const std::string& command);
  // Its exit status.
  static int status_of(const std::string& command);
  // Its standard output and error, whatever its status.
  static std::string output_of(const std::string& command);

  // eth0 as a hypervisor has it, with its other end in the namespace "peer", the LAN's gateway:
  // eth0 192.0.2.10/24 2001:db8:1::10/64 -- peer 192.0.2.1 2001:db8:1::1
  static void add_lan();
  // A guest: a bridge-mode macvlan on eth0 in the namespace NAME. It gets frames as a macvtap's guest does, and needs
  // no QEMU.
  static void add_guest(const std::string& name, const std::string& mac, const std::string& v4, const std::string& v6);

  // Waits until frames go through a link, in the namespace of that name. The kernel drops what is sent before it has
  // looked at the carrier, which it puts off for up to a second when there are many on the machine to look at.
  static void wait_until_up(const std::string& link, const std::string& netns = "");

  // Everything the host's network consists of, but for counters and ages: to compare before and after.
  static std::string network_state();
};

}  // namespace vmt
