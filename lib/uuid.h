// SPDX-License-Identifier: LGPL-2.1-or-later
// A domain's UUID, in the one form that libvirt prints.
#pragma once

#include <compare>
#include <expected>
#include <string>
#include <string_view>

#include "lib/error.h"

namespace vmt {

class Uuid {
 public:
  // 8-4-4-4-12 hex digits, any case; kept in lower case.
  static std::expected<Uuid, Error> parse(std::string_view text);

  const std::string& str() const { return text_; }

  auto operator<=>(const Uuid&) const = default;

 private:
  explicit Uuid(std::string text) : text_(std::move(text)) {}

  std::string text_;
};

}  // namespace vmt
