// SPDX-License-Identifier: LGPL-2.1-or-later
// One rtnetlink socket: send a request, get its answers or its error.
#pragma once

#include <netlink/socket.h>

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "lib/error.h"
#include "lib/fd.h"
#include "lib/rtnl_request.h"

namespace vmt {

class RtnlSocket {
 public:
  // Strict dumps (the kernel filters, or says that it cannot) and extended acks (the kernel's own sentence).
  static std::expected<RtnlSocket, Error> open();

  using OnAnswer = std::function<void(nlmsghdr*)>;

  // Waits for the acknowledgement or the end of the dump; on_answer sees each answer before. A dump that changed under
  // the reader is started over, at most kDumpTries times: on_restart lets the caller forget what it had.
  // Errors read "operation: the kernel's words". After one the socket is as good as new: what is still to come of this
  // answer is never taken for that to another request.
  Status request(const NlMsg& message, std::string_view operation, const OnAnswer& on_answer = {},
                 const std::function<void()>& on_restart = {}) {
    return exchange(message, operation, on_answer, on_restart, nullptr);
  }

  // Whether one of the answers fits. Reads no further than to that one, which leaves the socket busy: it is of no more
  // use afterwards.
  std::expected<bool, Error> any(const NlMsg& query, std::string_view operation,
                                 const std::function<bool(nlmsghdr*)>& fits) {
    bool found = false;
    const auto look = [&](nlmsghdr* message) { found = found || fits(message); };
    if (auto status = exchange(query, operation, look, {}, &found); !status) return fail(status.error());
    return found;
  }

  // The decoded answers; what does not decode is left out.
  template <typename Answer>
  std::expected<std::vector<Answer>, Error> collect(const NlMsg& query, std::string_view operation,
                                                    std::optional<Answer> (*decode)(nlmsghdr*)) {
    std::vector<Answer> answers;
    const auto take = [&](nlmsghdr* message) {
      if (auto answer = decode(message)) answers.push_back(std::move(*answer));
    };
    if (auto status = request(query, operation, take, [&] { answers.clear(); }); !status) return fail(status.error());
    return answers;
  }

  // What the kernel calls the asker in the news of changes that this socket asked for (nlmsg_pid).
  std::uint32_t port() const { return nl_socket_get_local_port(socket_.get()); }

  // The namespace that the socket belongs to, wherever the caller is now. Needs CAP_NET_ADMIN there.
  std::expected<Fd, Error> netns() const;

 private:
  static constexpr int kDumpTries = 8;

  struct Free {
    void operator()(nl_sock* socket) const { nl_socket_free(socket); }
  };

  // `enough`: set by on_answer when it needs no more.
  Status exchange(const NlMsg& message, std::string_view operation, const OnAnswer& on_answer,
                  const std::function<void()>& on_restart, const bool* enough);

  explicit RtnlSocket(std::unique_ptr<nl_sock, Free> socket) : socket_(std::move(socket)) {}

  std::unique_ptr<nl_sock, Free> socket_;
};

}  // namespace vmt
