// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/crash/tracer_check.h"

#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "tests/crash/tracer.h"

namespace vmt::crash {
namespace {

constexpr int kOurs = 2;
constexpr int kTheirs = 5;

bool is_duplicate(const Call& call) {
  return call.number == SYS_dup;
}

// The program, which starts another one that makes the same calls, which starts a third.
Program program(const std::string& self) {
  const std::string ours = std::to_string(kOurs);
  const std::string theirs = std::to_string(kTheirs);
  return {.words = {self, "--duplicate", ours, self, "--duplicate", theirs, self, "--duplicate", theirs}};
}

bool expect(bool fine, const std::string& what) {
  if (!fine) std::printf("DEFECT tracer: %s\n", what.c_str());
  return fine;
}

}  // namespace

int check_tracer(const std::string& self) {
  const Outcome whole = run(program(self));
  bool fine = expect(whole.status == 0 && whole.followed, "it does not see the program's end");
  const auto counted = std::ranges::count_if(whole.calls, is_duplicate);
  fine = expect(counted == 2 * kOurs, "it counts " + std::to_string(counted) + " duplicates of " +
                                          std::to_string(2 * kOurs) + " that the program makes") &&
         fine;
  // The last of them comes behind the end of the other program.
  const auto last = std::ranges::find_if(whole.calls.rbegin(), whole.calls.rend(), is_duplicate);
  if (last == whole.calls.rend()) return 1;
  const auto at = static_cast<std::size_t>(whole.calls.rend() - last - 1);
  const Outcome killed = run(program(self), {Hurt::Kind::kKill, at, 0});
  fine = expect(killed.hurt && !killed.in_child && killed.signal == SIGKILL, "it does not kill at that call") && fine;
  return fine ? 0 : 1;
}

int duplicate(int count, const std::vector<std::string>& other) {
  for (int i = 0; i < count; ++i)
    if (dup(STDOUT_FILENO) < 0) return 1;
  if (!other.empty()) {
    std::vector<char*> words;
    for (const auto& word : other) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    pid_t child = 0;
    int status = 1;
    if (posix_spawn(&child, words[0], nullptr, nullptr, words.data(), environ) != 0 ||
        waitpid(child, &status, 0) != child || status != 0)
      return 1;
  }
  for (int i = 0; i < count; ++i)
    if (dup(STDOUT_FILENO) < 0) return 1;
  return 0;
}

}  // namespace vmt::crash
