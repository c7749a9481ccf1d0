// SPDX-License-Identifier: LGPL-2.1-or-later
// What went wrong, as a value: a category for callers that branch, and one line for people.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace vmt {

// Only categories on which some caller decides something. Everything else is kFailed.
enum class ErrorKind {
  kFailed,
  kInvalid,     // the input is not what it claims to be
  kNotFound,    // ENODEV, ENOENT, ESRCH: the object is not there (any more)
  kExists,      // EEXIST: somebody has the name or the key already
  kPermission,  // EPERM, EACCES
  kInUse,       // EADDRINUSE: another device on the parent is up with this MAC
  kTimeout,     // a bounded wait came to its end
  kNotNow,      // ENOMEM, ENOBUFS, EINTR, EBUSY: says nothing of the object; the next try may be answered
};

struct Error {
  ErrorKind kind = ErrorKind::kFailed;
  // "operation object: the kernel's words (a cure, where one is known)"; no newline.
  std::string message;
};

using Status = std::expected<void, Error>;

// `error_number` is a positive errno; netlink's negative codes are turned round in rtnl_socket.cc, nowhere else.
Error errno_error(int error_number, std::string_view operation);
Error invalid(std::string message);

inline std::unexpected<Error> fail(Error error) {
  return std::unexpected<Error>(std::move(error));
}

}  // namespace vmt
