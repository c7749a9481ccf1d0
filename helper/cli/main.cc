// SPDX-License-Identifier: LGPL-2.1-or-later
// Which subcommand do the words on the command line mean?
#include <fmt/core.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <ranges>

#include "helper/cli/command.h"
#include "lib/standard_fds.h"

namespace vmt::cli {
namespace {

constexpr std::array kCommands = {
    Command{"status", "[PARENT] [--json] [--connect URI] [--config FILE]",
            "show parents, shims, guests, and what does not work", run_status},
    Command{"plan", "[--json] [--connect URI] [--config FILE]", "show what `sync` would change", run_plan},
    Command{"sync", "[--dry-run] [--connect URI] [--config FILE]",
            "give all running guests host access, take away what nobody needs", run_sync},
    Command{"clean", "[--dry-run]", "take away everything that virt-macvtap has made", run_clean},
    Command{"watch", "[--config FILE]", "stay, and do all that for every macvtap that comes and goes", run_watch},
    Command{"list", "[PARENT] [--json] [--connect URI]", "show every macvtap and macvlan, and who uses it", run_list},
    Command{"addresses", "[DOMAIN] [--wait SECONDS] [--json] [--connect URI] [--config FILE]",
            "show the guests' addresses, or wait for one", run_addresses},
    Command{"exec", "--nic parent=LINK[,KEY=VALUE]... [--user USER] [--standing] -- COMMAND [ARGUMENT]...",
            "run a VMM with the open tap of a macvtap that goes with it", run_exec},
    Command{"create", "NAME... --parent LINK [OPTION]...", "make macvtaps that stand by themselves", run_create},
    Command{"set", "NAME [OPTION]...", "change one of them", run_set},
    Command{"delete", "NAME... [--dry-run]", "delete them", run_delete},
    Command{"host up", "PARENT [--guest ADDRESS]... [--address CIDR]... [--dry-run]", "host access without libvirt",
            run_host_up},
    Command{"host down", "PARENT [--guest ADDRESS]... [--dry-run]", "undo `host up`", run_host_down},
};

void list_commands(std::FILE* out, std::string_view group) {
  for (const auto& command : kCommands)
    if (command.name.starts_with(group)) fmt::print(out, "  {:<10} {}\n", command.name, command.summary);
}

void show_help(std::FILE* out) {
  fmt::print(out,
             "Usage: virt-macvtap COMMAND [OPTION]...\n\n"
             "Lets the host and its macvtap guests talk to each other.\n\nCommands:\n");
  list_commands(out, "");
  fmt::print(out,
             "\n`virt-macvtap COMMAND --help` tells more about a command; `virt-macvtap --version` the version.\n"
             "Exit status: 0 fine, 1 failed, 2 the command line makes no sense.\n");
}

bool is_help(std::string_view word) {
  return word == "--help" || word == "-h" || word == "help";
}

// Takes the words of the command's name off the front of `words`; nullptr when no command is meant.
const Command* take_command(Words& words) {
  for (const auto& command : kCommands) {
    std::string said;
    for (std::size_t count = 1; count <= 2 && count <= words.size(); ++count) {
      said += (count == 1 ? "" : " ") + words[count - 1];
      if (said != command.name) continue;
      words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(count));
      return &command;
    }
  }
  return nullptr;
}

// "host", the first half of "host up" and "host down"
bool is_group(std::string_view word) {
  return std::ranges::any_of(kCommands, [&](const Command& c) { return c.name.starts_with(fmt::format("{} ", word)); });
}

int run_group(const Words& words) {
  if (words.size() > 1 && is_help(words[1])) {
    fmt::print("Commands:\n");
    list_commands(stdout, words[0] + " ");
    return kFine;
  }
  return misused(words[0],
                 words.size() > 1 ? fmt::format("there is no command '{} {}'", words[0], words[1]) : "which one?");
}

int run(Words words) {
  if (words.empty()) {
    show_help(stderr);
    return kUsage;
  }
  // `help status` and `--help status` are `status --help`.
  if (is_help(words.front())) {
    words.erase(words.begin());
    if (words.empty()) {
      show_help(stdout);
      return kFine;
    }
    words.emplace_back("--help");
  }
  if (words.front() == "--version") {
    fmt::print("virt-macvtap {}\n", VMT_VERSION);
    return kFine;
  }
  if (const Command* command = take_command(words)) return command->run(*command, words);
  if (is_group(words.front())) return run_group(words);
  const bool option = words.front().starts_with('-');
  return misused("", fmt::format("there is no {} '{}'", option ? "option" : "command", words.front()));
}

}  // namespace
}  // namespace vmt::cli

int main(int argc, char** argv) {
  using namespace vmt::cli;
  int status = kFailed;
  if (!vmt::fill_standard_fds()) return status;
  try {
    status = run(Words(argv + (argc > 0 ? 1 : 0), argv + argc));
  } catch (const std::exception& error) {
    warn(error.what());
  }
  // A report that did not arrive (a full disk) is a failure, too.
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  return report(vmt::errno_error(errno, "write to stdout"));
}
