// SPDX-License-Identifier: LGPL-2.1-or-later
// What does the watcher cost, and how fast is it? Starts the real one in a LAN of its own, makes guests, sends frames,
// and reads the kernel's news, all on one clock. Prints a JSON array; scripts/bench makes the table.
//
//   watch_bench VIRT-MACVTAP BLAST ROUNDS      root, in a fresh network and mount namespace
//
// ROUNDS: a tenth of it is the seconds that each load lasts, and how often 500 guests are set up.
#include <fmt/core.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/rtnl_device.h"
#include "tests/bench/watch_lab.h"

namespace vmt::bench {
namespace {

using nlohmann::ordered_json;

constexpr const char* kConfig = "/run/watch.conf";
constexpr int kGuests = 500;

ordered_json rows = ordered_json::array();

// `target` 0: there is none.
void report(const std::string& what, double value, const char* unit, double target = 0, const std::string& note = {}) {
  ordered_json row{{"what", what}, {"value", value}, {"unit", unit}};
  if (target > 0) row["target"] = target;
  if (!note.empty()) row["note"] = note;
  rows.push_back(std::move(row));
}

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

void configure(int given_to) {
  std::ofstream file(kConfig);
  file << "max-addresses = 64\n";
  for (int i = 0; i < given_to; ++i)
    file << fmt::format("[guest g{}]\n{} = {}\n", i, guest_mac(i).str(), address4(i).str());
}

// Shims go, and with them all that was learned and given.
void forget() {
  sh(fmt::format("ip link del group {} 2>/dev/null; true", kShimGroup));
  pause(std::chrono::milliseconds(100));
}

// ---- how fast

// Each address is a new one; a guest may have but so many, so it changes its MAC now and then.
struct Learned {
  std::vector<double> milliseconds;
  int lost = 0;
};

class Talker {
 public:
  Talker() { become_another(); }

  Learned announce(News& news, int count, bool v4) {
    Learned learned;
    for (int i = 0; i < count; ++i) {
      if (++said % 60 == 0) become_another();
      const IpAddress address = v4 ? address4(20'000 + said) : address6(20'000 + said);
      const auto frame = announcement(mac_, address);
      news.drain();
      const auto begin = Clock::now();
      link_.send(frame);
      if (const auto end = news.route_appears(address, std::chrono::seconds(3)))
        learned.milliseconds.push_back(milliseconds(*end - begin));
      else
        ++learned.lost;
    }
    return learned;
  }

