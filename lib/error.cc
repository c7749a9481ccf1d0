// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/error.h"

#include <fmt/core.h>

#include <cerrno>
#include <cstring>

namespace vmt {
namespace {

ErrorKind kind_of(int error_number) {
  switch (error_number) {
    case ENODEV:
    case ENOENT:
    case ESRCH:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:  // a host without IPv6 has none of its objects
      return ErrorKind::kNotFound;
    case EEXIST:
      return ErrorKind::kExists;
    case EADDRINUSE:
      return ErrorKind::kInUse;
    case EPERM:
    case EACCES:
      return ErrorKind::kPermission;
    case ENOMEM:
    case ENOBUFS:
    case EINTR:
    case EBUSY:
      return ErrorKind::kNotNow;
    default:
      return ErrorKind::kFailed;
  }
}

}  // namespace

Error errno_error(int error_number, std::string_view operation) {
  return {kind_of(error_number), fmt::format("{}: {}", operation, std::strerror(error_number))};
}

Error invalid(std::string message) {
  return {ErrorKind::kInvalid, std::move(message)};
}

}  // namespace vmt
