// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/cli/command.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <boost/program_options/errors.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/value_semantic.hpp>
#include <cerrno>
#include <cstdio>
#include <sstream>

#include "lib/algorithm.h"

namespace po = boost::program_options;

namespace vmt::cli {
namespace {

constexpr int kStyle = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;

void show_help(const Command& command, const Syntax& syntax) {
  std::ostringstream options;
  options << syntax.options;
  fmt::print("Usage: virt-macvtap {} {}\n\n{}\n{}", command.name, command.arguments, syntax.about, options.str());
}

// Words that are no options have no name here, and store() passes over them.
Words rest_of(const po::parsed_options& parsed) {
  Words rest;
  for (const auto& option : parsed.options)
    if (option.position_key >= 0) rest.insert(rest.end(), option.value.begin(), option.value.end());
  return rest;
}

}  // namespace

std::expected<Arguments, int> parse(const Command& command, const Syntax& syntax, const Words& words) {
  Syntax whole = syntax;
  whole.options.add_options()("help,h", "show this");
  try {
    const auto parsed = po::command_line_parser(words).options(whole.options).style(kStyle).run();
    Arguments arguments{.options = {}, .rest = rest_of(parsed)};
    po::store(parsed, arguments.options);
    if (arguments.options.count("help")) {
      show_help(command, whole);
      return std::unexpected(kFine);
    }
    if (arguments.rest.size() < syntax.least) return std::unexpected(misused(command.name, "too few arguments"));
    if (arguments.rest.size() > syntax.most)
      return std::unexpected(
          misused(command.name, fmt::format("unexpected argument '{}'", arguments.rest[syntax.most])));
    return arguments;
  } catch (const po::error& error) {
    return std::unexpected(misused(command.name, error.what()));
  }
}

void add_connect_option(po::options_description& options) {
  options.add_options()("connect", po::value<std::string>()->default_value("qemu:///system")->value_name("URI"),
                        "the libvirt that knows the guests");
}

void add_guest_options(po::options_description& options) {
  add_connect_option(options);
  add_config_option(options);
}

void add_config_option(po::options_description& options) {
  options.add_options()("config", po::value<std::string>()->default_value(kConfigPath)->value_name("FILE"),
                        "the configuration file");
}

std::expected<Config, Error> config_of(const Arguments& arguments) {
  const auto& option = arguments.options["config"];
  const auto& path = option.as<std::string>();
  if (!option.defaulted() && access(path.c_str(), R_OK) != 0)
    return fail(errno_error(errno, fmt::format("read {}", path)));
  return read_config(path.c_str());
}

void warn(std::string_view line) {
  std::string text = fmt::format("virt-macvtap: {}", line);
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  fmt::print(stderr, "{}\n", text);
}

void warn(std::span<const std::string> lines) {
  for (const auto& line : lines) warn(line);
}

int report(const Error& error) {
  const bool wants_root = error.kind == ErrorKind::kPermission && geteuid() != 0;
  warn(error.message + (wants_root ? " (run as root)" : ""));
  return kFailed;
}

int misused(std::string_view command, std::string_view why) {
  warn(fmt::format("{}{}{} (try `virt-macvtap {}{}--help`)", command, command.empty() ? "" : ": ", why, command,
                   command.empty() ? "" : " "));
  return kUsage;
}

}  // namespace vmt::cli
