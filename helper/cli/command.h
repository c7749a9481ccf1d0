// SPDX-License-Identifier: LGPL-2.1-or-later
// What is a subcommand, and what do they all share: parsing, --help, error lines, exit statuses?
#pragma once

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/variables_map.hpp>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/config_file.h"
#include "lib/error.h"

namespace vmt::cli {

inline constexpr int kFine = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;  // the command line makes no sense

using Words = std::vector<std::string>;

// A row of the table in main.cc.
struct Command {
  std::string_view name;       // one or two words: "status", "host up"
  std::string_view arguments;  // for the usage line
  std::string_view summary;    // for the list of commands
  int (*run)(const Command&, const Words&);
};

int run_status(const Command& command, const Words& words);
int run_plan(const Command& command, const Words& words);
int run_sync(const Command& command, const Words& words);
int run_clean(const Command& command, const Words& words);
int run_exec(const Command& command, const Words& words);
int run_create(const Command& command, const Words& words);
int run_set(const Command& command, const Words& words);
int run_delete(const Command& command, const Words& words);
int run_list(const Command& command, const Words& words);
int run_watch(const Command& command, const Words& words);
int run_addresses(const Command& command, const Words& words);
int run_host_up(const Command& command, const Words& words);
int run_host_down(const Command& command, const Words& words);

// What a subcommand takes beside --help, which all take.
struct Syntax {
  boost::program_options::options_description options{"Options"};
  std::size_t least = 0;  // arguments that are no options
  std::size_t most = 0;
  std::string_view about;  // --help, between the usage line and the options
};

struct Arguments {
  boost::program_options::variables_map options;
  Words rest;  // the arguments that are no options, at least `least`, at most `most`
};

// The error is an exit status: --help was asked for and shown, or the words make no sense, which has been
// said.
std::expected<Arguments, int> parse(const Command& command, const Syntax& syntax, const Words& words);

// The typed values of an option that may be repeated. A bad one is an error about the command line.
template <typename T>
std::expected<std::vector<T>, Error> values(const Arguments& arguments, const char* option) {
  std::vector<T> result;
  if (!arguments.options.count(option)) return result;
  for (const auto& text : arguments.options[option].as<Words>()) {
    auto value = T::parse(text);
    if (!value) return fail(value.error());
    result.push_back(std::move(*value));
  }
  return result;
}

// --connect, of the commands that want names of guests.
void add_connect_option(boost::program_options::options_description& options);
void add_config_option(boost::program_options::options_description& options);
// --connect and --config, of the commands that look at libvirt's guests.
void add_guest_options(boost::program_options::options_description& options);
// The file that --config names. One that was named and is not there is an error; without the default file,
// defaults.
std::expected<Config, Error> config_of(const Arguments& arguments);

// "virt-macvtap: LINE" on stderr, in one line whatever is in it.
void warn(std::string_view line);
void warn(std::span<const std::string> lines);
// Says what went wrong, with a hint where root would have been needed; returns kFailed.
int report(const Error& error);
// Says so, and where help is; returns kUsage.
int misused(std::string_view command, std::string_view why);

}  // namespace vmt::cli
