/* SPDX-License-Identifier: LGPL-2.1-or-later
 * The floor of `virt-macvtap create`: a loop of the requests that it makes.
 *   floor_create PARENT COUNT */
#include <fcntl.h>
#include <unistd.h>

#include "netlink.h"

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  const int sock = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  const unsigned parent = if_nametoindex(argv[1]);
  for (int i = 0; i < atoi(argv[2]); ++i) {
    const unsigned index = 0x20000000U + (unsigned)(getpid() * 1000 + i);
    char name[16], path[64];
    snprintf(name, sizeof name, "floor%d", i);
    create_macvtap(sock, parent, index, name, 0);
    snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
    const int file = open(path, O_WRONLY);
    if (file < 0 || write(file, "1", 1) != 1) return 1;
    close(file);
    finish_macvtap(sock, index);
  }
  return 0;
}
