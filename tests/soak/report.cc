// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/soak/report.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <sstream>

namespace vmt::soak {
namespace {

// The lines that only one of them has, up to a dozen.
std::string difference(const std::string& before, const std::string& now) {
  const auto lines_of = [](const std::string& text) {
    std::multiset<std::string> lines;
    std::istringstream all(text);
    for (std::string line; std::getline(all, line);) lines.insert(line);
    return lines;
  };
  const auto old = lines_of(before), current = lines_of(now);
  std::vector<std::string> gone, come;
  std::ranges::set_difference(old, current, std::back_inserter(gone));
  std::ranges::set_difference(current, old, std::back_inserter(come));
  std::string text;
  constexpr std::size_t kMost = 12;
  for (std::size_t i = 0; i < std::min(kMost, gone.size()); ++i) text += "-" + gone[i] + "\n";
  for (std::size_t i = 0; i < std::min(kMost, come.size()); ++i) text += "+" + come[i] + "\n";
  return text + fmt::format("({} lines gone, {} come)", gone.size(), come.size());
}

std::vector<double> part_of(const std::vector<double>& series, bool last) {
  const auto tenth = static_cast<std::ptrdiff_t>((series.size() + 9) / 10);
  return last ? std::vector<double>(series.end() - tenth, series.end())
              : std::vector<double>(series.begin(), series.begin() + tenth);
}

}  // namespace

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void Report::add(nlohmann::ordered_json row, bool good) {
  row["good"] = good;
  good_ = good_ && good;
  rows_.push_back(std::move(row));
}

void Report::tell(const std::string& what, double value, const std::string& unit, const std::string& note) {
  add({{"what", what}, {"value", value}, {"unit", unit}, {"note", note}}, true);
}

void Report::expect_most(const std::string& what, double value, const std::string& unit, double bound,
                         const std::string& note) {
  add({{"what", what}, {"value", value}, {"unit", unit}, {"bound", bound}, {"note", note}}, value <= bound);
}

void Report::expect_equal(const std::string& what, const std::string& value, const std::string& wanted) {
  const bool good = value == wanted;
  add({{"what", what},
       {"value", good ? "as before" : "different"},
       {"unit", ""},
       {"note", good ? "" : difference(wanted, value)}},
      good);
}

void Report::expect_alike(const std::string& what, const Series& first, const Series& last, double most) {
  const auto ratio_of = [](double before, double after) { return before > 0 ? after / before : 1; };
  const double before = median(first.times), after = median(last.times);
  const double machine = ratio_of(median(first.floor), median(last.floor));
  const double bound = most * std::max(1.0, machine);
  add({{"what", what},
       {"value", ratio_of(before, after)},
       {"unit", ""},
       {"bound", bound},
       {"note", fmt::format("{:.0f} us, then {:.0f}; the floor's ratio {:.2f}", before, after, machine)}},
      before > 0 && after > 0 && ratio_of(before, after) <= bound);
}

void Report::expect_alike(const std::string& what, const Series& all) {
  expect_alike(what + ", last tenth to first", {part_of(all.times, false), part_of(all.floor, false)},
               {part_of(all.times, true), part_of(all.floor, true)});
}

}  // namespace vmt::soak
