// SPDX-License-Identifier: LGPL-2.1-or-later
// Random sequences of everything that can happen to a host, against the real kernel and the fake.
//
//   model [--seed S] [--steps N] [--runs R]     R sequences, from seed S on (random by default)
//   model --replay FILE                         the steps in FILE, one a line
//
// Says which invariant does not hold after which step, and prints the shortest sequence that shows it.
#include <fmt/core.h>
#include <getopt.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>

#include "tests/model/shrink.h"
#include "tests/model/step.h"
#include "tests/model/world.h"

namespace {

using namespace vmt::model;
using Clock = std::chrono::steady_clock;
using Steps = std::vector<Step>;

constexpr unsigned kMostSeconds = 600;  // for one sequence
constexpr int kNoRoot = 77;             // as CMake's SKIP_RETURN_CODE

// What a sequence has come to, told by the process that has run it.
struct Verdict {
  bool failed = false;
  std::size_t step = 0;  // the one after which
  char invariant[32] = {};
  char words[1000] = {};
};

int run_steps(const Steps& steps, bool tell, Verdict& verdict) {
  try {
    enter_host();
    World world;
    const auto say = [&](const std::string& text) {
      if (tell) std::cout << world.story() << text << std::flush;
    };
    try {
      for (verdict.step = 0; verdict.step < steps.size(); ++verdict.step) {
        say(to_text(steps[verdict.step]) + "\n");
        world.take(steps[verdict.step]);
      }
      say("# the end\n");
      world.finish();
    } catch (const Violation& violation) {
      verdict.failed = true;
      std::strncpy(verdict.invariant, violation.invariant.c_str(), sizeof verdict.invariant - 1);
      std::strncpy(verdict.words, violation.what(), sizeof verdict.words - 1);
      say(fmt::format("{}: {}\n", violation.invariant, violation.what()));
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "model: " << error.what() << '\n';
    return 1;
  }
}

// In a process of its own, so that its namespaces go with it.
Verdict try_steps(const Steps& steps, bool tell) {
  void* memory = mmap(nullptr, sizeof(Verdict), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* verdict = new (memory) Verdict;
  std::cout << std::flush;
  const pid_t child = fork();
  if (child == 0) {
    alarm(kMostSeconds);
    const int status = run_steps(steps, tell, *verdict);
    std::cout << std::flush;
    _exit(status);
  }
  int status = 0;
  waitpid(child, &status, 0);
  Verdict result = *verdict;
  munmap(memory, sizeof(Verdict));
  if (status != 0) {
    result.failed = true;
    std::strcpy(result.invariant, "the model itself");
  }
  return result;
}

bool fails_alike(const Verdict& one, const Verdict& other) {
  return other.failed && std::strcmp(one.invariant, other.invariant) == 0;
}

int report(Steps steps, const Verdict& verdict, std::chrono::seconds patience) {
  steps.resize(std::min(steps.size(), verdict.step + 1));
  fmt::print("'{}' does not hold after step {}: {}\nlooking for the shortest sequence that shows it\n",
             verdict.invariant, verdict.step, verdict.words);
  const auto deadline = Clock::now() + patience;
  const Steps least = shrink<Step>(steps, [&](const Steps& some) {
    return Clock::now() < deadline && fails_alike(verdict, try_steps(some, false));
  });
  fmt::print("{} of {} steps are enough (replay them with --replay FILE):\n", least.size(), steps.size());
  for (const auto& step : least) fmt::print("{}\n", to_text(step));
  fmt::print("\nthey do this:\n");
  try_steps(least, true);
  return 1;
}

int replay(const char* path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  const auto steps = parse_steps(text.str());
  if (!file || !steps) {
    std::cerr << "model: " << path << ": " << (steps ? "cannot be read" : steps.error().message) << '\n';
    return 2;
  }
  return try_steps(*steps, true).failed ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t seed = std::random_device{}();
  std::size_t steps = 40, runs = 1;
  bool tell = false;
  const char* file = nullptr;
  std::chrono::seconds patience{300};
  const option kOptions[] = {{"seed", required_argument, nullptr, 's'},
                             {"steps", required_argument, nullptr, 'n'},
                             {"runs", required_argument, nullptr, 'r'},
                             {"replay", required_argument, nullptr, 'f'},
                             {"shrink", required_argument, nullptr, 'd'},
                             {"verbose", no_argument, nullptr, 'v'},
                             {nullptr, 0, nullptr, 0}};
  for (int word; (word = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    if (word == 's') seed = std::stoull(optarg);
    if (word == 'n') steps = std::stoul(optarg);
    if (word == 'r') runs = std::stoul(optarg);
    if (word == 'd') patience = std::chrono::seconds(std::stoul(optarg));
    if (word == 'v') tell = true;
    if (word == 'f') file = optarg;
    if (word == '?') return 2;
  }
  if (geteuid() != 0) {
    const char* ci = std::getenv("CI");
    std::cerr << "model: network namespaces need root\n";
    return ci != nullptr && std::string(ci) == "true" ? 1 : kNoRoot;
  }
  if (file != nullptr) return replay(file);
  int result = 0;
  for (std::size_t run = 0; run < runs; ++run) {
    const auto begin = Clock::now();
    const Steps sequence = generate(seed + run, steps);
    const Verdict verdict = try_steps(sequence, tell);
    fmt::print("--seed {} --steps {}: {} ({:.1f} s)\n", seed + run, steps, verdict.failed ? "FAILED" : "fine",
               std::chrono::duration<double>(Clock::now() - begin).count());
    if (verdict.failed) result = report(sequence, verdict, patience);
  }
  return result;
}
