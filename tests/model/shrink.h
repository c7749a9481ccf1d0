// SPDX-License-Identifier: LGPL-2.1-or-later
// The shortest part of a sequence that still fails: delta debugging (Zeller's ddmin, and then one by one). Pure.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

namespace vmt::model {

// `fails`: whether these fail as all of them do. False also when there is no time left to find out: what was found so
// far is the answer then.
template <typename T>
std::vector<T> shrink(std::vector<T> all, const std::function<bool(const std::vector<T>&)>& fails) {
  for (std::size_t size = (all.size() + 1) / 2; size > 0; size = size == 1 ? 0 : (size + 1) / 2) {
    for (std::size_t end = all.size(); end > 0;) {
      const std::size_t begin = end > size ? end - size : 0;
      std::vector<T> less(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(begin));
      less.insert(less.end(), all.begin() + static_cast<std::ptrdiff_t>(end), all.end());
      if (less.size() < all.size() && fails(less)) all = std::move(less);
      end = begin;
    }
  }
  return all;
}

}  // namespace vmt::model
