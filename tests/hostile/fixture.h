// SPDX-License-Identifier: LGPL-2.1-or-later
// An ordinary user who means harm, on a host where everything is installed as `cmake --install` does it: for him the
// worst way, with an umask of 0.
#pragma once

#include <functional>
#include <string>

#include "tests/netns/tap_fixture.h"

namespace vmt {

class HostileTest : public TapTest {
 protected:
  static constexpr const char* kRoot = "/run/root";  // DESTDIR
  static constexpr const char* kBr = "eth0/52:54:00:12:34:56";
  static constexpr uid_t kUser = 1000;

  void SetUp() override;

  // Where an installed program is: "virt-macvtap", "qemu-macvtap-helper", "hook".
  std::string installed(const std::string& program) const;
  // A call of the installed helper.
  Call ask_installed(const std::string& br = kBr, uid_t uid = kUser) const;
  // What the user asks for is there, or it is not and nothing is left of it; no third.
  static void expect_all_or_nothing(const Outcome& outcome, const std::string& what);

  // What `what` returns in a process of the user's.
  static int as_user(const std::function<int()>& what, uid_t uid = kUser);
  // The exit status of a shell command of the user's.
  static int sh_as_user(const std::string& command, uid_t uid = kUser);

  // In the user's process: root of a user namespace of his own. The exit status 97 says that the machine has none.
  static void become_root_of_own_namespace(int also = 0);

  std::string before_;

 private:
  std::string helper_path_;
};

}  // namespace vmt
