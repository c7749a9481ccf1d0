/* SPDX-License-Identifier: LGPL-2.1-or-later
 * The floor of qemu-macvtap-helper and of `virt-macvtap exec`: the system calls they cannot do without, in C, without a
 * check.
 *   floor_tap self-removing|standing PARENT FD [PROGRAM]     PROGRAM gets the tap by exec, and FD as it is */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/net_namespace.h>
#include <sched.h>
#include <unistd.h>

#include "netlink.h"

static void write_one(const char *path) {
  const int file = open(path, O_WRONLY);
  if (file < 0 || write(file, "1", 1) != 1) exit(1);
  close(file);
}

static void send_fd(int peer, int fd) {
  char byte = 0, control[CMSG_SPACE(sizeof fd)] = {0};
  struct iovec data = {&byte, 1};
  struct msghdr header = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  if (sendmsg(peer, &header, 0) != 1) exit(1);
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  const int standing = strcmp(argv[1], "standing") == 0;
  const int sock = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  const unsigned parent = if_nametoindex(argv[2]);
  const unsigned index = 0x20000000U + (unsigned)getpid();
  const pid_t self = getpid();
  char path[64];
  if (standing) {
    create_macvtap(sock, parent, index, "floor0", 0);
    write_one("/proc/sys/net/ipv6/conf/floor0/disable_ipv6");
    finish_macvtap(sock, index);
  } else {
    unshare(CLONE_NEWNET);
    write_one("/proc/sys/net/ipv6/conf/default/disable_ipv6");
    create_macvtap(sock, parent, index, "floor0", self);
  }
  snprintf(path, sizeof path, "/dev/tap%u", index);
  const int tap = open(path, O_RDWR);
  if (tap < 0) return 1;
  if (!standing) {
    const struct rtgenmsg any = {0};
    const int nsid = NETNSA_NSID_NOT_ASSIGNED;
    begin(RTM_NEWNSID, 0, &any, sizeof any);
    put(NETNSA_PID, &self, sizeof self);
    put(NETNSA_NSID, &nsid, sizeof nsid);
    talk(sock, "nsid");
  }
  if (argc > 4) {
    char number[16];
    snprintf(number, sizeof number, "%d", tap);
    execl(argv[4], argv[4], number, argv[3], NULL);
    return 1;
  }
  send_fd(atoi(argv[3]), tap);
  return 0;
}
