/* SPDX-License-Identifier: LGPL-2.1-or-later
 * Sends frames of one kind at a rate, as a LAN or a guest does that means no good: what an observer of the network has to
 * stand. Root, in the network namespace of the device; out of a macvtap or macvlan they leave as its guest's would.
 *
 *   blast DEVICE RATE SECONDS KIND [MAC [ADDRESS]]      prints "sent N frames in S s"; fails when it sent none
 *
 *   gratuitous   MAC announces ADDRESS (IPv4) by ARP
 *   arp          MAC, which has ADDRESS, asks by ARP for one neighbour after the other, of 65536
 *   claims       MAC announces one IPv4 address after the other, from ADDRESS on, of 65536
 *   macs         one MAC after the other, random ones, announces ADDRESS (IPv4)
 *   ns           MAC probes one IPv6 address after the other (duplicate detection), random ones from ADDRESS's /64
 *   garbage      MAC sends ARP, IPv6 and neighbour discovery that is random after the headers that make it so, of 15 to 1500
 *                octets
 *
 * MAC is DEVICE's own without it or with "-", ADDRESS 192.0.2.200 or 2001:db8:1::200. A RATE of 0: as fast as it goes. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kBatch = 64, kRoom = 1500 };

static uint8_t mac[6], target4[4], target6[16];
static uint64_t seed = 0x9e3779b97f4a7c15U; /* the same frames each time */

static uint64_t any(void) { /* xorshift64 */
  seed ^= seed << 13;
  seed ^= seed >> 7;
  return seed ^= seed << 17;
}

static void fill(uint8_t *at, size_t length) {
  for (size_t i = 0; i < length; ++i) at[i] = (uint8_t)any();
}

static uint8_t *ethernet(uint8_t *frame, const void *to, const void *from, unsigned type) {
  memcpy(frame, to, 6);
  memcpy(frame + 6, from, 6);
  frame[12] = (uint8_t)(type >> 8);
  frame[13] = (uint8_t)type;
  return frame + 14;
}

static size_t arp(uint8_t *frame, unsigned operation, const uint8_t *from, const uint8_t *sender, const uint8_t *wanted) {
  static const uint8_t header[] = {0, 1, 8, 0, 6, 4, 0};
  uint8_t *at = ethernet(frame, "\377\377\377\377\377\377", from, ETHERTYPE_ARP);
  memcpy(at, header, sizeof header);
  at[7] = (uint8_t)operation;
  memcpy(at + 8, from, 6);
  memcpy(at + 14, sender, 4);
  memset(at + 18, 0, 6);
  memcpy(at + 24, wanted, 4);
  return 14 + 28;
}

static size_t gratuitous(uint8_t *frame, uint64_t n) {
  (void)n;
  return arp(frame, 1, mac, target4, target4);
}

static void count_up(uint8_t *address, uint64_t n) {
  memcpy(address, target4, 4);
  n += (uint64_t)target4[2] << 8 | target4[3];
  address[2] = (uint8_t)(n >> 8);
  address[3] = (uint8_t)n;
}

static size_t request(uint8_t *frame, uint64_t n) {
  uint8_t wanted[4];
  count_up(wanted, n + 1);
  return arp(frame, 1, mac, target4, wanted);
}

static size_t claim(uint8_t *frame, uint64_t n) {
  uint8_t claimed[4];
  count_up(claimed, n);
  return arp(frame, 1, mac, claimed, claimed);
}

static size_t random_mac(uint8_t *frame, uint64_t n) {
  uint8_t from[6];
  (void)n;
  fill(from, sizeof from);
  from[0] = (uint8_t)((from[0] & 0xfc) | 2); /* unicast, local */
  return arp(frame, 1, from, target4, target4);
}

