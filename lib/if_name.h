// SPDX-License-Identifier: LGPL-2.1-or-later
// The name of a network interface.
#pragma once

#include <compare>
#include <expected>
#include <string>
#include <string_view>

#include "lib/error.h"

namespace vmt {

// 1 to 15 bytes, not "." or "..", no '/', ':' or white space: dev_valid_name() of the kernel. Holding one is the proof,
// so it may go into a path under /proc/sys/net and into a log line as it is.
class IfName {
 public:
  static std::expected<IfName, Error> parse(std::string_view text);

  const std::string& str() const { return name_; }
  const char* c_str() const { return name_.c_str(); }

  auto operator<=>(const IfName&) const = default;

 private:
  explicit IfName(std::string_view name) : name_(name) {}

  std::string name_;
};

}  // namespace vmt
