// SPDX-License-Identifier: LGPL-2.1-or-later
// std::ranges::contains, which GCC 12's library does not have yet.
#pragma once

#include <algorithm>
#include <functional>
#include <ranges>

namespace vmt {

template <std::ranges::input_range Range, typename Value, typename Projection = std::identity>
constexpr bool contains(Range&& range, const Value& value, Projection projection = {}) {
  return std::ranges::find(range, value, projection) != std::ranges::end(range);
}

}  // namespace vmt
