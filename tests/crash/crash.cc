// SPDX-License-Identifier: LGPL-2.1-or-later
// Crash at every step: runs the programs over the real kernel, in namespaces of their own, and kills them at their
// first, second, ... n-th system call, or lets it fail; then looks at what is left.
//
//   crash_tests [--case NAME]... [--stride N | --sample N] [--seed N] [--at CALL] [--hurt HURT] [--list]
//
// Without options everything is tried, some thousands of runs. After each: nothing foreign has changed, nobody hangs,
// a call that failed was told of, the next ordinary run leads to the state of an undisturbed one, and undoing it leaves
// the host as it was. Prints defects and figures; the exit status is 0 when there are no defects.
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <random>

#include "tests/crash/child.h"
#include "tests/crash/tracer_check.h"
#include "tests/crash/trial.h"

namespace vmt::crash {
namespace {

struct Options {
  std::vector<std::string> names;
  std::size_t stride = 1;  // every how manieth hurt
  std::size_t sample = 0;  // how many hurts; 0: all
  std::uint64_t seed = std::random_device{}();
  std::size_t at = 0;  // one call only, from 1 on; 0: all
  std::string hurt;    // one kind of hurt only
};

bool wanted(const Options& options, const Hurt& hurt) {
  return (options.at == 0 || hurt.at + 1 == options.at) && (options.hurt.empty() || describe(hurt) == options.hurt);
}

std::vector<Hurt> every(std::size_t stride, std::mt19937_64& random, const std::vector<Hurt>& hurts) {
  std::vector<Hurt> result;
  for (std::size_t i = random() % stride; i < hurts.size(); i += stride) result.push_back(hurts[i]);
  return result;
}

std::vector<Hurt> chosen(const Options& options, std::vector<Hurt> hurts) {
  std::erase_if(hurts, [&](const Hurt& hurt) { return !wanted(options, hurt); });
  std::mt19937_64 random(options.seed);
  if (options.sample == 0) return every(options.stride, random, hurts);
  // Most calls of some programs load libraries or look through /proc: half of the sample is for the others.
  std::vector<Hurt> requests;
  std::ranges::copy_if(hurts, std::back_inserter(requests), [](const Hurt& hurt) {
    return hurt.kind == Hurt::Kind::kRefuse || hurt.kind == Hurt::Kind::kDeny;
  });
  const auto half = [&](std::size_t size) { return std::max<std::size_t>(1, 2 * size / options.sample); };
  auto result = every(half(requests.size()), random, requests);
  std::ranges::copy(every(half(hurts.size()), random, hurts), std::back_inserter(result));
  return result;
}

// In a process of its own, which takes its namespaces along. Returns the number of defects.
std::size_t try_case(const Case& which, const Options& options) {
  const auto begin = std::chrono::steady_clock::now();
  Trial trial(which);
  for (const auto& hurt : chosen(options, trial.hurts())) trial.hurt(hurt);
  // Another run may have more calls.
  if (options.sample == 0 && options.stride == 1 && options.at == 0)
    for (std::size_t at = trial.figures().calls; trial.hurt({Hurt::Kind::kKill, at, 0}); ++at) continue;
  const Figures& figures = trial.figures();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%-14s %5zu calls %5zu kills %6zu errors %6zu states repaired %4zu defects %7.1f s\n", which.name.c_str(),
              figures.calls, figures.kills, figures.errors, figures.repaired, figures.defects, took.count());
  return figures.defects;
}

bool is_fine(const Case& which, const Options& options) {
  std::fflush(stdout);
  // With processes of its own, as `clean` looks at all that there are.
  const auto child = static_cast<pid_t>(syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  if (child < 0) die("fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const std::size_t defects = try_case(which, options);
    std::fflush(stdout);
    _exit(defects == 0 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int usage() {
  std::fprintf(stderr,
               "Usage: crash_tests [--case NAME]... [--stride N | --sample N] [--seed N] [--at CALL [--hurt HURT]] "
               "[--list]\n");
  return 2;
}

bool parse(int argc, char** argv, Options& options) {
  const option kOptions[] = {{"case", required_argument, nullptr, 'c'},
                             {"stride", required_argument, nullptr, 'n'},
                             {"sample", required_argument, nullptr, 'm'},
                             {"seed", required_argument, nullptr, 's'},
                             {"at", required_argument, nullptr, 'a'},
                             {"hurt", required_argument, nullptr, 'h'},
                             {nullptr, 0, nullptr, 0}};
  for (int which; (which = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    if (which == 'c') options.names.emplace_back(optarg);
    if (which == 'n') options.stride = std::max<std::size_t>(1, std::strtoul(optarg, nullptr, 10));
    if (which == 'm') options.sample = std::strtoul(optarg, nullptr, 10);
    if (which == 's') options.seed = std::strtoull(optarg, nullptr, 10);
    if (which == 'a') options.at = std::strtoul(optarg, nullptr, 10);
    if (which == 'h') options.hurt = optarg;
    if (which == '?') return false;
  }
  return optind == argc;
}

// For sigtimedwait().
void block_child_signal() {
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, nullptr);
}

int run_all(const Options& options) {
  if (geteuid() != 0) {
    std::fprintf(stderr, "crash_tests: namespaces need root\n");
    const char* ci = std::getenv("CI");
    return ci != nullptr && std::strcmp(ci, "true") == 0 ? 1 : 77;
  }
  block_child_signal();
  std::printf("seed %llu\n", static_cast<unsigned long long>(options.seed));
  bool fine = true;
  std::size_t tried = 0;
  for (const auto& which : cases()) {
    if (!options.names.empty() && std::ranges::find(options.names, which.name) == options.names.end()) continue;
    ++tried;
    fine = is_fine(which, options) && fine;
  }
  if (tried == 0) {
    std::fprintf(stderr, "crash_tests: there is no such case\n");
    return 2;
  }
  return fine ? 0 : 1;
}

}  // namespace
}  // namespace vmt::crash

int main(int argc, char** argv) {
  using namespace vmt::crash;
  if (argc == 3 && std::strcmp(argv[1], "--probe") == 0) return probe(std::atoi(argv[2]));
  if (argc >= 3 && std::strcmp(argv[1], "--duplicate") == 0)
    return duplicate(std::atoi(argv[2]), {argv + 3, argv + argc});
  if (argc == 2 && std::strcmp(argv[1], "--check-tracer") == 0) {
    block_child_signal();
    return check_tracer(VMT_CRASH_TESTS);
  }
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
    for (const auto& which : cases()) std::printf("%s\n", which.name.c_str());
    return 0;
  }
  Options options;
  return parse(argc, argv, options) ? run_all(options) : usage();
}
