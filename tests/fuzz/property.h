// SPDX-License-Identifier: LGPL-2.1-or-later
// What the fuzz targets have in common: how a property is stated, and how bytes become values.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/error.h"
#include "lib/if_name.h"

namespace vmt::fuzz {

// Ends the run, as a crash does: whoever runs us keeps the input.
inline void require(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "property: %s\n", property);
  std::abort();
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

inline bool is_one_line(std::string_view text) {
  return std::ranges::none_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

// The contract of every Error: a sentence that nobody can forge a second line with.
template <typename T>
void require_sound(const std::expected<T, Error>& result) {
  if (!result) require(!result.error().message.empty() && is_one_line(result.error().message), "an error is one line");
}

// dev_valid_name() of the kernel, whose isspace() counts Latin-1's no-break space.
inline void require_valid(const IfName& name) {
  constexpr std::string_view kNever = "/:\t\n\v\f\r \xa0";
  const std::string& text = name.str();
  require(!text.empty() && text.size() < 16 && text != "." && text != "..", "a name has 1 to 15 bytes");
  require(text.find_first_of(kNever) == text.npos && text.find('\0') == text.npos, "the kernel accepts the name");
}

inline std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = std::min(text.find(separator), text.size());
    parts.push_back(text.substr(0, end));
    if (end == text.size()) return parts;
    text.remove_prefix(end + 1);
  }
}

// Numbers out of the input; zeros at its end.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t value = rest_.front();
    rest_ = rest_.subspan(1);
    return value;
  }
  std::span<const std::uint8_t> take(std::size_t most) {
    const auto taken = rest_.first(std::min(most, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }

 private:
  std::span<const std::uint8_t> rest_;
};

}  // namespace vmt::fuzz