static uint16_t checksum(const uint8_t *ip, size_t length) { /* of ICMPv6, at ip + 40 */
  uint32_t sum = (uint32_t)length + 58;
  for (size_t i = 8; i < 40 + length; i += 2) sum += (uint32_t)ip[i] << 8 | (i + 1 < 40 + length ? ip[i + 1] : 0);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

/* An ICMPv6 message of this length is at ip + 40. */
static void finish_icmp(uint8_t *ip, size_t length) {
  memset(ip, 0, 8);
  ip[0] = 0x60;
  ip[4] = (uint8_t)(length >> 8);
  ip[5] = (uint8_t)length;
  ip[6] = 58;
  ip[7] = 255;
  ip[42] = ip[43] = 0;
  const uint16_t sum = checksum(ip, length);
  ip[42] = (uint8_t)(sum >> 8);
  ip[43] = (uint8_t)sum;
}

static size_t solicit(uint8_t *frame, uint64_t n) {
  uint8_t wanted[16], group[6] = {0x33, 0x33, 0xff};
  (void)n;
  memcpy(wanted, target6, 8);
  fill(wanted + 8, 8);
  memcpy(group + 3, wanted + 13, 3);
  uint8_t *ip = ethernet(frame, group, mac, ETHERTYPE_IPV6);
  memset(ip + 8, 0, 16 + 16 + 8);
  memcpy(ip + 24, "\377\2\0\0\0\0\0\0\0\0\0\1\377", 13);
  memcpy(ip + 37, wanted + 13, 3);
  ip[40] = 135;
  memcpy(ip + 48, wanted, 16);
  finish_icmp(ip, 24);
  return 14 + 40 + 24;
}

static size_t garbage(uint8_t *frame, uint64_t n) {
  const size_t length = 15 + any() % (kRoom - 14);
  uint8_t *at;
  fill(frame, length);
  at = ethernet(frame, n & 4 ? "\377\377\377\377\377\377" : "\63\63\0\0\0\1", mac, n % 3 ? ETHERTYPE_IPV6 : ETHERTYPE_ARP);
  if (n % 3 == 0 && n & 1 && length >= 22) memcpy(at, "\0\1\10\0\6\4\0\1", 8);
  if (n % 3 == 2 && length > 14 + 48) {
    at[40] = (uint8_t)(133 + n % 5);
    finish_icmp(at, length - 14 - 40);
  }
  return length;
}

static const struct {
  const char *name;
  size_t (*make)(uint8_t *frame, uint64_t n);
} kinds[] = {{"gratuitous", gratuitous}, {"arp", request},   {"claims", claim},
             {"macs", random_mac},       {"ns", solicit}, {"garbage", garbage}};

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int open_device(const char *name) {
  const int fd = socket(AF_PACKET, SOCK_RAW, 0);
  struct ifreq asked = {0};
  snprintf(asked.ifr_name, sizeof asked.ifr_name, "%s", name);
  if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &asked) != 0) return -1;
  memcpy(mac, asked.ifr_hwaddr.sa_data, 6);
  const struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(name)};
  return bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 ? fd : -1;
}

/* How many were sent, by the time that is `end`. What the kernel has no room for is lost, as on a wire. */
static uint64_t blast(int fd, size_t (*make)(uint8_t *, uint64_t), int64_t begin, int64_t end, uint64_t rate) {
  static uint8_t frames[kBatch][kRoom];
  struct iovec parts[kBatch];
  struct mmsghdr messages[kBatch];
  uint64_t made = 0, sent = 0;
  memset(messages, 0, sizeof messages);
  for (int64_t time = begin; time < end; time = now()) {
    uint64_t due = rate ? (uint64_t)(time - begin) * rate / 1000000000U + 1 - made : kBatch;
    if (due > kBatch) due = kBatch;
    if (due == 0) {
      const int64_t next = begin + (int64_t)(made * 1000000000U / rate);
      const struct timespec until = {next / 1000000000, next % 1000000000};
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
      continue;
    }
    for (unsigned i = 0; i < due; ++i) {
      parts[i] = (struct iovec){frames[i], make(frames[i], made++)};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int count = sendmmsg(fd, messages, (unsigned)due, 0);
    if (count > 0) sent += (uint64_t)count;
  }
  return sent;
}

static int usage(void) {
  fputs("usage: blast DEVICE RATE SECONDS gratuitous|arp|claims|macs|ns|garbage [MAC|- [ADDRESS]]\n", stderr);
  return 2;
}

int main(int argc, char **argv) {
  if (argc < 5 || argc > 7) return usage();
  size_t kind = 0;
  while (kind < sizeof kinds / sizeof *kinds && strcmp(kinds[kind].name, argv[4]) != 0) ++kind;
  if (kind == sizeof kinds / sizeof *kinds) return usage();

  const int fd = open_device(argv[1]);
  if (fd < 0) {
    perror(argv[1]);
    return 1;
  }
  if (argc > 5 && strcmp(argv[5], "-") != 0 &&
      sscanf(argv[5], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) != 6)
    return usage();
  inet_pton(AF_INET, "192.0.2.200", target4);
  inet_pton(AF_INET6, "2001:db8:1::200", target6);
  if (argc > 6 && inet_pton(AF_INET, argv[6], target4) + inet_pton(AF_INET6, argv[6], target6) != 1) return usage();

  const int64_t begin = now();
  const uint64_t sent = blast(fd, kinds[kind].make, begin, begin + (int64_t)(atof(argv[3]) * 1e9), strtoull(argv[2], NULL, 10));
  printf("sent %llu frames in %.3f s\n", (unsigned long long)sent, (double)(now() - begin) / 1e9);
  return sent ? 0 : 1;
}
