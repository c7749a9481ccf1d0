// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/netns/namespace.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace vmt {

void NamespaceTest::SetUp() {
  if (geteuid() != 0) {
    const char* ci = std::getenv("CI");
    if (ci != nullptr && std::strcmp(ci, "true") == 0) FAIL() << "network namespaces need root";
    GTEST_SKIP() << "network namespaces need root";
  }
  ASSERT_EQ(unshare(CLONE_NEWNET | CLONE_NEWNS), 0);
  ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  ASSERT_EQ(mount("sysfs", "/sys", "sysfs", 0, nullptr), 0);
  ASSERT_EQ(mount("tmpfs", "/run", "tmpfs", 0, nullptr), 0);
  // Link-local addresses are usable at once, so that no test has to wait for duplicate detection.
  sh("for i in all default; do echo 0 >/proc/sys/net/ipv6/conf/$i/accept_dad; done; ip link set lo up");
}

int NamespaceTest::status_of(const std::string& command) {
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void NamespaceTest::sh(const std::string& command) {
  ASSERT_EQ(status_of(command), 0) << command;
}

std::string NamespaceTest::output_of(const std::string& command) {
  std::string text;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  char buffer[4096];
  for (std::size_t size; (size = fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, size);
  pclose(pipe);
  return text;
}

void NamespaceTest::add_lan() {
  sh("ip netns add peer");
  sh("ip link add eth0 address 52:54:00:ee:00:10 type veth peer name eth0 address 52:54:00:ee:00:01 netns peer");
  sh("ip addr add 192.0.2.10/24 dev eth0 && ip addr add 2001:db8:1::10/64 dev eth0 nodad && ip link set eth0 up");
  sh("ip -n peer addr add 192.0.2.1/24 dev eth0 && ip -n peer addr add 2001:db8:1::1/64 dev eth0 nodad && ip -n peer "
     "link set eth0 up");
  sh("ip route add default via 192.0.2.1 && ip -6 route add default via 2001:db8:1::1");
  wait_until_up("eth0");
  wait_until_up("eth0", "peer");
}

void NamespaceTest::wait_until_up(const std::string& link, const std::string& netns) {
  const std::string where = netns.empty() ? "" : "-n " + netns;
  sh("for i in $(seq 300); do ip " + where + " link show " + link +
     " | grep -q 'state UP' && exit 0; sleep 0.01; done; exit 1");
}

void NamespaceTest::add_guest(const std::string& name, const std::string& mac, const std::string& v4,
                              const std::string& v6) {
  sh("ip netns add " + name);
  sh("ip link add link eth0 name g0 address " + mac + " netns " + name + " type macvlan mode bridge");
  sh("ip -n " + name + " link set lo up && ip -n " + name + " addr add " + v4 + "/24 dev g0 && ip -n " + name +
     " addr add " + v6 + "/64 dev g0 nodad && ip -n " + name + " link set g0 up");
}

std::string NamespaceTest::network_state() {
  // A new link-local address is tentative for a moment, duplicate detection or not, and a new link's state UNKNOWN for
  // up to a second.
  return output_of(
      "for i in $(seq 200); do ip -6 addr show tentative | grep -q . || break; sleep 0.01; done;"
      "{ ip -d link; ip addr; } | grep -v valid_lft | sed 's/state UNKNOWN/state UP/'; ip rule; ip -6 rule; ip route "
      "show table all; ip -6 route show table "
      "all;"
      "ip neigh show nud permanent | sort; ip neigh show proxy; ip -6 neigh show proxy; ip netns list-id;"
      "cd /proc/sys/net && grep -r . ipv4/conf ipv4/neigh ipv6/conf ipv6/neigh 2>/dev/null | grep -v stable_secret | "
      "sort");
}

}  // namespace vmt
