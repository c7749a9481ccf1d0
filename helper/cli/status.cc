// SPDX-License-Identifier: LGPL-2.1-or-later
// What is there, and does it work? What `status` asks libvirt, the configuration and the kernel.
#include "helper/cli/status.h"

#include <fmt/core.h>

#include <boost/program_options/value_semantic.hpp>
#include <fstream>

#include "helper/cli/command.h"
#include "helper/cli/libvirt_guests.h"
#include "lib/watcher_lock.h"

namespace vmt::cli {
namespace {

constexpr std::string_view kAbout =
    R"(Shows each parent that has a shim, a macvtap or a macvlan: who is on it, at which addresses host and guests talk, and what
keeps them from it, with the cure. Changes nothing, needs no root; names of guests come from libvirt if it answers.
)";

int read_arp_ignore() {
  int value = 0;
  std::ifstream("/proc/sys/net/ipv4/conf/all/arp_ignore") >> value;
  return value;
}

// What comes from outside the kernel; none of it is needed for an answer.
void ask_others(const Arguments& arguments, Question& question, HostStatus& host) {
  host.libvirt_uri = arguments.options["connect"].as<std::string>();
  if (auto running = running_guests(host.libvirt_uri)) {
    question.guests = std::move(running->guests);
    host.health = std::move(running->notes);
  } else {
    host.libvirt_error = running.error().message;
  }
  if (auto config = config_of(arguments))
    question.config = std::move(*config);
  else
    host.health.push_back(config.error().message + "; the defaults are used until it is mended");
}

}  // namespace

int run_status(const Command& command, const Words& words) {
  Syntax syntax{.most = 1, .about = kAbout};
  syntax.options.add_options()("json", boost::program_options::bool_switch(), "for programs");
  add_guest_options(syntax.options);
  const auto arguments = parse(command, syntax, words);
  if (!arguments) return arguments.error();
  Question question{.parent = {}, .guests = {}, .config = {}};
  if (!arguments->rest.empty()) {
    auto parent = IfName::parse(arguments->rest.front());
    if (!parent) return misused(command.name, parent.error().message);
    question.parent = std::move(*parent);
  }
  HostStatus host{.libvirt_uri = {},
                  .libvirt_error = {},
                  .watched = running_watcher().has_value(),
                  .arp_ignore = read_arp_ignore(),
                  .parents = {},
                  .health = {}};
  ask_others(*arguments, question, host);
  auto kernel = RtnlKernel::open();
  if (!kernel) return report(kernel.error());
  if (const auto status = gather(*kernel, std::move(question), host); !status) return report(status.error());
  const bool json = arguments->options["json"].as<bool>();
  fmt::print("{}", json ? status_json(host) + "\n" : status_table(host));
  return kFine;
}

}  // namespace vmt::cli