 private:
  void become_another() {
    mac_ = guest_mac(30'000 + ++identity);
    sh("ip -n talker link set g0 address " + mac_.str());
    pause(std::chrono::milliseconds(500));
  }

  PacketLink link_{"talker", "g0"};
  MacAddress mac_ = guest_mac(30'000);

  static inline int said = 0, identity = 0;  // no watcher has ever heard it before
};

void measure_learning(Talker& talker, News& news, int rounds, int guests) {
  for (const bool v4 : {true, false}) {
    const auto learned = talker.announce(news, 2 * rounds, v4);
    const auto what =
        fmt::format("{}, {} guest{}", v4 ? "gratuitous ARP to route" : "NA to route", guests, guests == 1 ? "" : "s");
    const double median = quantile(learned.milliseconds, 0.5), p99 = quantile(learned.milliseconds, 0.99);
    report(what + ", median", median, "ms", 0, fmt::format("{:.2f} besides 100 of patience", median - 100));
    report(what + ", p99", p99, "ms", 0,
           fmt::format("{:.2f} besides 100 of patience; of {}, {} not learned", p99 - 100, 2 * rounds, learned.lost));
  }
}

// Each macvtap on a parent of its own, as a shim lingers.
void measure_following(News& news, int count, int guests) {
  constexpr const char* kAdd =
      "link add p{0} group 78 up type veth peer name q{0}\nlink set q{0} up\naddr add 203.0.113.{0}/32 dev p{0}\n";
  std::string batch;
  for (int i = 1; i <= count; ++i) batch += fmt::format(fmt::runtime(kAdd), i);
  ip_batch(batch);
  auto socket = RtnlSocket::open();
  std::vector<double> times;
  for (int i = 1; i <= count; ++i) {
    const unsigned parent = index_of(fmt::format("p{}", i));
    const DeviceSpec spec{.name = *IfName::parse(fmt::format("m{}", i)),
                          .parent = parent,
                          .parent_name = *IfName::parse(fmt::format("p{}", i)),
                          .mac = guest_mac(40'000 + i),
                          .allowed = {}};
    news.drain();
    const auto begin = Clock::now();
    if (!create_device_in(*socket, spec, unique_index(), 0, true)) std::exit(1);
    if (const auto end = news.shim_is_up(parent, std::chrono::seconds(3))) times.push_back(milliseconds(*end - begin));
    pause(std::chrono::milliseconds(20));
  }
  sh("ip link del group 78");
  pause(std::chrono::seconds(1));
  const auto what = fmt::format("macvtap's creation to its shim up, {} guest{}", guests, guests == 1 ? "" : "s");
  report(what + ", median", quantile(times, 0.5), "ms", 50);
  report(what + ", most", quantile(times, 1), "ms", 50, fmt::format("{} of {}", times.size(), count));
}

// ---- how much

void report_load(const std::string& what, const Usage& used, double seconds, double target, const std::string& note) {
  report(what + ", CPU", used.cpu_ms / seconds / 10, "% of a core", target, note);
  report(what + ", wake-ups", static_cast<double>(used.switches) / seconds, "per s");
}

void measure_idle(Watcher& watcher, int seconds) {
  pause(std::chrono::seconds(6));
  const Usage before = watcher.usage();
  pause(std::chrono::seconds(seconds));
  const Usage used = watcher.usage() - before;
  report(fmt::format("{} s idle, {} guests, CPU", seconds, kGuests), used.cpu_ms, "ms");
  report(fmt::format("{} s idle, {} guests, wake-ups", seconds, kGuests), static_cast<double>(used.switches), "", 0,
         "target 0");
}

void measure_busy_lan(Watcher& watcher, int seconds) {
  PacketLink wire{"peer", "eth0"};
  const Usage before = watcher.usage();
  const auto begin = Clock::now();
  for (int i = 0; i < 1000 * seconds; ++i) {
    wire.send(question({guest_mac(50'000 + i % 250), address4(50'000 + i % 250)}, address4(60'000 + i % 999), {}));
    pause_until(begin + std::chrono::milliseconds(i));
  }
  report_load(fmt::format("1,000 ARP broadcasts a second of 250 LAN machines, {} guests", kGuests),
              watcher.usage() - before, seconds, 1, {});
}

// Learns two addresses of each guest.
void measure_many(Watcher& watcher, News& news, int guests) {
  PacketLink here{"", "t0"};
  const Usage before = watcher.usage();
  const auto begin = Clock::now();
  news.drain();
  for (int i = 0; i < guests; ++i) {
    const unsigned link = index_of(fmt::format("t{}", i));
    here.send(announcement(guest_mac(i), address4(i)), link);
    here.send(announcement(guest_mac(i), address6(i)), link);
    pause_until(begin + std::chrono::milliseconds(2 * i));
  }
  const int routes = news.routes_appear(2 * guests, std::chrono::seconds(3));
  const double cpu = (watcher.usage() - before).cpu_ms;
  report(fmt::format("learning {} addresses of {} guests within a second, CPU of each", routes, guests),
         cpu / std::max(routes, 1), "ms");
  pause(std::chrono::milliseconds(300));
  const auto what = fmt::format("memory, {} guests with 2 learned addresses each", guests);
  report(what + ", RSS", watcher.status_kb("VmRSS:") / 1024, "MiB", 8);
  report(what + ", RssAnon", watcher.status_kb("RssAnon:") / 1024, "MiB");
}

void measure_look(Watcher& watcher, const std::string& what) {
  constexpr int kEvents = 10;
  pause(std::chrono::milliseconds(500));
  const Usage before = watcher.usage();
  for (int i = 0; i < kEvents; ++i) {
    sh(fmt::format("ip link set t0 txqueuelen {}", 400 + i));
    pause(std::chrono::milliseconds(300));
  }
  report(what + ", a look with nothing to do, CPU", (watcher.usage() - before).cpu_ms / kEvents, "ms", 25);
}

// ---- how hostile

void measure_blast(const std::string& program, const char* kind, int seconds) {
  forget();
  Watcher watcher;
  News news;
  Talker talker;
  const std::string base = std::string_view(kind) == "ns" ? "2001:db8:1::1" : "198.19.0.1";
  const std::string command =
      fmt::format("exec ip netns exec blaster {} g0 100000 {} {} - {} >/run/blast", program, seconds, kind, base);
  const Usage before = watcher.usage();
  const auto end = Clock::now() + std::chrono::seconds(seconds);
  const pid_t blaster = spawn(command);
  Learned learned;
  while (Clock::now() + std::chrono::milliseconds(200) < end) {
    const Learned one = talker.announce(news, 1, true);
    learned.milliseconds.insert(learned.milliseconds.end(), one.milliseconds.begin(), one.milliseconds.end());
    learned.lost += one.lost;
    pause(std::chrono::milliseconds(100));
  }
  pause_until(end);
  const Usage used = watcher.usage() - before;
  waitpid(blaster, nullptr, 0);
  std::string said;
  std::getline(std::ifstream("/run/blast") >> std::ws, said);
  const auto what = fmt::format("100,000 frames a second of a guest: {}", kind);
  report_load(what, used, seconds, 5, said);
  report(what + ": another's address learned, most", quantile(learned.milliseconds, 1), "ms", 1000,
         fmt::format("{} learned, {} not; median {:.1f}", learned.milliseconds.size(), learned.lost,
                     quantile(learned.milliseconds, 0.5)));
}

// ---- all at once

double run_ip_batch(const std::string& commands) {
  std::ofstream("/run/floor") << commands;
  const auto begin = Clock::now();
  const pid_t pid = spawn("exec ip -batch /run/floor");
  int status = 0;
  waitpid(pid, &status, 0);
  if (status != 0) std::exit(1);
  return milliseconds(Clock::now() - begin);
}

// The same neighbours and routes.
double floor_of(int guests) {
  sh("ip link add link eth0 name floor0 type macvlan mode bridge && ip link set floor0 up");
  std::string batch;
  for (int i = 0; i < guests; ++i)
    batch += fmt::format("neigh add {0} lladdr {1} nud permanent dev floor0\nroute add {0} dev floor0 src {2}\n",
                         address4(i).str(), guest_mac(i).str(), kHost);
  const double time = run_ip_batch(batch);
  sh("ip link del floor0");
  return time;
}

void measure_reconcile(int rounds, int guests) {
  configure(guests);
  std::vector<double> nothing_there, all_there, floor;
  double cpu_first = 0, cpu_again = 0;
  for (int i = 0; i < rounds; ++i) {
    forget();
    {
      Watcher watcher;
      nothing_there.push_back(watcher.start_ms());
      cpu_first += watcher.usage().cpu_ms / rounds;
      expect_routes(guests);
    }
    Watcher watcher;
    all_there.push_back(watcher.start_ms());
    cpu_again += watcher.usage().cpu_ms / rounds;
    if (i + 1 == rounds) measure_look(watcher, fmt::format("{} guests given", guests));
    watcher.stop();
    forget();
    floor.push_back(floor_of(guests));
  }
  const bool main = guests == kGuests;
  const auto what = fmt::format("{} guests given", guests);
  report(what + ", from exec to ready, nothing there", quantile(nothing_there, 0.5), "ms", main ? 150 : 0,
         fmt::format("{:.1f} CPU; {} rounds", cpu_first, rounds));
  report(what + ", from exec to ready, all there", quantile(all_there, 0.5), "ms", main ? 25 : 0,
         fmt::format("{:.1f} CPU", cpu_again));
  report(what + ", floor: ip -batch of their neighbours and routes", quantile(floor, 0.5), "ms");
}

int run(const std::string& blast, int rounds) {
  const int load = std::max(1, rounds / 10), follow = std::clamp(rounds / 4, 1, 250);
  make_lan();
  configure(0);
  add_guest_namespace("talker", guest_mac(30'000));
  add_guest_namespace("blaster", guest_mac(31'000));
  for (const char* kind : {"gratuitous", "arp", "claims", "macs", "ns", "garbage"}) measure_blast(blast, kind, load);
  sh("ip netns del blaster");
  {
    Watcher watcher;
    News news;
    Talker talker;
    measure_learning(talker, news, rounds, 1);
    measure_following(news, follow, 1);
    add_guests(kGuests - 1);
    pause(std::chrono::seconds(2));
    measure_idle(watcher, load);
    measure_busy_lan(watcher, load);
    measure_learning(talker, news, rounds, kGuests);
    measure_following(news, follow, kGuests);
    add_guests(kGuests);
    measure_many(watcher, news, kGuests);
    measure_look(watcher, fmt::format("{} guests with 2 learned addresses each", kGuests));
  }
  {
    const Watcher watcher;
    report("from exec to ready, with 1,000 learned addresses to adopt", watcher.start_ms(), "ms");
  }
  sh("ip netns del talker");
  measure_reconcile(load, kGuests);
  add_guests(2000);
  measure_reconcile(std::max(1, load / 2), 2000);
  std::cout << rows.dump(2) << '\n';
  return 0;
}

}  // namespace
}  // namespace vmt::bench

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: watch_bench VIRT-MACVTAP BLAST ROUNDS\n";
    return 2;
  }
  vmt::bench::Watcher::command =
      fmt::format("exec {} watch --config {} 2>>/run/watch.log", argv[1], vmt::bench::kConfig);
  return vmt::bench::run(argv[2], std::atoi(argv[3]));
}
