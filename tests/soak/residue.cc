// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/soak/residue.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "lib/tap_node.h"
#include "tests/soak/lab.h"

namespace vmt::soak {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// What lives as long as a device, a namespace, a route or a socket does, and is no cache.
constexpr std::array kCaches = {"net_namespace", "kernfs_node_cache", "ip_fib_alias", "ip_fib_trie",
                                "fib6_node",     "sock_inode_cache",  "UNIX",         "pid"};
constexpr std::array kMemory = {"SUnreclaim:", "Percpu:", "PageTables:", "KernelStack:"};
constexpr double kObjectsPerTurn = 0.1, kKibPerTurn = 1;
constexpr long kLeastObjects = 500, kLeastKib = 32 * 1024;  // what a machine does beside, in half a minute
constexpr std::chrono::seconds kPatience{30};

long entries_of(const char* directory, const std::function<bool(const std::string&)>& wanted = {}) {
  std::error_code error;
  long count = 0;
  for (const auto& entry : fs::directory_iterator(directory, error))
    if (!wanted || wanted(entry.path().filename())) ++count;
  return count;
}

long lines_of(const char* path) {
  std::ifstream file(path);
  return std::count(std::istreambuf_iterator<char>(file), {}, '\n');
}

bool is_number(const std::string& name) {
  return std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
}

std::string network() {
  // Counters, what is left of a lifetime, and the neighbours that the kernel finds out itself are no state. A new
  // link's state is UNKNOWN for up to a second.
  return output_of(
      "{ ip -d link; ip addr; } | grep -v valid_lft | sed 's/state UNKNOWN/state UP/'; ip rule; ip -6 rule; "
      "ip route show table all; ip -6 route show table all; ip neigh show nud permanent; ip neigh show proxy; ip -6 "
      "neigh show proxy; "
      "ip netns list-id; ip netns; ip maddr; cd /proc/sys/net && "
      "grep -r . ipv4/conf ipv4/neigh ipv6/conf ipv6/neigh 2>/dev/null | grep -v stable_secret | sort");
}

std::map<std::string, long> counts() {
  return {{"links", entries_of("/sys/class/net")},
          {"macvtap classes", entries_of("/sys/class/macvtap")},
          {"named namespaces", entries_of("/run/netns")},
          {"packet sockets", lines_of("/proc/net/packet")},
          {"netlink sockets", lines_of("/proc/net/netlink")},
          {"unix sockets", lines_of("/proc/net/unix")},
          {"mounts", lines_of("/proc/self/mounts")},
          {"processes", entries_of("/proc", is_number)},
          {"own fds", entries_of("/proc/self/fd")}};
}

std::map<std::string, long> objects() {
  std::map<std::string, long> found;
  std::ifstream file("/proc/slabinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    long active = 0;
    if (words >> name >> active && std::ranges::find(kCaches, name) != kCaches.end()) found[name] = active;
  }
  return found;
}

long kernel_kib() {
  long sum = 0;
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    long kib = 0;
    if (words >> name >> kib && std::ranges::find(kMemory, name) != kMemory.end()) sum += kib;
  }
  return sum;
}

// Whatever is more than its bound gets some time to be less.
template <typename Value>
Value settled(Clock::time_point end, const std::function<Value()>& read,
              const std::function<bool(const Value&)>& good) {
  for (;;) {
    Value value = read();
    if (good(value) || Clock::now() > end) return value;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace

// What went before may still be going: of a namespace that dies the number goes first, and its devices in a while.
Residue take_residue() {
  const auto end = Clock::now() + kPatience;
  std::string before, now = network();
  do {
    before = std::move(now);
    std::this_thread::sleep_for(std::chrono::seconds(1));
    now = network();
  } while (now != before && Clock::now() < end);
  return {.network = std::move(now), .counts = counts(), .objects = objects(), .kernel_kib = kernel_kib()};
}

void expect_no_residue(Report& report, const Residue& before, std::size_t turns) {
  using Counts = std::map<std::string, long>;
  const auto all = static_cast<double>(turns);
  const auto end = Clock::now() + kPatience;
  // The kernel takes namespaces down one after the other, and asynchronously.
  report.expect_equal("links, addresses, routes, neighbours, rules, sysctls, nsids",
                      settled<std::string>(end, network, [&](const auto& now) { return now == before.network; }),
                      before.network);
  const auto now = settled<Counts>(end, counts, [&](const auto& value) { return value == before.counts; });
  for (const auto& [what, count] : now)
    report.expect_most(what + " more than before", static_cast<double>(count - before.counts.at(what)), "", 0);
  const long most = std::max(kLeastObjects, static_cast<long>(kObjectsPerTurn * all));
  for (const auto& [cache, had] : before.objects) {
    const long more = settled<long>(
        end, [&] { return objects()[cache] - had; }, [&](long value) { return value <= most; });
    report.expect_most("kernel objects more than before: " + cache, static_cast<double>(more), "",
                       static_cast<double>(most), fmt::format("of the whole machine; {} turns", turns));
  }
  const long room = std::max(kLeastKib, static_cast<long>(kKibPerTurn * all));
  const long more = settled<long>(
      end, [&] { return kernel_kib() - before.kernel_kib; }, [&](long value) { return value <= room; });
  report.expect_most("kernel memory more than before", static_cast<double>(more), "KiB", static_cast<double>(room),
                     "of the whole machine; slab, per-CPU, page tables, stacks");
}

void expect_no_tap_nodes(Report& report, std::span<const unsigned> indices) {
  const auto count = [&] {
    return std::ranges::count_if(indices, [](unsigned index) { return fs::exists(tap_path(index)); });
  };
  const long left = settled<long>(Clock::now() + kPatience, count, [](long nodes) { return nodes == 0; });
  report.expect_most(fmt::format("tap nodes left of {}", indices.size()), static_cast<double>(left), "", 0);
}

}  // namespace vmt::soak
