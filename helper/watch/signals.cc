// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/watch/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <cerrno>
#include <csignal>
#include <utility>

namespace vmt::watch {

std::expected<std::unique_ptr<Signals>, Error> Signals::open(boost::asio::io_context& io, std::span<const int> which,
                                                             OnSignal on_signal) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : which) sigaddset(&set, signal);
  if (sigprocmask(SIG_BLOCK, &set, nullptr) < 0) return fail(errno_error(errno, "block signals"));
  Fd fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return fail(errno_error(errno, "listen for signals"));
  return std::unique_ptr<Signals>(new Signals(io, std::move(fd), std::move(on_signal)));
}

Signals::Signals(boost::asio::io_context& io, Fd fd, OnSignal on_signal)
    : fd_(std::move(fd)), on_signal_(std::move(on_signal)), ready_(io, fd_.get()) {
  wait();
}

Signals::~Signals() {
  ready_.release();  // it is fd_'s
}

void Signals::wait() {
  ready_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const auto& error) {
    if (error == boost::asio::error::operation_aborted) return;
    // Deaf to SIGTERM it would have to be killed.
    if (error) throw boost::system::system_error(error, "wait for signals");
    signalfd_siginfo info{};
    const bool any = read(fd_.get(), &info, sizeof info) == sizeof info;
    wait();
    if (any) on_signal_(static_cast<int>(info.ssi_signo));
  });
}

}  // namespace vmt::watch
