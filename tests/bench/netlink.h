/* SPDX-License-Identifier: LGPL-2.1-or-later
 * The least that a C program needs to talk rtnetlink: the floors are measured with it. No library, no check that is not
 * needed. */
#pragma once

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

static char buffer[4096];
static struct nlmsghdr* const message = (struct nlmsghdr*)buffer;

static void begin(int type, int flags, const void* header, int size) {
  memset(buffer, 0, 256);
  message->nlmsg_type = (unsigned short)type;
  message->nlmsg_flags = (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags);
  message->nlmsg_len = NLMSG_LENGTH(size);
  memcpy(NLMSG_DATA(message), header, (size_t)size);
}

static struct rtattr* put(int type, const void* data, int size) {
  struct rtattr* attribute = (struct rtattr*)(buffer + NLMSG_ALIGN(message->nlmsg_len));
  attribute->rta_type = (unsigned short)type;
  attribute->rta_len = (unsigned short)RTA_LENGTH(size);
  if (size) memcpy(RTA_DATA(attribute), data, (size_t)size);
  message->nlmsg_len = NLMSG_ALIGN(message->nlmsg_len) + RTA_ALIGN(attribute->rta_len);
  return attribute;
}

static void end(struct rtattr* nest) {
  nest->rta_len = (unsigned short)(buffer + message->nlmsg_len - (char*)nest);
}

static void talk(int sock, const char* what) {
  char answer[8192];
  send(sock, buffer, message->nlmsg_len, 0);
  if (recv(sock, answer, sizeof answer, 0) < 0) exit(1);
  const struct nlmsghdr* header = (const struct nlmsghdr*)answer;
  const int error = header->nlmsg_type == NLMSG_ERROR ? ((const struct nlmsgerr*)NLMSG_DATA(header))->error : 0;
  if (error) {
    fprintf(stderr, "%s: %s\n", what, strerror(-error));
    exit(1);
  }
}

/* The same requests as lib/rtnl_device_request.cc makes. `inside`: a process in another network namespace, where the
 * device comes to and is up; 0: in the socket's, and down. */
static inline void create_macvtap(int sock, unsigned parent, unsigned index, const char* name, pid_t inside) {
  const unsigned char mac[6] = {2, (unsigned char)(index >> 16), (unsigned char)(index >> 8), (unsigned char)index, 1,
                                1};
  const unsigned mode = MACVLAN_MODE_BRIDGE, group = 0x766d7402;
  const unsigned flags = IFF_ALLMULTI | IFF_NOARP | (inside ? IFF_UP : 0);
  struct ifinfomsg link = {.ifi_index = (int)index, .ifi_flags = flags, .ifi_change = flags};
  begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
  put(IFLA_IFNAME, name, (int)strlen(name) + 1);
  put(IFLA_LINK, &parent, sizeof parent);
  put(IFLA_GROUP, &group, sizeof group);
  if (inside) put(IFLA_NET_NS_PID, &inside, sizeof inside);
  put(IFLA_ADDRESS, mac, sizeof mac);
  struct rtattr* info = put(IFLA_LINKINFO, NULL, 0);
  put(IFLA_INFO_KIND, "macvtap", 8);
  struct rtattr* data = put(IFLA_INFO_DATA, NULL, 0);
  put(IFLA_MACVLAN_MODE, &mode, sizeof mode);
  end(data);
  end(info);
  talk(sock, "create");
}

static inline void finish_macvtap(int sock, unsigned index) {
  struct ifinfomsg link = {.ifi_index = (int)index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  begin(RTM_SETLINK, 0, &link, sizeof link);
  put(IFLA_IFALIAS, "virt-macvtap: standing", 23);
  talk(sock, "up");
}
