// SPDX-License-Identifier: LGPL-2.1-or-later
// Does the ten-thousandth guest's start and stop cost as much as the first one's, and is nothing left of them?
#include <fmt/core.h>

#include <atomic>
#include <chrono>
#include <numeric>

#include "lib/rtnl_kernel.h"
#include "lib/tag.h"
#include "tests/soak/lab.h"
#include "tests/soak/parts.h"
#include "tests/soak/residue.h"

namespace vmt::soak {
namespace {

struct Worker {
  RtnlSocket socket;
  RtnlKernel kernel;
};

class Lives {
 public:
  Lives(int at_once, int count) : at_once_(at_once), lives_(static_cast<std::size_t>(count)) {
    for (int i = 0; i < at_once; ++i)
      workers_.push_back(Worker{.socket = *RtnlSocket::open(), .kernel = *RtnlKernel::open()});
    in_parallel(at_once, count, [this](int worker, int number) {
      pass(workers_[static_cast<std::size_t>(worker)], Guest(number, kParents),
           lives_[static_cast<std::size_t>(number)]);
    });
  }

  // `of`: a life's time. Without those that had fewer beside them: the first ones, and the last.
  template <typename Of>
  Report::Series series(Of of) const {
    Report::Series all;
    const auto edge = static_cast<std::size_t>(at_once_ > 1 ? at_once_ : 0);
    for (std::size_t i = edge; i + edge < lives_.size(); ++i) {
      all.times.push_back(of(lives_[i]));
      all.floor.push_back(lives_[i].floor);
    }
    return all;
  }

  void tell(Report& report) const {
    const auto failed = [](int sum, const Life& life) { return sum + life.failed; };
    report.expect_most("calls that failed", std::accumulate(lives_.begin(), lives_.end(), 0, failed), "", 0);
    report.expect_most("guests without their routes while they ran", without_, "", 0);
    report.expect_most("guests whose routes stayed", stayed_, "", 0);
    std::vector<unsigned> indices;
    for (const auto& life : lives_) indices.push_back(life.index);
    expect_no_tap_nodes(report, indices);
  }

 private:
  void pass(Worker& worker, const Guest& guest, Life& life) {
    life = live(worker.socket, guest, [&] {
      if (!routed(worker, guest.v4) || !routed(worker, guest.v6)) ++without_;
    });
    if (routed(worker, guest.v4) || routed(worker, guest.v6)) ++stayed_;
  }

  static bool routed(Worker& worker, const IpAddress& address) {
    const auto route = worker.kernel.route_to(address);
    return route && *route && (*route)->protocol == kGuestProtocol;
  }

  int at_once_;
  std::vector<Worker> workers_;
  std::vector<Life> lives_;
  std::atomic<int> without_ = 0, stayed_ = 0;
};

double sum_of(const Life& life) {
  return std::accumulate(life.calls.begin(), life.calls.end(), 0.0);
}

}  // namespace

void soak_cycles(Report& report, const Scale& scale) {
  make_parents(kParents);
  // What the kernel and this process keep once they have done it: caches, threads' stacks.
  Lives(kAtOnce, 2 * kAtOnce);
  const Residue before = take_residue();
  {
    const Lives first(1, scale.alone);
    const auto begin = std::chrono::steady_clock::now();
    const Lives crowd(kAtOnce, scale.cycles);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    const Lives last(1, scale.alone);
    report.tell("cycles", scale.cycles, "", fmt::format("{} at once, {} parents", kAtOnce, kParents));
    report.tell("time", time.count(), "s");
    crowd.tell(report);
    // Among so many a call mostly waits for others, and which one waits is chance; the sum is not.
    report.expect_alike("the five calls of a guest among many", crowd.series(sum_of));
    for (std::size_t call = 0; call < kCalls.size(); ++call) {
      const auto of = [&](const Life& life) { return life.calls[call]; };
      report.tell(fmt::format("{} among many", kCalls[call]), median(crowd.series(of).times), "us", "median");
      report.expect_alike(fmt::format("{} alone, after all to before", kCalls[call]), first.series(of),
                          last.series(of));
    }
  }
  report.expect_equal("what the hook said", said(), "");
  expect_no_residue(report, before, static_cast<std::size_t>(scale.cycles));
}

}  // namespace vmt::soak
