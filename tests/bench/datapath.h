/* SPDX-License-Identifier: LGPL-2.1-or-later
 * A path between host and guest, with a tap at the guest's end, and the frames that go over it: what datapath.c and
 * datapath_tcp.h share. */
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO 104
#endif

enum { kHeaders = 14 + 20 + 8, kPort = 4711, kRoom = 70000 };

struct path {
  int tap, host, vnet; /* fds, the host's for UDP; bytes of offload header */
  struct sockaddr_in host_address, guest_address;
  uint8_t host_mac[6];
};

static const uint8_t guest_mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
static uint8_t room[kRoom];

static void die(const char* what) {
  perror(what);
  exit(1);
}

static double now(void) { /* microseconds */
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static int open_tap(const char* name, int macvtap, int vnet) {
  char node[32] = "/dev/net/tun";
  if (macvtap) snprintf(node, sizeof node, "/dev/tap%u", if_nametoindex(name));
  const int fd = open(node, O_RDWR | O_NONBLOCK);
  struct ifreq asked = {0};
  snprintf(asked.ifr_name, sizeof asked.ifr_name, "%s", name);
  asked.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (vnet ? IFF_VNET_HDR : 0));
  if (fd < 0 || ioctl(fd, TUNSETIFF, &asked) != 0) die(node);
  const unsigned offload = vnet ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_USO4 | TUN_F_USO6 : 0;
  if (ioctl(fd, TUNSETOFFLOAD, offload) != 0) die("TUNSETOFFLOAD");
  return fd;
}

static struct path open_path(char** arguments, int macvtap, int vnet) {
  struct path path = {.vnet = vnet ? (int)sizeof(struct virtio_net_hdr) : 0};
  const int on = 1, much = 8 << 20;
  struct ifreq asked = {0};
  path.tap = open_tap(arguments[0], macvtap, vnet);
  path.host = socket(AF_INET, SOCK_DGRAM, 0);
  path.host_address.sin_family = path.guest_address.sin_family = AF_INET;
  path.host_address.sin_port = path.guest_address.sin_port = htons(kPort);
  inet_pton(AF_INET, arguments[2], &path.host_address.sin_addr);
  inet_pton(AF_INET, arguments[3], &path.guest_address.sin_addr);
  setsockopt(path.host, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(path.host, SOL_SOCKET, SO_RCVBUFFORCE, &much, sizeof much);
  setsockopt(path.host, SOL_SOCKET, SO_SNDBUFFORCE, &much, sizeof much);
  if (vnet) setsockopt(path.host, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
  if (bind(path.host, (struct sockaddr*)&path.host_address, sizeof path.host_address) != 0 ||
      connect(path.host, (struct sockaddr*)&path.guest_address, sizeof path.guest_address) != 0)
    die(arguments[2]);
  snprintf(asked.ifr_name, sizeof asked.ifr_name, "%s", arguments[1]);
  if (ioctl(path.host, SIOCGIFHWADDR, &asked) != 0) die(arguments[1]);
  memcpy(path.host_mac, asked.ifr_hwaddr.sa_data, 6);
  return path;
}

static uint32_t sum_of(const void* data, size_t length, uint32_t sum) {
  const uint8_t* at = data;
  for (size_t i = 0; i + 1 < length; i += 2) sum += (uint32_t)at[i] << 8 | at[i + 1];
  if (length & 1) sum += (uint32_t)at[length - 1] << 8;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

static void put16(uint8_t* at, unsigned value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

static void put32(uint8_t* at, uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value & 0xffff);
}

static uint32_t get32(const uint8_t* at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Ethernet and IPv4 around `length` bytes of TCP or UDP that are in their place, and their checksum; segment: bytes of
 * payload in each when it stands for several, else 0. Returns the frame's length. */
static size_t finish_frame(const struct path* path, uint8_t* frame, int protocol, size_t length, size_t segment) {
  struct virtio_net_hdr header = {0};
  uint8_t *ip = frame + path->vnet + 14, *inner = ip + 20;
  uint8_t* checksum = inner + (protocol == IPPROTO_TCP ? 16 : 6);
  memcpy(frame + path->vnet, path->host_mac, 6);
  memcpy(frame + path->vnet + 6, guest_mac, 6);
  put16(frame + path->vnet + 12, ETHERTYPE_IP);
  memset(ip, 0, 20);
  ip[0] = 0x45;
  put16(ip + 2, (unsigned)(20 + length));
  ip[8] = 64;
  ip[9] = (uint8_t)protocol;
  memcpy(ip + 12, &path->guest_address.sin_addr, 4);
  memcpy(ip + 16, &path->host_address.sin_addr, 4);
  put16(ip + 10, ~sum_of(ip, 20, 0) & 0xffff);
  put16(checksum, 0);
  const uint32_t pseudo = sum_of(ip + 12, 8, (uint32_t)((size_t)protocol + length));
  put16(checksum, path->vnet ? pseudo : ~sum_of(inner, length, pseudo) & 0xffff);
  header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  header.csum_start = 14 + 20;
  header.csum_offset = (uint16_t)(checksum - inner);
  if (segment) {
    header.gso_type = protocol == IPPROTO_TCP ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_UDP_L4;
    header.gso_size = (uint16_t)segment;
    header.hdr_len = (uint16_t)(14 + 20 + (protocol == IPPROTO_TCP ? 20 : 8));
  }
  memcpy(frame, &header, (size_t)path->vnet);
  return (size_t)path->vnet + 14 + 20 + length;
}

static int wait_for(int fd) {
  struct pollfd ready = {.fd = fd, .events = POLLIN};
  return poll(&ready, 1, 200) == 1;
}

/* TCP or UDP for the guest's port; others, such as the host's neighbour discovery, are passed over. Its length with its
 * header, which is at taken(); 0: none came. */
static size_t guest_takes(const struct path* path, int protocol) {
  for (;;) {
    const ssize_t got = read(path->tap, room, sizeof room);
    if (got < 0 && !wait_for(path->tap)) return 0;
    if (got < path->vnet + kHeaders) continue;
    const uint8_t* ip = room + path->vnet + 14;
    if (ip[0] == 0x45 && ip[9] == protocol && ip[22] == kPort >> 8 && ip[23] == (kPort & 255))
      return (size_t)got - (size_t)path->vnet - 14 - 20;
  }
}

static const uint8_t* taken(const struct path* path) {
  return room + path->vnet + 14 + 20;
}

static size_t host_takes(int socket) {
  for (;;) {
    const ssize_t got = recv(socket, room, sizeof room, MSG_DONTWAIT);
    if (got >= 0) return (size_t)got;
    if (!wait_for(socket)) return 0;
  }
}

static void expect(const char* what, size_t got, size_t wanted) {
  if (got >= wanted) return;
  fprintf(stderr, "datapath: %s: %zu of %zu bytes arrived\n", what, got, wanted);
  exit(1);
}
