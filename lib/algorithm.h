// SPDX-License-Identifier: LGPL-2.1-or-later
// std::ranges::contains, which GCC 12's library does not have yet.
#pragma once

#include <algorithm>
#include <functional>
#include <ranges>
#include <vector>

namespace vmt {

template <std::ranges::input_range Range, typename Value, typename Projection = std::identity>
constexpr bool contains(Range&& range, const Value& value, Projection projection = {}) {
  return std::ranges::find(range, value, projection) != std::ranges::end(range);
}

// Sorted, each once.
template <typename T>
std::vector<T> unique(std::vector<T> values) {
  std::ranges::sort(values);
  const auto rest = std::ranges::unique(values);
  values.erase(rest.begin(), rest.end());
  return values;
}

}  // namespace vmt
