// SPDX-License-Identifier: LGPL-2.1-or-later
// Does a host with thousands of guests work as one with few?
#include <fmt/core.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <optional>
#include <thread>

#include "tests/soak/lab.h"
#include "tests/soak/parts.h"
#include "tests/soak/residue.h"

namespace vmt::soak {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kLooks = 5;
constexpr const char* kDomains = "/run/domains.xml";
constexpr const char* kRouteCount =
    "ip route show proto 118 | wc -l; ip -6 route show proto 118 | wc -l; ip neigh show nud permanent proto 118 | wc "
    "-l; "
    "ip neigh show nud permanent proto 121 | wc -l";

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

class Host {
 public:
  explicit Host(int guests) : macvtaps_(static_cast<std::size_t>(guests)) {
    for (int i = 0; i < guests; ++i) guests_.emplace_back(i, kParents);
    for (int i = 0; i < kAtOnce; ++i) sockets_.push_back(*RtnlSocket::open());
  }

  void start() {
    in_parallel(kAtOnce, count(), [&](int worker, int number) {
      const auto at = static_cast<std::size_t>(number);
      call(guests_[at], "prepare");
      macvtaps_[at] = make_macvtap(sockets_[static_cast<std::size_t>(worker)], guests_[at]);
      call(guests_[at], "start");
      call(guests_[at], "started");
    });
  }

  void stop() {
    in_parallel(kAtOnce, count(), [&](int worker, int number) {
      const auto at = static_cast<std::size_t>(number);
      call(guests_[at], "stopped");
      delete_macvtap(sockets_[static_cast<std::size_t>(worker)], std::move(macvtaps_[at]));
      call(guests_[at], "release");
    });
  }

  // A few more guests, one at a time.
  std::vector<Life> visit(int visitors) {
    std::vector<Life> lives;
    for (int i = 0; i < visitors; ++i) {
      lives.push_back(live(sockets_.front(), Guest(count() + i, kParents)));
      failed_ += lives.back().failed;
    }
    return lives;
  }

  int failed() const { return failed_; }
  std::vector<unsigned> indices() const {
    std::vector<unsigned> all;
    for (const auto& macvtap : macvtaps_) all.push_back(macvtap.index);
    return all;
  }

  // For libvirt's own test driver: the guests as libvirt would list them.
  void write_domains() const {
    std::ofstream file(kDomains);
    file << "<node>\n";
    for (const auto& guest : guests_) file << guest.domain("started");
    file << "</node>\n";
  }

 private:
  int count() const { return static_cast<int>(guests_.size()); }
  void call(const Guest& guest, const std::string& operation) {
    if (call_hook(guest, operation).status != 0) ++failed_;
  }

  std::vector<Guest> guests_;
  std::vector<Macvtap> macvtaps_;
  std::vector<RtnlSocket> sockets_;
  std::atomic<int> failed_ = 0;
};

// libvirt's own part, an answer about so many guests, is most of it.
void look(Report& report, const std::string& what, const std::string& wanted) {
  const std::string command = VMT_BINARY_DIR "/virt-macvtap " + what + " --connect test://" + kDomains;
  std::vector<double> times;
  for (int i = 0; i < kLooks; ++i) {
    const auto begin = Clock::now();
    const std::string out = output_of(command);
    times.push_back(1000 * seconds_since(begin));
    if (i == 0 && !wanted.empty()) report.expect_equal(what + " says", out, wanted);
  }
  report.tell(what, median(times), "ms", fmt::format("median of {}", kLooks));
}

// What the clock does to links is no change: a new one's queue and state settle.
std::string settled_network() {
  std::this_thread::sleep_for(std::chrono::seconds(2));
  return take_residue().network;
}

// scripts/bench judges growth, beside the kernel's own.
void tell_growth(Report& report, const std::vector<Life>& few, const std::vector<Life>& many, int guests) {
  for (const std::size_t call : {1, 4}) {
    const auto time = [call](const std::vector<Life>& lives) {
      std::vector<double> times;
      for (const auto& life : lives) times.push_back(life.calls[call]);
      return median(times);
    };
    report.tell(fmt::format("{} of one more among {}", kCalls[call], guests), time(many), "us",
                fmt::format("median; {:.0f} among {}", time(few), kParents));
  }
}

}  // namespace

void soak_many(Report& report, const Scale& scale) {
  make_parents(kParents);
  // A guest's own stack speaks through the tap. The host's IPv6 on all those macvtaps, each of whose words go to all
  // others on the parent, would fill the memory with frames that nobody reads.
  sh("echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode");
  std::vector<Life> alone;
  {
    // One for each parent, as a shim's making and going is not what grows.
    Host few(kParents);
    few.start();
    alone = few.visit(scale.alone);
    few.stop();
  }
  const Residue before = take_residue();
  std::optional<Host> all_at_once(std::in_place, scale.guests);
  Host& host = *all_at_once;
  auto begin = Clock::now();
  host.start();
  report.tell("guests", scale.guests, "", fmt::format("{} at once, {} parents", kAtOnce, kParents));
  report.tell("time to start them", seconds_since(begin), "s");
  report.expect_equal("routes (IPv4, IPv6), neighbours (two of a guest's), marks", output_of(kRouteCount),
                      fmt::format("{0}\n{0}\n{1}\n{0}\n", scale.guests, 2 * scale.guests));
  tell_growth(report, alone, host.visit(scale.alone), scale.guests);
  host.write_domains();
  const std::string all = settled_network();
  look(report, "status", {});
  look(report, "status --json", {});
  look(report, "plan", "nothing to do\n");
  look(report, "sync", "nothing to do\n");
  report.expect_equal("the network after all that", settled_network(), all);
  const auto indices = host.indices();
  begin = Clock::now();
  host.stop();
  report.tell("time to stop them", seconds_since(begin), "s");
  report.expect_most("calls that failed", host.failed(), "", 0);
  all_at_once.reset();
  report.expect_equal("what the hook said", said(), "");
  expect_no_tap_nodes(report, indices);
  expect_no_residue(report, before, static_cast<std::size_t>(scale.guests));
}

}  // namespace vmt::soak
