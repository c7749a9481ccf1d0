// SPDX-License-Identifier: LGPL-2.1-or-later
// What a soak has found: a row for each thing that was counted or timed, and whether it is within its bound.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace vmt::soak {

double median(std::vector<double> values);

class Report {
 public:
  // Told, not judged.
  void tell(const std::string& what, double value, const std::string& unit, const std::string& note = {});
  // At most `bound`.
  void expect_most(const std::string& what, double value, const std::string& unit, double bound,
                   const std::string& note = {});
  void expect_equal(const std::string& what, const std::string& value, const std::string& wanted);
  // Two series of microseconds, of the start and of the end: the second's median is at most kAlike times the first's. A
  // machine that has become slower is excused, by as much as what was measured in between, the floor, has.
  static constexpr double kAlike = 1.2;
  struct Series {
    std::vector<double> times, floor;
  };
  void expect_alike(const std::string& what, const Series& first, const Series& last, double most = kAlike);
  // The same of the first and the last tenth of one.
  void expect_alike(const std::string& what, const Series& all);

  bool good() const { return good_; }
  const nlohmann::ordered_json& rows() const { return rows_; }

 private:
  void add(nlohmann::ordered_json row, bool good);

  nlohmann::ordered_json rows_ = nlohmann::ordered_json::array();
  bool good_ = true;
};

}  // namespace vmt::soak
