// SPDX-License-Identifier: LGPL-2.1-or-later
// How do all running guests get what they need, and only that: `plan`, `sync` and `clean`?
#include <fmt/core.h>

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <memory>
#include <set>

#include "helper/cli/change.h"
#include "helper/cli/libvirt_guests.h"
#include "helper/cli/links.h"
#include "helper/cli/plan_json.h"
#include "lib/algorithm.h"
#include "lib/devices.h"
#include "lib/rtnl_kernel.h"
#include "lib/tap_holders.h"
#include "lib/watcher_lock.h"

namespace vmt::cli {
namespace {

constexpr std::string_view kAboutPlan =
    R"(Shows what `sync` would change for the guests that libvirt runs now. Changes nothing, needs no root.
)";

constexpr std::string_view kAboutSync =
    R"(Compares what virt-macvtap has made with the guests that libvirt runs now; makes what is missing and takes away what
nobody needs, the devices of guests that no longer run, or have no NIC for them any more, among it. What `host up` has
made stays. Without an answer from libvirt it changes nothing.
)";

constexpr std::string_view kAboutClean =
    R"(Takes away everything that virt-macvtap has made on this host, `host up` and `create` included. Running guests keep their
network but lose touch with the host; `sync` gives it back. A macvtap that a process has open stays.
)";

struct Input {
  std::vector<unsigned> devices;  // ifindices of ours, before libvirt was asked
  std::vector<Guest> guests;
  Config config;
};

std::expected<std::vector<unsigned>, Error> read_devices() {
  auto kernel = RtnlKernel::open();
  if (!kernel) return fail(kernel.error());
  const auto children = kernel->children();
  if (!children) return fail(children.error());
  std::vector<unsigned> devices;
  for (const auto& child : *children)
    if (child.ours) devices.push_back(child.index);
  return devices;
}

// What is asked for before the lock is taken.
std::expected<Input, Error> read_input(const Arguments& arguments) {
  auto devices = read_devices();
  if (!devices) return fail(devices.error());
  auto running = running_guests(arguments.options["connect"].as<std::string>());
  if (!running) return fail(running.error());
  warn(running->notes);
  Input input{.devices = std::move(*devices), .guests = std::move(running->guests), .config = {}};
  // Not the defaults: a typo would take away what the rest of the file gives to running guests.
  auto config = config_of(arguments);
  if (!config) return fail(config.error());
  input.config = std::move(*config);
  return input;
}

// One look through /proc serves a whole plan.
std::expected<FindHolder, Error> scan_holders() {
  auto holders = TapHolders::scan();
  if (!holders) return fail(holders.error());
  const auto shared = std::make_shared<TapHolders>(std::move(*holders));
  return [shared](const Child& device) -> std::optional<std::string> {
    const auto found = shared->of(device);
    return found.empty() ? std::nullopt : std::optional(describe(found.front()));
  };
}

PlanResult plan_stale(Kernel& kernel, const Input& input) {
  if (input.devices.empty()) return Planned{};
  const auto find_holder = scan_holders();
  if (!find_holder) return fail(find_holder.error());
  return plan_stale_devices(kernel, input.guests, input.devices, *find_holder);
}

bool goes(const Child& child, const Planned& stale) {
  return std::ranges::any_of(stale.changes, [&](const Change& change) {
    const auto* deletion = std::get_if<DeleteDevices>(&change);
    return deletion != nullptr && contains(deletion->devices, child.index, &DeleteDevices::Device::index);
  });
}

// A guest may have started after libvirt was asked and before we had the lock; its hook has made what it
// needs, and a plan that does not know it would take that away again.
Status check_nobody_started(Kernel& kernel, const Input& input, const Planned& stale) {
  std::set<MacAddress> known;
  for (const auto& guest : input.guests)
    for (const auto& nic : guest.nics) known.insert(nic.mac);
  const auto owned = kernel.owned(Scope{});
  if (!owned) return fail(owned.error());
  const auto children = kernel.children();
  if (!children) return fail(children.error());
  const auto nics = input.config.nics();
  for (const auto& child : *children) {
    // The watcher pins what it learns, and what the configuration gives, for guests that libvirt does not know, too.
    const auto written = nics.find(child.mac);
    const auto configured = written == nics.end() ? std::vector<IpAddress>{} : written->second.given;
    const bool pinned = std::ranges::any_of(owned->neighbours, [&](const GuestNeighbour& n) {
      return n.mac == child.mac && n.origin == Origin::kGiven && !contains(configured, n.guest);
    });
    if (child.macvtap && pinned && !known.contains(child.mac) && !goes(child, stale))
      return fail(Error{ErrorKind::kFailed,
                        fmt::format("the guest with {} on {} is not in libvirt's answer; nothing was changed "
                                    "(it may just have started: try again)",
                                    child.mac.str(), child.name.str())});
  }
  return {};
}

PlanResult plan_for(RtnlKernel& kernel, const Input& input) {
  const auto stale = plan_stale(kernel, input);
  if (!stale) return fail(stale.error());
  if (auto status = check_nobody_started(kernel, input, *stale); !status) return fail(status.error());
  auto links = all_links(kernel);
  if (!links) return fail(links.error());
  std::erase_if(links->all, [&](const Child& child) { return !child.nsid && goes(child, *stale); });
  auto planned = plan_sync(kernel, input.guests, input.config, links->all);
  if (!planned) return planned;
  if (!links->complete) planned->notes.emplace_back(kIncomplete);
  std::ranges::copy(stale->changes, std::back_inserter(planned->changes));
  std::ranges::copy(stale->notes, std::back_inserter(planned->notes));
  return planned;
}

PlanResult plan_clean_all(Kernel& kernel) {
  auto planned = plan_clean(kernel);
  if (!planned) return planned;
  const auto find_holder = scan_holders();
  if (!find_holder) return fail(find_holder.error());
  auto devices = plan_clean_devices(kernel, *find_holder);
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
  return carry_out([&](RtnlKernel& kernel) { return plan_for(kernel, *input); }, *arguments);
}

int run_clean(const Command& command, const Words& words) {
  Syntax syntax{.about = kAboutClean};
  add_dry_run_option(syntax.options);
  const auto arguments = parse(command, syntax, words);
  if (!arguments) return arguments.error();
  if (const auto pid = running_watcher())
    warn(
        fmt::format("the watcher (PID {}) makes again what guests need; stop it first: systemctl stop "
                    "virt-macvtap-watch",
                    *pid));
  return carry_out(plan_clean_all, *arguments);
}

}  // namespace vmt::cli
