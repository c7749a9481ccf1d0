// SPDX-License-Identifier: LGPL-2.1-or-later
// Is it after the ten-thousandth time what it was after the first? Runs each part in namespaces of its own, and prints
// what was found; scripts/soak builds it and passes its arguments on.
//
//   soak [--quick] [--json] [cycles|many|killed|frames]...      root; the exit status is 1 when something is not well
#include <fmt/core.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string_view>

#include "lib/fd.h"
#include "tests/soak/lab.h"
#include "tests/soak/parts.h"

namespace vmt::soak {
namespace {

using nlohmann::ordered_json;

struct Part {
  const char* name;
  void (*run)(Report&, const Scale&);
};
constexpr Part kPartList[] = {
    {"cycles", soak_cycles}, {"many", soak_many}, {"killed", soak_killed}, {"frames", soak_frames}};

struct Options {
  bool quick = false, json = false;
  std::vector<Part> parts;
};

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const auto part = std::ranges::find(kPartList, word, &Part::name);
    if (word == "--quick")
      options.quick = true;
    else if (word == "--json")
      options.json = true;
    else if (part != std::end(kPartList))
      options.parts.push_back(*part);
    else
      return std::nullopt;
  }
  if (options.parts.empty()) options.parts.assign(std::begin(kPartList), std::end(kPartList));
  return options;
}

void must(bool done, const char* what) {
  if (!done) die(fmt::format("{}: {}", what, std::strerror(errno)));
}

// The first process of a PID namespace: takes in whoever loses its parent, and with its end all of them end.
[[noreturn]] void look_after(pid_t worker) {
  int status = 0;
  for (;;) {
    int ended = 0;
    const pid_t pid = wait(&ended);
    if (pid == worker) status = ended;
    if (pid == worker || (pid < 0 && errno == ECHILD)) break;
  }
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

void set_up_namespaces() {
  must(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "make mounts private");
  must(mount("proc", "/proc", "proc", 0, nullptr) == 0, "mount /proc");
  must(mount("sysfs", "/sys", "sysfs", 0, nullptr) == 0, "mount /sys");
  must(mount("tmpfs", "/run", "tmpfs", 0, nullptr) == 0, "mount /run");
  // The machine's own configuration is not the one to be soaked.
  sh("if [ -e /etc/virt-macvtap.conf ]; then mount --bind /dev/null /etc/virt-macvtap.conf; fi; ip link set lo up");
}

[[noreturn]] void run_inside(const Part& part, const Scale& scale, int out) {
  must(unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID) == 0, "make namespaces (root?)");
  const pid_t first = fork();
  if (first != 0) {
    int status = 0;
    waitpid(first, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
  }
  set_up_namespaces();
  if (const pid_t worker = fork(); worker != 0) {
    close(out);
    look_after(worker);
  }
  Report report;
  part.run(report, scale);
  const std::string text = report.rows().dump();
  must(write(out, text.data(), text.size()) == static_cast<ssize_t>(text.size()), "write");
  _exit(report.good() ? 0 : 1);
}

struct Outcome {
  ordered_json rows;
  bool good = false;
};

Outcome run(const Part& part, const Scale& scale) {
  int ends[2];
  must(pipe2(ends, O_CLOEXEC) == 0, "pipe");
  const Fd ours(ends[0]);
  const pid_t pid = fork();
  if (pid == 0) run_inside(part, scale, ends[1]);
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t size; (size = read(ours.get(), buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(size));
  int status = 0;
  waitpid(pid, &status, 0);
  return {.rows = ordered_json::parse(text.empty() ? "[]" : text),
          .good = !text.empty() && WIFEXITED(status) && WEXITSTATUS(status) == 0};
}

void print(const Part& part, const Outcome& outcome) {
  fmt::print("\n### {}: {}\n\n| what | value | at most | |\n|---|---:|---:|---|\n", part.name,
             outcome.good ? "well" : "NOT WELL");
  for (const auto& row : outcome.rows) {
    const auto text = [&](const char* key) {
      if (!row.contains(key)) return std::string();
      return row[key].is_string() ? row[key].get<std::string>() : fmt::format("{:.6g}", row[key].get<double>());
    };
    fmt::print("| {}{} | {} {} | {} | {} |\n", row["good"].get<bool>() ? "" : "**NOT WELL** ", text("what"),
               text("value"), text("unit"), text("bound"), text("note"));
  }
  std::fflush(stdout);
}

}  // namespace
}  // namespace vmt::soak

int main(int argc, char** argv) {
  using namespace vmt::soak;
  if (argc > 2 && std::string_view(argv[1]) == "--hold") return hold(std::atoi(argv[2]));
  const auto options = parse(argc, argv);
  if (!options) {
    fmt::print(stderr, "usage: soak [--quick] [--json] [cycles|many|killed|frames]...\n");
    return 2;
  }
  bool good = true;
  auto all = ordered_json::object();
  for (const auto& part : options->parts) {
    const Outcome outcome = run(part, options->quick ? kQuick : Scale{});
    good = good && outcome.good;
    all[part.name] = outcome.rows;
    if (!options->json) print(part, outcome);
  }
  if (options->json) fmt::print("{}\n", all.dump(2));
  return good ? 0 : 1;
}
