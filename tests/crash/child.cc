// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/crash/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace vmt::crash {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> result;
  for (const auto& word : words) result.push_back(const_cast<char*>(word.c_str()));
  result.push_back(nullptr);
  return result;
}

[[noreturn]] void become(const Program& program, int out, int err, bool traced) {
  const int input = open(program.input.c_str(), O_RDONLY | O_CLOEXEC);
  bool ready = input >= 0 && dup2(input, 0) == 0 && dup2(out, 1) == 1 && dup2(err, 2) == 2;
  for (const auto& [ours, its] : program.fds)
    ready = ready && (ours == its ? fcntl(ours, F_SETFD, 0) == 0 : dup2(ours, its) == its);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (ready && traced) ready = ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0 && raise(SIGSTOP) == 0;
  auto argv = pointers(program.words);
  auto environment = pointers(program.environment);
  if (ready) execve(argv[0], argv.data(), environment.data());
  _exit(99);
}

std::string all_of(const Fd& file) {
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = pread(file.get(), buffer, sizeof buffer, static_cast<off_t>(text.size()))) > 0;)
    text.append(buffer, static_cast<std::size_t>(got));
  return text;
}

}  // namespace

void die(const std::string& what) {
  std::fprintf(stderr, "crash_tests: %s: %s\n", what.c_str(), std::strerror(errno));
  std::_Exit(3);
}

Child::Child(const Program& program, bool traced)
    : out_(memfd_create("out", MFD_CLOEXEC)), err_(memfd_create("err", MFD_CLOEXEC)) {
  if (!out_ || !err_) die("make files for the output");
  pid_ = fork();
  if (pid_ < 0) die("fork");
  if (pid_ == 0) become(program, out_.get(), err_.get(), traced);
  if (!traced) return;
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
  constexpr long kOptions = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                            PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
  if (!WIFSTOPPED(status) || ptrace(PTRACE_SETOPTIONS, pid_, nullptr, kOptions) < 0 ||
      ptrace(PTRACE_SYSCALL, pid_, nullptr, nullptr) < 0)
    die("trace " + program.words[0]);
}

std::string Child::out() const {
  return all_of(out_);
}

std::string Child::err() const {
  return all_of(err_);
}

}  // namespace vmt::crash
