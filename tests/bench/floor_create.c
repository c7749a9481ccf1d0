/* SPDX-License-Identifier: LGPL-2.1-or-later
 * The floor of `virt-macvtap create`: a loop of the requests that it makes.
 *   floor_create PARENT COUNT */
#include <fcntl.h>
#include <linux/ip.h>
#include <unistd.h>

#include "netlink.h"

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  const int sock = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  const unsigned parent = if_nametoindex(argv[1]);
  for (int i = 0; i < atoi(argv[2]); ++i) {
    const unsigned index = 0x20000000U + (unsigned)(getpid() * 1000 + i), never = 8;
    char name[16], path[64];
    snprintf(name, sizeof name, "floor%d", i);
    create_macvtap(sock, parent, index, name, -1);
    snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
    const int file = open(path, O_WRONLY);
    if (file < 0 || write(file, "1", 1) != 1) return 1;
    close(file);
    struct ifinfomsg link = {.ifi_index = (int)index};
    begin(RTM_SETLINK, 0, &link, sizeof link);
    struct rtattr *families = put(IFLA_AF_SPEC, NULL, 0);
    struct rtattr *v4 = put(AF_INET, NULL, 0);
    struct rtattr *conf = put(IFLA_INET_CONF, NULL, 0);
    put(IPV4_DEVCONF_ARP_IGNORE, &never, sizeof never);
    end(conf);
    end(v4);
    end(families);
    talk(sock, "quiet");
    finish_macvtap(sock, index);
  }
  return 0;
}
