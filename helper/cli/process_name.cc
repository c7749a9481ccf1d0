// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/cli/process_name.h"

#include <fmt/core.h>

#include <fstream>
#include <iterator>

namespace vmt::cli {
namespace {

// Up to the first comma that stands alone: QEMU writes a comma in a value as two.
std::string first_value(std::string_view text) {
  std::string value;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ',' && (i + 1 == text.size() || text[++i] != ',')) break;
    value += text[i];
  }
  return value;
}

}  // namespace

std::optional<std::string> name_in_command_line(std::string_view command_line) {
  bool is_next = false;
  while (!command_line.empty()) {
    const auto word = command_line.substr(0, command_line.find('\0'));
    command_line.remove_prefix(std::min(word.size() + 1, command_line.size()));
    if (!is_next) {
      is_next = word == "-name" || word == "--name";
      continue;
    }
    constexpr std::string_view kKey = "guest=";
    std::string name = first_value(word.starts_with(kKey) ? word.substr(kKey.size()) : word);
    if (name.empty()) return std::nullopt;
    return name;
  }
  return std::nullopt;
}

std::string guest_name_of(const TapHolder& holder) {
  std::ifstream file(fmt::format("/proc/{}/cmdline", holder.pid), std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  return name_in_command_line(text).value_or(holder.command);
}

}  // namespace vmt::cli
