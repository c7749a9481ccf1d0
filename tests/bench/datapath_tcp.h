/* SPDX-License-Identifier: LGPL-2.1-or-later
 * The guest's end of a TCP connection, for a path that loses nothing: it takes what comes in order and acknowledges it.
 */
#pragma once

#include <netinet/tcp.h>

#include "datapath.h"

struct connection {
  int host;              /* the host's socket */
  unsigned port;         /* and its port */
  uint32_t sent, wanted; /* the guest's next byte, and the host's */
};

static size_t make_segment(const struct path* path, const struct connection* connection, uint8_t* frame, int flags,
                           size_t payload, size_t segment) {
  static const uint8_t options[8] = {2, 4, 1460 >> 8, 1460 & 255, 1, 3, 3, 10}; /* MSS, and a window in KiB */
  uint8_t* tcp = frame + path->vnet + 14 + 20;
  const size_t header = flags & TH_SYN ? 28 : 20;
  memset(tcp, 0, 20);
  put16(tcp, kPort);
  put16(tcp + 2, connection->port);
  put32(tcp + 4, connection->sent);
  put32(tcp + 8, connection->wanted);
  tcp[12] = (uint8_t)(header << 2);
  tcp[13] = (uint8_t)flags;
  put16(tcp + 14, 0x7fff);
  if (flags & TH_SYN) memcpy(tcp + 20, options, sizeof options);
  return finish_frame(path, frame, IPPROTO_TCP, header + payload, segment);
}

static void acknowledge(const struct path* path, const struct connection* connection, int flags) {
  static uint8_t frame[256];
  const size_t length = make_segment(path, connection, frame, flags, 0, 0);
  if (write(path->tap, frame, length) < 0) die("write");
}

/* Bytes of payload in what guest_takes() has taken. */
static size_t payload_of(const struct path* path, size_t taken_length) {
  return taken_length - (size_t)(taken(path)[12] >> 4) * 4;
}

static struct connection connect_tcp(const struct path* path) {
  const int much = 16 << 20, on = 1;
  struct connection connection = {.host = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), .sent = 1000};
  struct sockaddr_in from = path->host_address;
  from.sin_port = 0;
  setsockopt(connection.host, SOL_SOCKET, SO_RCVBUFFORCE, &much, sizeof much);
  setsockopt(connection.host, SOL_SOCKET, SO_SNDBUFFORCE, &much, sizeof much);
  setsockopt(connection.host, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  /* cubic leaves its slow start when answers take longer, which they do at random here: frames of any size then */
  setsockopt(connection.host, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
  if (bind(connection.host, (struct sockaddr*)&from, sizeof from) != 0) die("bind");
  connect(connection.host, (const struct sockaddr*)&path->guest_address, sizeof path->guest_address);
  expect("SYN", guest_takes(path, IPPROTO_TCP), 20);
  connection.port = (unsigned)taken(path)[0] << 8 | taken(path)[1];
  connection.wanted = get32(taken(path) + 4) + 1;
  acknowledge(path, &connection, TH_SYN | TH_ACK);
  ++connection.sent;
  expect("handshake", guest_takes(path, IPPROTO_TCP), 20);
  return connection;
}

static double tcp_to_guest(struct path* path, struct connection* connection, size_t payload, unsigned segments,
                           int burst) {
  static uint8_t data[kRoom];
  const size_t all = payload * segments * (size_t)burst;
  size_t got = 0;
  const double begin = now();
  for (int i = 0; i < burst; ++i)
    if (send(connection->host, data, payload * segments, 0) != (ssize_t)(payload * segments)) die("send");
  while (got < all) {
    const size_t length = guest_takes(path, IPPROTO_TCP);
    if (!length) break;
    const size_t one = payload_of(path, length);
    if (!one || get32(taken(path) + 4) != connection->wanted) continue;
    connection->wanted += (uint32_t)one;
    got += one;
    acknowledge(path, connection, TH_ACK);
  }
  const double end = now();
  expect("TCP, host to guest", got, all);
  return end - begin;
}

/* Frame by frame, so that the host's window always has room. */
static double tcp_to_host(struct path* path, struct connection* connection, size_t payload, unsigned segments,
                          int burst) {
  static uint8_t frame[kRoom];
  const size_t all = payload * segments;
  const double begin = now();
  for (int i = 0; i < burst; ++i) {
    const size_t length = make_segment(path, connection, frame, TH_ACK | TH_PUSH, all, segments > 1 ? payload : 0);
    if (write(path->tap, frame, length) < 0) die("write");
    connection->sent += (uint32_t)all;
    size_t got = 0;
    while (got < all) {
      const size_t one = host_takes(connection->host);
      if (!one) break;
      got += one;
    }
    expect("TCP, guest to host", got, all);
    while (read(path->tap, room, sizeof room) > 0) { /* the host's acknowledgements */
    }
  }
  return now() - begin;
}
