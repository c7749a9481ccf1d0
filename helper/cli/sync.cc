// SPDX-License-Identifier: LGPL-2.1-or-later
// How do all running guests get what they need, and only that: `plan`, `sync` and `clean`?
#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <set>

#include "helper/cli/change.h"
#include "helper/cli/libvirt_guests.h"
#include "helper/cli/plan_json.h"
#include "lib/devices.h"
#include "lib/rtnl_kernel.h"
#include "lib/tap_holders.h"

namespace vmt::cli {
namespace {

constexpr std::string_view kAboutPlan =
    R"(Shows what `sync` would change for the guests that libvirt runs now. Changes nothing, needs no root.
)";

constexpr std::string_view kAboutSync =
    R"(Compares what virt-macvtap has made with the guests that libvirt runs now; makes what is missing and takes away what
nobody needs. What `host up` has made stays. Without an answer from libvirt it changes nothing.
)";

constexpr std::string_view kAboutClean =
    R"(Takes away everything that virt-macvtap has made on this host, `host up` and `create` included. Running guests keep their
network but lose touch with the host; `sync` gives it back. A macvtap that a process has open stays.
)";

struct Input {
  std::vector<Guest> guests;
  Config config;
};

// Everything that comes from outside the kernel, asked for before the lock is taken.
std::expected<Input, Error> read_input(const Arguments& arguments) {
  auto running = running_guests(arguments.options["connect"].as<std::string>());
  if (!running) return fail(running.error());
  warn(running->notes);
  Input input{.guests = std::move(running->guests), .config = {}};
  // Not the defaults: a typo would take away what the rest of the file gives to running guests.
  auto config = config_of(arguments);
  if (!config) return fail(config.error());
  input.config = std::move(*config);
  return input;
}

// A guest may have started after libvirt was asked and before we had the lock; its hook has made what it
// needs, and a plan that does not know it would take that away again.
Status check_nobody_started(Kernel& kernel, std::span<const Guest> guests) {
  std::set<MacAddress> known;
  for (const auto& guest : guests)
    for (const auto& nic : guest.nics) known.insert(nic.mac);
  const auto owned = kernel.owned(Scope{});
  if (!owned) return fail(owned.error());
  const auto children = kernel.children();
  if (!children) return fail(children.error());
  for (const auto& child : *children) {
    const bool pinned = std::ranges::any_of(owned->neighbours, [&](const auto& n) { return n.mac == child.mac; });
    if (child.macvtap && pinned && !known.contains(child.mac))
      return fail(Error{ErrorKind::kFailed,
                        fmt::format("the guest with {} on {} is not in libvirt's answer; nothing was changed "
                                    "(it may just have started: try again)",
                                    child.mac.str(), child.name.str())});
  }
  return {};
}

PlanResult plan_for(Kernel& kernel, const Input& input) {
  if (auto status = check_nobody_started(kernel, input.guests); !status) return fail(status.error());
  return plan_sync(kernel, input.guests, input.config);
}

PlanResult plan_clean_all(Kernel& kernel) {
  auto planned = plan_clean(kernel);
  if (!planned) return planned;
  const auto holders = TapHolders::scan();
  if (!holders) return fail(holders.error());
  const auto find_holder = [&](const Child& device) -> std::optional<std::string> {
    const auto found = holders->of(device);
    return found.empty() ? std::nullopt : std::optional(describe(found.front()));
  };
  auto devices = plan_clean_devices(kernel, find_holder);
  if (!devices) return devices;
  std::ranges::move(devices->changes, std::back_inserter(planned->changes));
  std::ranges::move(devices->notes, std::back_inserter(planned->notes));
  return planned;
}

}  // namespace

int run_plan(const Command& command, const Words& words) {
  Syntax syntax{.about = kAboutPlan};
  syntax.options.add_options()("json", boost::program_options::bool_switch(), "for programs");
  add_guest_options(syntax.options);
  const auto arguments = parse(command, syntax, words);
  if (!arguments) return arguments.error();
  const auto input = read_input(*arguments);
  if (!input) return report(input.error());
  auto kernel = RtnlKernel::open();
  if (!kernel) return report(kernel.error());
  const auto planned = plan_for(*kernel, *input);
  if (!planned) return report(planned.error());
  if (arguments->options["json"].as<bool>())
    fmt::print("{}\n", plan_json(*planned));
  else
    show_plan(*planned);
  return kFine;
}

int run_sync(const Command& command, const Words& words) {
  Syntax syntax{.about = kAboutSync};
  add_dry_run_option(syntax.options);
  add_guest_options(syntax.options);
  const auto arguments = parse(command, syntax, words);
  if (!arguments) return arguments.error();
  const auto input = read_input(*arguments);
  if (!input) return report(input.error());
  return carry_out([&](Kernel& kernel) { return plan_for(kernel, *input); }, *arguments);
}

int run_clean(const Command& command, const Words& words) {
  Syntax syntax{.about = kAboutClean};
  add_dry_run_option(syntax.options);
  const auto arguments = parse(command, syntax, words);
  if (!arguments) return arguments.error();
  return carry_out(plan_clean_all, *arguments);
}

}  // namespace vmt::cli
