/* SPDX-License-Identifier: LGPL-2.1-or-later
 * The floor of a call of the hook: the changes that it makes, as raw requests, and no question but the parent's number.
 *   floor_hook start|stop|first|last PARENT MAC GUEST4 HOST4 GUEST6 HOST6
 * start and stop: two neighbours and two routes of a guest on a shim that is there. first and last: the shim as well. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <unistd.h>

#include "netlink.h"

enum { kProtocol = 118, kGroup = 0x766d7401 };

static int sock;
static unsigned parent, shim;

static void write_sysctl(const char *kind, const char *key, const char *value) {
  char path[96];
  snprintf(path, sizeof path, "/proc/sys/net/ipv6/%s/vmt-%u/%s", kind, parent, key);
  const int file = open(path, O_WRONLY);
  if (file < 0 || write(file, value, 1) != 1) exit(1);
  close(file);
}

static void put_u32(int type, unsigned value) {
  put(type, &value, sizeof value);
}

static void create_shim(void) {
  struct ifinfomsg link = {.ifi_index = (int)shim};
  const unsigned char mac[6] = {2, 0, 0, 0, 1, (unsigned char)parent};
  char name[16];
  snprintf(name, sizeof name, "vmt-%u", parent);
  begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
  put(IFLA_IFNAME, name, (int)strlen(name) + 1);
  put_u32(IFLA_LINK, parent);
  put(IFLA_ADDRESS, mac, sizeof mac);
  put_u32(IFLA_GROUP, kGroup);
  struct rtattr *info = put(IFLA_LINKINFO, NULL, 0);
  put(IFLA_INFO_KIND, "macvlan", 8);
  struct rtattr *data = put(IFLA_INFO_DATA, NULL, 0);
  put_u32(IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
  end(data);
  end(info);
  talk(sock, "create");
}

static void quiet_shim(void) {
  struct ifinfomsg link = {.ifi_index = (int)shim};
  const unsigned char none = IN6_ADDR_GEN_MODE_NONE;
  begin(RTM_SETLINK, 0, &link, sizeof link);
  struct rtattr *families = put(IFLA_AF_SPEC, NULL, 0);
  struct rtattr *v4 = put(AF_INET, NULL, 0);
  struct rtattr *conf = put(IFLA_INET_CONF, NULL, 0);
  put_u32(IPV4_DEVCONF_ARPFILTER, 1);
  put_u32(IPV4_DEVCONF_ARP_IGNORE, 0);
  put_u32(IPV4_DEVCONF_PROXY_ARP, 0);
  put_u32(IPV4_DEVCONF_MEDIUM_ID, (unsigned)-1);
  end(conf);
  end(v4);
  struct rtattr *v6 = put(AF_INET6, NULL, 0);
  put(IFLA_INET6_ADDR_GEN_MODE, &none, sizeof none);
  end(v6);
  end(families);
  talk(sock, "quiet");
}

static void finish_shim(void) {
  struct ifinfomsg link = {.ifi_index = (int)shim, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  begin(RTM_SETLINK, 0, &link, sizeof link);
  put(IFLA_IFALIAS, "virt-macvtap: host access for guests", 36);
  talk(sock, "up");
}

static void delete_shim(void) {
  struct ifinfomsg link = {.ifi_index = (int)shim};
  begin(RTM_DELLINK, 0, &link, sizeof link);
  talk(sock, "delete");
}

static int family_of(const char *text, unsigned char *address) {
  if (inet_pton(AF_INET, text, address) == 1) return AF_INET;
  return inet_pton(AF_INET6, text, address) == 1 ? AF_INET6 : 0;
}

static int size_of(int family) {
  return family == AF_INET ? 4 : 16;
}

/* mac NULL: away with it. */
static void neighbour(const char *guest, const unsigned char *mac, int flags) {
  unsigned char address[16];
  const unsigned char protocol = kProtocol;
  const int family = family_of(guest, address);
  struct ndmsg header = {.ndm_family = (unsigned char)family, .ndm_ifindex = (int)shim, .ndm_flags = (unsigned char)flags};
  if (mac || flags) header.ndm_state = NUD_PERMANENT;
  begin(mac || flags ? RTM_NEWNEIGH : RTM_DELNEIGH, mac || flags ? NLM_F_CREATE | NLM_F_EXCL : 0, &header, sizeof header);
  put(NDA_DST, address, size_of(family));
  if (mac) put(NDA_LLADDR, mac, 6);
  if (mac || flags) put(NDA_PROTOCOL, &protocol, 1);
  talk(sock, "neighbour");
}

/* host NULL: away with it. */
static void route(const char *guest, const char *host) {
  unsigned char address[16];
  const int family = family_of(guest, address);
  struct rtmsg header = {.rtm_family = (unsigned char)family, .rtm_dst_len = (unsigned char)(8 * size_of(family)),
                         .rtm_table = RT_TABLE_MAIN, .rtm_protocol = kProtocol,
                         .rtm_scope = host ? RT_SCOPE_LINK : RT_SCOPE_NOWHERE, .rtm_type = host ? RTN_UNICAST : 0};
  begin(host ? RTM_NEWROUTE : RTM_DELROUTE, host ? NLM_F_CREATE | NLM_F_EXCL : 0, &header, sizeof header);
  put(RTA_DST, address, size_of(family));
  put_u32(RTA_OIF, shim);
  if (host) {
    family_of(host, address);
    put(RTA_PREFSRC, address, size_of(family));
  }
  talk(sock, "route");
}

static void make_shim(const char *host6) {
  create_shim();
  write_sysctl("conf", "accept_ra", "0");
  write_sysctl("conf", "forwarding", "1");
  write_sysctl("conf", "proxy_ndp", "1");
  write_sysctl("neigh", "proxy_delay", "0");
  quiet_shim();
  neighbour(host6, NULL, NTF_PROXY);
  finish_shim();
}

int main(int argc, char **argv) {
  unsigned char mac[6];
  if (argc != 8 || sscanf(argv[3], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) != 6)
    return 2;
  sock = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  parent = if_nametoindex(argv[2]);
  shim = 0x40000000U + parent;
  const char *guests[] = {argv[4], argv[6]}, *hosts[] = {argv[5], argv[7]};
  if (strcmp(argv[1], "last") == 0) {
    delete_shim();
    return 0;
  }
  if (strcmp(argv[1], "first") == 0) make_shim(hosts[1]);
  const int starts = strcmp(argv[1], "stop") != 0;
  for (int i = 0; i < 2; ++i) {
    if (!starts) route(guests[i], NULL);
    neighbour(guests[i], starts ? mac : NULL, 0);
    if (starts) route(guests[i], hosts[i]);
  }
  return 0;
}
