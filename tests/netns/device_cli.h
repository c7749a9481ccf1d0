// SPDX-License-Identifier: LGPL-2.1-or-later
// A host with a LAN, `virt-macvtap` as a person types it, and what `ip` says about it.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "lib/fd.h"
#include "tests/netns/namespace.h"
#include "tests/netns/programs.h"

namespace vmt {

inline const std::string kCli = kBuild + "/virt-macvtap ";

class DeviceCliTest : public NamespaceTest {
 protected:
  void SetUp() override {
    NamespaceTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) add_lan();
  }

  static nlohmann::json ip(const std::string& words) { return nlohmann::json::parse(output_of("ip -j -d " + words)); }
  static nlohmann::json link(const std::string& name) {
    const nlohmann::json found = ip("link show dev " + name);
    return found[0];
  }
  static nlohmann::json mode_data(const std::string& name) { return link(name)["linkinfo"]["info_data"]; }
  static nlohmann::json list(const std::string& words = "") {
    return nlohmann::json::parse(output_of(kCli + "list --json " + words + " 2>/dev/null"))["devices"];
  }
  static std::string node_of(const std::string& name) {
    return "/dev/tap" + std::to_string(link(name)["ifindex"].get<unsigned>());
  }
  // Its tap. /dev/tapN is one for all namespaces, and may be another test's device with the same number.
  static Fd open_tap(const std::string& name) {
    const std::string node = "/run/" + name + ".tap";
    const std::string numbers = output_of("cat /sys/class/net/" + name + "/macvtap/tap*/dev");
    unsigned major_number = 0, minor_number = 0;
    EXPECT_EQ(std::sscanf(numbers.c_str(), "%u:%u", &major_number, &minor_number), 2) << numbers;
    EXPECT_EQ(mknod(node.c_str(), S_IFCHR | 0600, makedev(major_number, minor_number)), 0);
    Fd tap(open(node.c_str(), O_RDWR | O_CLOEXEC));
    unlink(node.c_str());
    return tap;
  }
  static bool exists(const std::string& name) {
    return status_of("ip link show dev " + name + " >/dev/null 2>&1") == 0;
  }
  static bool has_flag(const nlohmann::json& shown, const char* flag) {
    return std::ranges::find(shown["flags"], nlohmann::json(flag)) != shown["flags"].end();
  }

  // Exit status 0, and nothing on stderr.
  static void run(const std::string& words) {
    EXPECT_EQ(status_of(kCli + words + " >/run/out 2>/run/err"), 0) << words;
    EXPECT_EQ(output_of("cat /run/err"), "") << words;
  }
  // Its one line on stderr; nothing has changed.
  static std::string refusal(const std::string& words, int status = 1) {
    const std::string before = network_state();
    EXPECT_EQ(status_of(kCli + words + " >/run/out 2>/run/err"), status) << words;
    EXPECT_EQ(network_state(), before) << words;
    const std::string line = output_of("cat /run/err");
    EXPECT_EQ(std::ranges::count(line, '\n'), 1) << line;
    return line;
  }
};

}  // namespace vmt
