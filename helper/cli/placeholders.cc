// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/cli/placeholders.h"

#include <fmt/core.h>

#include <charconv>

#include "lib/text.h"

namespace vmt::cli {
namespace {

constexpr struct {
  std::string_view name;
  Field field;
} kFields[] = {{"fd", Field::kFd},
               {"fds", Field::kFds},
               {"vhostfds", Field::kVhostFds},
               {"mac", Field::kMac},
               {"ifname", Field::kIfName}};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// "0.fds"
std::expected<Placeholder, Error> parse_placeholder(std::string_view text) {
  Placeholder placeholder;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), placeholder.nic);
  const char* last = text.data() + text.size();
  if (error == std::errc{} && end != last && *end == '.')
    for (const auto& [name, field] : kFields)
      if (std::string_view(end + 1, last) == name) {
        placeholder.field = field;
        return placeholder;
      }
  return fail(
      invalid(fmt::format("{} is no placeholder; there are {{N.fd}}, {{N.fds}}, {{N.vhostfds}}, {{N.mac}} and "
                          "{{N.ifname}} (write {{{{ for a brace)",
                          quoted(fmt::format("{{{}}}", text)))));
}

// As QEMU reads it: "3:4:5".
std::string fd_list(const std::vector<int>& fds) {
  std::string list;
  for (const int fd : fds) list += (list.empty() ? "" : ":") + std::to_string(fd);
  return list;
}

std::string value_of(Field field, const Values& values) {
  switch (field) {
    case Field::kFd:
      return fmt::format("{}", values.fds.front());
    case Field::kFds:
      return fd_list(values.fds);
    case Field::kVhostFds:
      return fd_list(values.vhost_fds);
    case Field::kMac:
      return values.mac;
    case Field::kIfName:
      return values.ifname;
  }
  return {};
}

// Takes ",vhostfds=" off the end. Where the text does not end in an option's name, it stays.
void drop_option_name(std::string& text) {
  if (!text.ends_with('=')) return;
  const auto is_name = [](char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '_'; };
  std::size_t start = text.size() - 1;
  while (start > 0 && is_name(text[start - 1])) --start;
  if (start > 0 && text[start - 1] == ',') text.resize(start - 1);
}

}  // namespace

std::expected<std::vector<Piece>, Error> split_argument(std::string_view argument) {
  std::vector<Piece> pieces(1);
  while (!argument.empty()) {
    const bool opens = argument.size() > 1 && argument[0] == '{' && is_digit(argument[1]);
    if (!opens) {
      pieces.back().text += argument.front();
      argument.remove_prefix(argument.starts_with("{{") ? 2 : 1);
      continue;
    }
    const auto close = argument.find('}');
    if (close == std::string_view::npos)
      return fail(invalid(fmt::format("{}: the brace is never closed (write {{{{ for a brace)", quoted(argument))));
    const auto placeholder = parse_placeholder(argument.substr(1, close - 1));
    if (!placeholder) return fail(placeholder.error());
    pieces.push_back({.text = {}, .placeholder = *placeholder});
    pieces.push_back({});
    argument.remove_prefix(close + 1);
  }
  return pieces;
}

std::expected<std::set<Placeholder>, Error> placeholders_in(std::span<const std::string> command) {
  std::set<Placeholder> found;
  for (const auto& argument : command) {
    const auto pieces = split_argument(argument);
    if (!pieces) return fail(pieces.error());
    for (const auto& piece : *pieces)
      if (piece.placeholder) found.insert(*piece.placeholder);
  }
  return found;
}

std::expected<std::string, Error> expand(std::string_view argument, std::span<const Values> nics) {
  const auto pieces = split_argument(argument);
  if (!pieces) return fail(pieces.error());
  std::string result;
  for (const auto& piece : *pieces) {
    result += piece.text;
    if (!piece.placeholder) continue;
    const auto& [nic, field] = *piece.placeholder;
    if (nic >= nics.size())
      return fail(
          invalid(fmt::format("{{{}.…}}: there {} {} --nic", nic, nics.size() == 1 ? "is" : "are", nics.size())));
    const std::string value = value_of(field, nics[nic]);
    if (value.empty())
      drop_option_name(result);
    else
      result += value;
  }
  return result;
}

}  // namespace vmt::cli
