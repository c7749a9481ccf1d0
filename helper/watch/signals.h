// SPDX-License-Identifier: LGPL-2.1-or-later
// SIGTERM, SIGINT and SIGHUP in the event loop.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <expected>
#include <functional>
#include <memory>
#include <span>

#include "lib/error.h"
#include "lib/fd.h"

namespace vmt::watch {

// Not boost::asio::signal_set: where the kernel has no memory to watch its pipe, it says nothing, and the program is
// deaf to SIGTERM from then on.
class Signals {
 public:
  using OnSignal = std::function<void(int)>;

  // Blocks these signals for good, for the whole process (of one thread): they come here only.
  static std::expected<std::unique_ptr<Signals>, Error> open(boost::asio::io_context& io, std::span<const int> which,
                                                             OnSignal on_signal);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  Signals(boost::asio::io_context& io, Fd fd, OnSignal on_signal);
  void wait();

  Fd fd_;
  OnSignal on_signal_;
  boost::asio::posix::stream_descriptor ready_;
};

}  // namespace vmt::watch
