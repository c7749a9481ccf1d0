// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/lock.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>

namespace vmt {
namespace {

// flock(2) has no timeout, but a signal ends it. Restores what it changed.
class Alarm {
 public:
  explicit Alarm(std::chrono::milliseconds after) : start_(std::chrono::steady_clock::now()) {
    struct sigaction action {};
    action.sa_handler = [](int) {};  // without SA_RESTART, so that flock returns EINTR
    sigaction(SIGALRM, &action, &old_action_);
    itimerval timer{};
    timer.it_value.tv_sec = after.count() / 1000;
    timer.it_value.tv_usec = (after.count() % 1000) * 1000;
    // Again and again: a signal that comes before flock() sleeps would be lost.
    timer.it_interval.tv_usec = 10'000;
    setitimer(ITIMER_REAL, &timer, &old_timer_);
  }
  ~Alarm() {
    deduct_the_wait();
    sigaction(SIGALRM, &old_action_, nullptr);
    setitimer(ITIMER_REAL, &old_timer_, nullptr);
  }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

 private:
  // The caller's own alarm goes off when it was to go off.
  void deduct_the_wait() {
    using std::chrono::microseconds;
    timeval& left = old_timer_.it_value;
    if (left.tv_sec == 0 && left.tv_usec == 0) return;
    const auto waited = std::chrono::duration_cast<microseconds>(std::chrono::steady_clock::now() - start_);
    const auto rest =
        std::max(std::chrono::seconds(left.tv_sec) + microseconds(left.tv_usec) - waited, microseconds(1));
    left.tv_sec = rest.count() / 1'000'000;
    left.tv_usec = rest.count() % 1'000'000;
  }

  std::chrono::steady_clock::time_point start_;
  struct sigaction old_action_ {};
  itimerval old_timer_{};
};

}  // namespace

std::expected<Lock, Error> Lock::take(std::chrono::milliseconds patience, const char* path) {
  Fd fd(::open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail(errno_error(errno, fmt::format("open lock {}", path)));
  if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return Lock(std::move(fd));
  if (errno == EWOULDBLOCK) {
    const Alarm alarm(patience);
    if (flock(fd.get(), LOCK_EX) == 0) return Lock(std::move(fd));
  }
  if (errno == EINTR)
    return fail(Error{ErrorKind::kTimeout,
                      fmt::format("lock {}: held by another process for more than {} ms (see `fuser -v {}`)", path,
                                  patience.count(), path)});
  return fail(errno_error(errno, fmt::format("lock {}", path)));
}

}  // namespace vmt
