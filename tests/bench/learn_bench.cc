// SPDX-License-Identifier: LGPL-2.1-or-later
// How long from a guest's first word to the route to it, with the guests of a guests-lab? Starts the real watcher, lets
// guest t0 announce new addresses, and takes them away again. Prints milliseconds, one a line.
//
//   learn_bench VIRT-MACVTAP COUNT      root, in the namespaces of a guests-lab
#include <fmt/core.h>

#include <cstdlib>
#include <fstream>
#include <iostream>

#include "tests/bench/watch_lab.h"

namespace vmt::bench {
namespace {

int run(int count) {
  std::ofstream("/run/watch.conf") << "max-addresses = 64\n";
  Watcher watcher;
  News news;
  PacketLink guest{"", "t0"};
  std::string undo;
  int lost = 0;
  for (int i = 0; i < count + lost; ++i) {
    const IpAddress address = address4(2900 + i);
    const auto frame = announcement(guest_mac(0), address);
    news.drain();
    const auto begin = Clock::now();
    guest.send(frame);
    const auto end = news.route_appears(address, std::chrono::seconds(3));
    // A guest repeats what it says. On a busy machine the kernel may lose one: it is told of, and does not count.
    if (!end) std::cerr << "learn_bench: the announcement of " << address.str() << " was lost\n";
    if (!end && ++lost > 2) return 1;
    if (!end) continue;
    std::cout << milliseconds(*end - begin) << '\n';
    undo += fmt::format("route del {0} proto 118\nneigh del {0} dev vmt-{1}\n", address.str(), index_of("e0"));
  }
  watcher.stop();
  ip_batch(undo);
  return 0;
}

}  // namespace
}  // namespace vmt::bench

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: learn_bench VIRT-MACVTAP COUNT\n";
    return 2;
  }
  vmt::bench::Watcher::command = fmt::format("exec {} watch --config /run/watch.conf 2>>/run/watch.log", argv[1]);
  return vmt::bench::run(std::atoi(argv[2]));
}
