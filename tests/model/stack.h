// SPDX-License-Identifier: LGPL-2.1-or-later
// A guest's network stack on the tap of its macvtap, as small as can be: it answers ARP and neighbour discovery for its
// addresses and sends back what comes for UDP port 7, on a thread of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <set>
#include <span>
#include <thread>
#include <vector>

#include "lib/fd.h"
#include "lib/ip_address.h"
#include "lib/mac_address.h"

namespace vmt::model {

class Stack {
 public:
  // `tap`: one queue, without vnet headers.
  Stack(Fd tap, MacAddress mac);
  ~Stack();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  void set_addresses(std::set<IpAddress> addresses);
  // As gratuitous ARP, or as a solicitation for its own address does.
  void announce(const IpAddress& address);
  // Asks for the host's address from one of its own: whether somebody answers in time.
  bool resolves(const IpAddress& from, const IpAddress& host, std::chrono::milliseconds patience);

 private:
  void serve();
  void take(std::span<const std::uint8_t> frame);
  void send(const std::vector<std::uint8_t>& frame);
  bool has(std::span<const std::uint8_t> address);

  Fd tap_, wake_;
  MacAddress mac_;
  std::mutex mutex_;
  std::condition_variable heard_;
  std::set<IpAddress> addresses_;
  std::set<IpAddress> resolved_;  // of whom an answer came
  std::thread thread_;
};

// From the host: one datagram to the guest's port 7, and back.
bool echoes(const IpAddress& guest, std::chrono::milliseconds patience);

}  // namespace vmt::model
