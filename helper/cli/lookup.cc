// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/cli/lookup.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

#include "helper/lookup/answer.h"
#include "lib/fd.h"

namespace vmt::cli {
namespace {

using Clock = std::chrono::steady_clock;

// An ignored SIGCHLD, which a program inherits, leaves nobody an exit status.
class KeepExitStatus {
 public:
  KeepExitStatus() {
    struct sigaction usual {};
    usual.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &usual, &before_);
  }
  KeepExitStatus(const KeepExitStatus&) = delete;
  KeepExitStatus& operator=(const KeepExitStatus&) = delete;
  ~KeepExitStatus() { sigaction(SIGCHLD, &before_, nullptr); }

 private:
  struct sigaction before_ {};
};

// Killed when nobody has waited for it.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  Child& operator=(Child&&) = delete;
  ~Child() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    wait();
  }

  // Its exit status; -1: a signal has ended it, or nobody knows.
  int wait() {
    int status = 0;
    pid_t waited = 0;
    do waited = waitpid(pid_, &status, 0);
    while (waited < 0 && errno == EINTR);
    pid_ = 0;
    return waited > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_;
};

std::expected<Child, Error> start(const std::string& path, std::vector<std::string> words, const Fd& output) {
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output.get(), STDOUT_FILENO);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, path.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return fail(errno_error(error, fmt::format("start {}", path)));
  return Child(pid);
}

// Until the end, or an error: what has come so far is not the answer.
std::expected<std::string, Error> read_all(const Fd& from, Clock::time_point deadline, const Error& too_late) {
  std::string text;
  char part[16 * 1024];
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd waiting{.fd = from.get(), .events = POLLIN, .revents = 0};
    const int ready = poll(&waiting, 1, static_cast<int>(std::clamp<long>(left, 0, INT_MAX)));
    if (ready == 0) return fail(too_late);
    const ssize_t size = ready < 0 ? ready : read(from.get(), part, sizeof part);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail(errno_error(errno, fmt::format("read the answer of {}", lookup::kProgram)));
    if (size == 0) return text;
    text.append(part, static_cast<std::size_t>(size));
  }
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> texts;
  for (auto end = text.find('\0'); end != std::string_view::npos; end = text.find('\0')) {
    texts.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return texts;
}

}  // namespace

std::string path_of_lookup() {
  char self[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", self, sizeof self);
  std::string beside(self, size > 0 ? static_cast<std::size_t>(size) : 0);
  beside.resize(beside.rfind('/') + 1);
  beside += lookup::kProgram;
  return access(beside.c_str(), X_OK) == 0 ? beside : fmt::format("{}/{}", VMT_LIBEXEC_DIR, lookup::kProgram);
}

std::expected<std::vector<std::string>, Error> look_up(std::vector<std::string> question,
                                                       std::chrono::milliseconds patience, const std::string& program) {
  const auto deadline = Clock::now() + patience;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return fail(errno_error(errno, "make a pipe"));
  const Fd ours(ends[0]);
  Fd theirs(ends[1]);
  question.insert(question.begin(), program);
  const KeepExitStatus keep;
  auto child = start(program, std::move(question), theirs);
  if (!child) return fail(child.error());
  theirs = Fd();
  const auto text = read_all(
      ours, deadline, Error{ErrorKind::kTimeout, fmt::format("{}: no answer within {} ms", program, patience.count())});
  if (!text) return fail(text.error());
  auto texts = split(*text);
  const int status = child->wait();
  if (status == lookup::kAnswered) return texts;
  if (texts.empty()) return fail(Error{ErrorKind::kFailed, fmt::format("{}: ended without an answer", program)});
  return fail(Error{status == lookup::kNotFound ? ErrorKind::kNotFound : ErrorKind::kFailed, texts.front()});
}

}  // namespace vmt::cli
