/* SPDX-License-Identifier: LGPL-2.1-or-later
 * What does a frame between host and guest cost? The same frames through two taps: a macvtap, where the host answers over
 * a shim, and a tap on a bridge. Plays the guest on both fds and the host on both sockets, in one thread: a burst is sent
 * and then taken out at the other end, so nothing is dropped and nobody waits for a processor. Round by round, each path
 * in turn. With and without offload headers (IFF_VNET_HDR, with checksums and segments left to the other side).
 *
 *   datapath ROUNDS MACVTAP SHIM HOST GUEST TAP BRIDGE HOST GUEST        prints JSON
 *
 * The devices are there; the host has a neighbour for each guest (52:54:00:12:34:56 both) and a route. */
#define _GNU_SOURCE
#include "datapath.h"

#include "datapath_tcp.h"

static size_t make_datagram(const struct path *path, uint8_t *frame, size_t payload, unsigned segments) {
  uint8_t *udp = frame + path->vnet + 14 + 20;
  put16(udp, kPort);
  put16(udp + 2, kPort);
  put16(udp + 4, (unsigned)(8 + payload * segments));
  return finish_frame(path, frame, IPPROTO_UDP, 8 + payload * segments, segments > 1 ? payload : 0);
}

/* Each returns microseconds: of a burst, or of one question and answer. */

static double to_guest(const struct path *path, size_t payload, unsigned segments, int burst) {
  static uint8_t data[kRoom];
  const int size = segments > 1 ? (int)payload : 0;
  if (setsockopt(path->host, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size) != 0) die("UDP_SEGMENT");
  const size_t wanted = payload * segments * (size_t)burst;
  size_t got = 0;
  const double begin = now();
  for (int i = 0; i < burst; ++i)
    if (send(path->host, data, payload * segments, 0) < 0) die("send");
  while (got < wanted) {
    const size_t one = guest_takes(path, IPPROTO_UDP);
    if (!one) break;
    got += one - 8;
  }
  const double end = now();
  expect("host to guest", got, wanted);
  return end - begin;
}

static double to_host(const struct path *path, size_t payload, unsigned segments, int burst) {
  static uint8_t frame[kRoom];
  const size_t length = make_datagram(path, frame, payload, segments), wanted = payload * segments * (size_t)burst;
  size_t got = 0;
  const double begin = now();
  for (int i = 0; i < burst; ++i)
    if (write(path->tap, frame, length) < 0) die("write");
  while (got < wanted) {
    const size_t one = host_takes(path->host);
    if (!one) break;
    got += one;
  }
  const double end = now();
  expect("guest to host", got, wanted);
  return end - begin;
}

/* The bridge learns where the guest is; a device that has just come up drops what is sent before its queue is there. */
static void warm_up(const struct path *path) {
  static uint8_t frame[kRoom];
  const size_t length = make_datagram(path, frame, 64, 1);
  for (int i = 0; i < 20; ++i) {
    if (write(path->tap, frame, length) < 0) die("write");
    if (host_takes(path->host)) break;
  }
  to_host(path, 64, 1, 1);
}

static double there_and_back(const struct path *path) {
  return to_guest(path, 64, 1, 1) + to_host(path, 64, 1, 1);
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

enum kind { kUdp, kTcp, kBothWays };
static const struct {
  const char *what;
  enum kind kind;
  size_t payload;
  unsigned segments;
  int burst, vnet_only;
} kinds[] = {{"UDP, 64 bytes", kUdp, 64, 1, 32, 0},
             {"UDP, 1,472 bytes", kUdp, 1472, 1, 32, 0},
             {"UDP, 44 x 1,472 bytes in one frame", kUdp, 1472, 44, 4, 1},
             {"TCP, 1,460 bytes", kTcp, 1460, 1, 32, 0},
             {"TCP, 44 x 1,460 bytes in one frame", kTcp, 1460, 44, 4, 1},
             {"UDP there and back, 64 bytes", kBothWays, 64, 1, 1, 0}};
enum { kKinds = sizeof kinds / sizeof *kinds };

static double run(struct path *path, struct connection *connection, int kind, int up) {
  const size_t payload = kinds[kind].payload;
  const unsigned segments = kinds[kind].segments;
  const int burst = kinds[kind].burst;
  switch (kinds[kind].kind) {
    case kUdp: return (up ? to_host : to_guest)(path, payload, segments, burst);
    case kTcp: return (up ? tcp_to_host : tcp_to_guest)(path, connection, payload, segments, burst);
    case kBothWays: break;
  }
  return there_and_back(path);
}

static void print(const char *name, int kind, double *shim, double *bridge, int rounds, int vnet, int *rows) {
  qsort(shim, (size_t)rounds, sizeof *shim, by_value);
  qsort(bridge, (size_t)rounds, sizeof *bridge, by_value);
  const double bits = 8.0 * (double)(kinds[kind].payload * kinds[kind].segments) * kinds[kind].burst;
  const double s = shim[rounds / 2], b = bridge[rounds / 2];
  printf("%s\n  {\"what\": \"%s%s\", \"vnet_hdr\": %s, ", (*rows)++ ? "," : "[", name, kinds[kind].what,
         vnet ? "true" : "false");
  if (kinds[kind].kind != kBothWays)
    printf("\"unit\": \"Gbit/s\", \"shim\": %.4f, \"bridge\": %.4f, \"ratio\": %.4f}", bits / s / 1e3, bits / b / 1e3, b / s);
  else
    printf("\"unit\": \"us\", \"shim\": %.3f, \"bridge\": %.3f, \"ratio\": %.4f}", s, b, s / b);
}

int main(int argc, char **argv) {
  const int rounds = argc == 10 ? atoi(argv[1]) : 0;
  if (rounds < 1) {
    fputs("usage: datapath ROUNDS MACVTAP SHIM HOST GUEST TAP BRIDGE HOST GUEST\n", stderr);
    return 2;
  }
  double *times[2];
  for (int i = 0; i < 2; ++i) times[i] = calloc((size_t)rounds, sizeof(double));
  int rows = 0;
  for (int vnet = 0; vnet < 2; ++vnet) {
    struct path paths[2] = {open_path(argv + 2, 1, vnet), open_path(argv + 6, 0, vnet)};
    struct connection connections[2];
    for (int i = 0; i < 2; ++i) {
      warm_up(&paths[i]);
      connections[i] = connect_tcp(&paths[i]);
    }
    for (int kind = 0; kind < kKinds; ++kind)
      for (int up = 0; up < (kinds[kind].kind == kBothWays ? 1 : 2); ++up) {
        if (kinds[kind].vnet_only && !vnet) continue;
        for (int round = -rounds / 10 - 1; round < rounds; ++round)
          for (int i = 0; i < 2; ++i) {
            const double time = run(&paths[i], &connections[i], kind, up);
            if (round >= 0) times[i][round] = time;
          }
        print(kinds[kind].kind == kBothWays ? "" : up ? "guest to host, " : "host to guest, ", kind, times[0], times[1], rounds,
              vnet, &rows);
      }
    for (int i = 0; i < 2; ++i) {
      close(paths[i].tap);
      close(paths[i].host);
      close(connections[i].host);
    }
  }
  puts("\n]");
  return 0;
}
