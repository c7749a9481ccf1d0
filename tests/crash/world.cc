// SPDX-License-Identifier: LGPL-2.1-or-later
// The world that a case happens in.
#include <sched.h>
#include <sys/mount.h>

#include <cstdlib>
#include <string>

#include "tests/crash/cases.h"
#include "tests/crash/child.h"

namespace vmt::crash {
namespace {

// Each stranger is as close to something of ours as can be: its group, its alias, its protocol, its name, its place.
constexpr const char* kStrangers = R"(
for i in all default; do echo 0 >/proc/sys/net/ipv6/conf/$i/accept_dad; done; ip link set lo up
ip netns add peer
ip link add eth0 address 52:54:00:ee:00:10 type veth peer name eth0 address 52:54:00:ee:00:01 netns peer
ip addr add 192.0.2.10/24 dev eth0; ip addr add 2001:db8:1::10/64 dev eth0 nodad; ip link set eth0 up
ip -n peer addr add 192.0.2.1/24 dev eth0; ip -n peer addr add 2001:db8:1::1/64 dev eth0 nodad; ip -n peer link set eth0 up
ip route add default via 192.0.2.1; ip -6 route add default via 2001:db8:1::1
ip link property add dev eth0 altname the-lan; ip link set eth0 alias 'somebody wrote this'
ip neigh add 192.0.2.99 lladdr 52:54:00:12:34:99 dev eth0
ip link add link eth0 name macvlan0 address 52:54:00:ee:00:20 type macvlan mode bridge
ip link set macvlan0 alias 'virt-macvtap: host access for guests' up
ip link property add dev macvlan0 altname vmt-4001
echo 1 >/proc/sys/net/ipv6/conf/macvlan0/proxy_ndp
ip route add 192.0.2.200 dev macvlan0 proto static
ip neigh add 192.0.2.200 lladdr 52:54:00:12:34:56 dev macvlan0
ip -6 route add 2001:db8:1::200 dev macvlan0; ip neigh add proxy 2001:db8:1::200 dev macvlan0
ip link add vmt-4000 group 1986884609 address 52:54:00:ee:00:40 type veth peer name stranger address 52:54:00:ee:00:41
ip route add 198.51.100.0/24 dev macvlan0 proto 118
ip link add link eth0 name other0 address 52:54:00:ee:00:30 type macvtap mode vepa
ip link set other0 alias 'virt-macvtap: guest 7c0c2d5e-0d4c-4b7e-8f57-525400123458'
)";

}  // namespace

void make_world(const std::string& extra) {
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0 ||
      mount("sysfs", "/sys", "sysfs", 0, nullptr) < 0 || mount("tmpfs", "/run", "tmpfs", 0, "mode=755") < 0 ||
      mount("proc", "/proc", "proc", 0, nullptr) < 0)
    die("make namespaces");
  if (std::system(("set -e\n" + std::string(kStrangers) + extra).c_str()) != 0) die("make a world");
}

}  // namespace vmt::crash
