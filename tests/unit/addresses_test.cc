// SPDX-License-Identifier: LGPL-2.1-or-later
// How `addresses` and `status` say how long ago something was, and what a process calls its guest.
#include <gtest/gtest.h>

#include <algorithm>

#include "helper/cli/process_name.h"
#include "helper/cli/status.h"

namespace vmt::cli {
namespace {

using namespace std::chrono_literals;

TEST(AgeTest, IsOneNumberInTheUnitThatFits) {
  const struct {
    std::chrono::milliseconds age;
    const char* text;
  } kRows[] = {{0ms, "0 s"},   {5999ms, "5 s"}, {59999ms, "59 s"}, {60s, "1 min"},      {3599s, "59 min"},
               {3600s, "1 h"}, {23h, "23 h"},   {24h, "1 d"},      {100 * 24h, "100 d"}};
  for (const auto& row : kRows) EXPECT_EQ(human(row.age), row.text);
}

// "|" stands for the NUL behind each word.
std::optional<std::string> name_in(std::string line) {
  std::ranges::replace(line, '|', '\0');
  return name_in_command_line(line);
}

TEST(ProcessNameTest, IsTheValueOfQemusName) {
  const struct {
    const char* line;
    std::optional<std::string> name;
  } kRows[] = {{"qemu|-name|web|", "web"},
               {"qemu|-name|guest=web,debug-threads=on|-S|", "web"},
               {"qemu|--name|guest=a,,b,process=x|", "a,b"},
               {"qemu|-name|web", "web"},
               {"qemu|-name|a,,|", "a,"},
               {"qemu|-name|a,|", "a"},
               {"qemu|-name||", std::nullopt},
               {"qemu|-name|guest=,x=y|", std::nullopt},
               {"qemu|-name|", std::nullopt},
               {"qemu|-m|name|", std::nullopt},
               {"", std::nullopt}};
  for (const auto& row : kRows) EXPECT_EQ(name_in(row.line), row.name) << row.line;
}

}  // namespace
}  // namespace vmt::cli
