// SPDX-License-Identifier: LGPL-2.1-or-later
// Runs a fuzz target without libFuzzer: on each seed, then for some seconds on what a mutator makes of the seeds.
//
//   fuzz_tests TARGET [SECONDS [FILE-OR-DIRECTORY]...]     VMT_FUZZ_SEED=N repeats a run; 0 seconds: the files alone
//
// What an input that fails looked like is in fuzz-TARGET.input of the working directory.
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#define X(target) extern "C" int fuzz_##target(const std::uint8_t* data, std::size_t size);
VMT_FUZZ_TARGETS
#undef X
// A sanitizer's finding is to end as a property's does.
extern "C" const char* __asan_default_options() {
  return "abort_on_error=1:handle_segv=2:handle_sigbus=2:handle_sigfpe=2";
}
extern "C" const char* __ubsan_default_options() {
  return "abort_on_error=1:print_stacktrace=1";
}

namespace {

namespace fs = std::filesystem;
using Input = std::vector<std::uint8_t>;

constexpr std::size_t kMaxInput = 16 * 1024;
constexpr unsigned kMostSeconds = 20;  // for one input: what takes longer hangs
constexpr struct {
  std::string_view name;
  int (*run)(const std::uint8_t* data, std::size_t size);
} kTargets[] = {
#define X(target) {#target, fuzz_##target},
    VMT_FUZZ_TARGETS
#undef X
};

std::string failed_path;
Input current;

void keep_input(int signal) {
  const int file = open(failed_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  [[maybe_unused]] const ssize_t written = write(file, current.data(), current.size());
  constexpr char kText[] = "the input is kept in ";
  for (const std::string_view text : {std::string_view(kText), std::string_view(failed_path), std::string_view("\n")})
    [[maybe_unused]] const ssize_t said = write(STDERR_FILENO, text.data(), text.size());
  if (signal == SIGALRM) _exit(3);
}

std::vector<Input> read_seeds(std::span<const char* const> paths) {
  std::vector<fs::path> files;
  for (const fs::path path : paths) {
    if (!fs::is_directory(path))
      files.push_back(path);
    else
      for (const auto& entry : fs::recursive_directory_iterator(path))
        if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::ranges::sort(files);  // a run repeats on another machine
  std::vector<Input> seeds;
  for (const auto& path : files) {
    std::ifstream file(path, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return seeds;
}

class Mutator {
 public:
  Mutator(const std::vector<Input>& seeds, std::uint64_t seed) : seeds_(seeds), random_(seed) {}

  Input next() {
    Input input = any();
    for (auto changes = 1 + below(4); changes > 0; --changes) change(input);
    input.resize(std::min(input.size(), kMaxInput));
    return input;
  }

 private:
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : random_() % bound; }
  const Input& any() { return seeds_[below(seeds_.size())]; }

  // Some of `from` in the place of some of `input`, or between.
  void splice(Input& input, const Input& from) {
    const auto first = below(from.size()), at = below(input.size() + 1);
    const auto last = first + below(std::min<std::size_t>(from.size() - first, 1 + below(256)) + 1);
    const auto gone = below(2) ? 0 : below(std::min<std::size_t>(input.size() - at, 64) + 1);
    const Input part(from.begin() + static_cast<std::ptrdiff_t>(first),
                     from.begin() + static_cast<std::ptrdiff_t>(last));
    const auto place = input.begin() + static_cast<std::ptrdiff_t>(at);
    input.insert(input.erase(place, place + static_cast<std::ptrdiff_t>(gone)), part.begin(), part.end());
  }

  void change(Input& input) {
    constexpr std::string_view kTelling = " \t\r\n,.:;=/[]{}<>#'\"&-+0179afxz\0\x01\x7f\x80\xff";
    const auto at = below(input.size());
    switch (below(7)) {
      case 0:
        if (!input.empty()) input[at] ^= static_cast<std::uint8_t>(1U << below(8));
        break;
      case 1:
        if (!input.empty()) input[at] = static_cast<std::uint8_t>(random_());
        break;
      case 2:
        if (!input.empty()) input[at] = static_cast<std::uint8_t>(kTelling[below(kTelling.size())]);
        break;
      case 3:
        input.insert(input.begin() + static_cast<std::ptrdiff_t>(at),
                     static_cast<std::uint8_t>(kTelling[below(kTelling.size())]));
        break;
      case 4:
        if (below(8) == 0) input.resize(at);
        break;
      case 5:
        splice(input, any());
        break;
      default:
        splice(input, Input(input));
    }
  }

  const std::vector<Input>& seeds_;
  std::mt19937_64 random_;
};

}  // namespace

int main(int argc, char** argv) {
  const auto target =
      std::ranges::find(kTargets, std::string_view(argc < 2 ? "" : argv[1]), &std::decay_t<decltype(*kTargets)>::name);
  if (target == std::end(kTargets)) {
    for (const auto& [name, run] : kTargets) fmt::print("{}\n", name);
    return 2;
  }
  const std::chrono::duration<double> time(argc < 3 ? 2.0 : std::atof(argv[2]));
  failed_path = fmt::format("fuzz-{}.input", target->name);
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGALRM}) {
    struct sigaction action {};
    action.sa_handler = keep_input;
    action.sa_flags = SA_RESETHAND;
    sigaction(signal, &action, nullptr);
  }
  const auto run = [&](Input input) {
    current = std::move(input);
    alarm(kMostSeconds);
    // A copy of its size alone, so that a sanitizer sees a step behind the end.
    const Input exact(current);
    target->run(exact.data(), exact.size());
  };
  const auto seeds = read_seeds({argv + std::min(argc, 3), static_cast<std::size_t>(std::max(argc - 3, 0))});
  if (seeds.empty()) {
    fmt::print(stderr, "no seeds\n");
    return 2;
  }
  for (const auto& seed : seeds) run(seed);
  const char* wanted = std::getenv("VMT_FUZZ_SEED");
  const std::uint64_t number = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : std::random_device{}();
  fmt::print("{} seeds; VMT_FUZZ_SEED={}\n", seeds.size(), number);
  std::fflush(stdout);
  Mutator mutator(seeds, number);
  std::uint64_t runs = 0;
  for (const auto end = std::chrono::steady_clock::now() + time; std::chrono::steady_clock::now() < end; ++runs)
    run(mutator.next());
  fmt::print("{} inputs\n", runs);
  return 0;
}
