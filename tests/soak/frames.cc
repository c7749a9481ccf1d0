// SPDX-License-Identifier: LGPL-2.1-or-later
// Is the watcher after a million frames, most of them of hostile guests, what it was before: as large, as awake?
#include <fmt/core.h>
#include <sys/wait.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "tests/bench/watch_lab.h"
#include "tests/soak/lab.h"
#include "tests/soak/parts.h"
#include "tests/soak/residue.h"

namespace vmt::soak {
namespace {

using bench::Clock;

constexpr std::array kKinds = {"gratuitous", "arp", "claims", "macs", "ns", "garbage"};
constexpr int kRate = 50'000;     // a second, of one guest
constexpr int kGuests = 200;      // who say now and then what they are called
constexpr int kTold = 20;         // announcements for one figure
constexpr double kMoreKib = 256;  // heap that a look or a mute leaves in another shape
constexpr std::chrono::seconds kPatience{3};

// A guest that has never been heard announces itself: until there is a route, or in vain.
class Talker {
 public:
  void learn(int count, std::vector<double>& times, int& lost) {
    bench::News news;
    for (int i = 0; i < count; ++i, ++said_) {
      if (said_ % 50 == 0) become_another();
      const auto address = said_ % 2 == 0 ? bench::address4(20'000 + said_) : bench::address6(20'000 + said_);
      news.drain();
      const auto begin = Clock::now();
      link_.send(bench::announcement(mac_, address));
      const auto end = news.route_appears(address, kPatience);
      if (end)
        times.push_back(bench::milliseconds(*end - begin) * 1000);
      else
        ++lost;
    }
  }

 private:
  void become_another() {
    mac_ = bench::guest_mac(30'000 + ++identity_);
    sh("ip -n talker link set g0 address " + mac_.str());
    bench::pause(std::chrono::milliseconds(500));
  }

  bench::PacketLink link_{"talker", "g0"};
  MacAddress mac_ = bench::guest_mac(30'000);
  int said_ = 1, identity_ = 0;
};

struct Size {
  double rss_kib = 0, anonymous_kib = 0;
  long fds = 0;
};

Size size_of(const bench::Watcher& watcher) {
  return {.rss_kib = watcher.status_kb("VmRSS:"),
          .anonymous_kib = watcher.status_kb("RssAnon:"),
          .fds = std::distance(std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", watcher.pid())), {})};
}

// How many were sent.
long blast(const char* kind, double seconds) {
  const std::string base = std::string_view(kind) == "ns" ? "2001:db8:1::1" : "198.19.0.1";
  sh(fmt::format("ip netns exec blaster " VMT_BINARY_DIR "/tests/bench_blast g0 {} {} {} - {} >/run/blast", kRate,
                 seconds, kind, base));
  long sent = 0;
  std::string word;
  std::ifstream("/run/blast") >> word >> sent;
  return sent;
}

// As a LAN does: each guest says one of its two addresses, below every rate.
long murmur(bench::PacketLink& here) {
  for (int i = 0; i < kGuests; ++i)
    for (const auto& address : {bench::address4(i), bench::address6(i)})
      here.send(bench::announcement(bench::guest_mac(i), address), bench::index_of(fmt::format("t{}", i)));
  return 2 * kGuests;
}

void set_up() {
  std::ofstream("/run/watch.conf") << "max-addresses = 64\n";
  bench::Watcher::command = "exec " VMT_BINARY_DIR "/virt-macvtap watch --config /run/watch.conf 2>>/run/watch.log";
  bench::make_lan();
  bench::add_guest_namespace("talker", bench::guest_mac(30'000));
  bench::add_guest_namespace("blaster", bench::guest_mac(31'000));
  bench::add_guests(kGuests);
}

}  // namespace

void soak_frames(Report& report, const Scale& scale) {
  set_up();
  Talker talker;
  bench::PacketLink here{"", "t0"};
  // Asked about guests elsewhere, the kernel gives the namespace a number of its own, for good.
  const auto forget = [] { sh("ip link del group 1986884609"); };
  { const bench::Watcher once; }
  forget();
  const Residue outside = take_residue();
  {
    bench::Watcher watcher;
    std::vector<double> times, ignored;
    int lost = 0;
    // A tenth of all, and each kind: what it keeps of them it has then.
    long settling = 0;
    for (std::size_t turn = 0; turn < kKinds.size() || settling < scale.frames / 10; ++turn) {
      settling += blast(kKinds[turn % kKinds.size()], 0.5) + murmur(here);
      talker.learn(kTold / 10, ignored, lost);
    }
    long frames = 0;
    const Size before = size_of(watcher);
    const bench::Usage used = watcher.usage();
    const auto begin = Clock::now();
    for (std::size_t turn = 0; frames < scale.frames; ++turn) {
      frames += blast(kKinds[turn % kKinds.size()], 0.5) + murmur(here);
      talker.learn(kTold / 10, times, lost);
    }
    talker.learn(kTold, times, lost);
    const Size after = size_of(watcher);
    const double seconds = bench::milliseconds(Clock::now() - begin) / 1000;
    report.tell("frames sent", static_cast<double>(frames), "",
                fmt::format("{} kinds, {} guests", kKinds.size(), kGuests));
    report.tell("time", seconds, "s");
    report.tell("watcher's CPU", (watcher.usage() - used).cpu_ms, "ms");
    report.tell("watcher's RSS", after.rss_kib, "KiB", fmt::format("{} before", before.rss_kib));
    report.expect_most("watcher's RSS more than before", after.rss_kib - before.rss_kib, "KiB", kMoreKib);
    report.expect_most("watcher's anonymous memory more than before", after.anonymous_kib - before.anonymous_kib, "KiB",
                       kMoreKib);
    report.expect_most("watcher's fds more than before", static_cast<double>(after.fds - before.fds), "", 0);
    report.expect_most("announcements not learned", lost, "", 0, fmt::format("of {}", times.size() + ignored.size()));
    report.expect_alike("learning", {times, {}});
  }
  forget();
  expect_no_residue(report, outside, static_cast<std::size_t>(scale.frames) / 1000);
}

}  // namespace vmt::soak
