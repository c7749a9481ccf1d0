// SPDX-License-Identifier: LGPL-2.1-or-later
// How do macvtaps and macvlans that stand by themselves come, change and go: `create`, `set` and `delete`?
#include <fmt/core.h>

#include <boost/program_options/value_semantic.hpp>
#include <set>

#include "helper/cli/change.h"
#include "helper/cli/command.h"
#include "helper/cli/device_options.h"
#include "lib/devices.h"

namespace po = boost::program_options;

namespace vmt::cli {
namespace {

constexpr std::string_view kAboutCreate =
    R"(Makes macvtaps on PARENT that stay until `virt-macvtap delete` (or a reboot). Each gets a random MAC unless one is
given, is up, and is silent towards the LAN as long as no guest has opened it. All of them are made, or none. A macvlan
(--type) is a plain link, for a container or for the host.

  virt-macvtap create tap-web --parent eth0
  virt-macvtap create tap-web --parent eth0 --mac 52:54:00:12:34:56 --owner alice

libvirt takes such a device by <interface type='ethernet'><target dev='tap-web' managed='no'/>, and so can a session of
alice's when --owner names her; QEMU takes it by its node /dev/tapN, N as in /sys/class/net/tap-web/ifindex. The MAC of
the guest's NIC has to be the device's.
)";

constexpr std::string_view kAboutDelete =
    R"(Deletes macvtaps and macvlans that `virt-macvtap create` has made, all at once; others are refused. A guest that has one
open loses its network.

  virt-macvtap delete tap-web tap-db
)";

constexpr std::string_view kAboutSet =
    R"(Changes a macvtap or macvlan that `virt-macvtap create` has made. What is not named stays as it is; when one of several
changes is refused, none is made.

  virt-macvtap set tap-web --mac 52:54:00:12:34:57
  virt-macvtap set tap-web --mode vepa --mtu 1400
)";

void add_create_options(po::options_description& options) {
  options.add_options()("parent", text_option("LINK"), "the network device they are on (needed)")(
      "type", text_option("KIND"), "macvtap (the default), or macvlan, which has no tap")(
      "mode", text_option("MODE"), "bridge (the default), vepa, private, passthru or source")(
      "nopromisc", po::bool_switch(), "passthru: do not let the parent take every frame")(
      "allow-mac", list_option("MAC"), "source: whose frames it gets; may be repeated")(
      "mac", text_option("MAC"), "of the one device that is named; random by default")(
      "mtu", text_option("BYTES"), "the parent's by default, and at most")(
      "bcqueuelen", text_option("FRAMES"), "broadcasts the parent may hold for its devices; 1000 by default")(
      "owner", text_option("USER[:GROUP]"), "who may open the node in /dev besides root")("down", po::bool_switch(),
                                                                                          "do not set them up");
  add_dry_run_option(options);
}

void add_set_options(po::options_description& options) {
  options.add_options()("mac", text_option("MAC"), "its MAC")(
      "mode", text_option("MODE"), "bridge, vepa, private or source; passthru cannot be changed, nor changed to")(
      "mtu", text_option("BYTES"), "at most the parent's")("up", po::bool_switch(), "set it up")(
      "down", po::bool_switch(), "set it down")("allmulticast", text_option("on|off"),
                                                "take all multicast frames; without, a guest gets no IPv6");
  add_dry_run_option(options);
}

// What all the devices of one call have in common.
std::expected<DeviceSpec, Error> template_of(const Arguments& arguments, const IfName& name) {
  const auto parent = option<IfName>(arguments, "parent");
  const auto mode = mode_option(arguments);
  const auto kind = choice_option(arguments, "type", "macvtap", "macvlan");
  const auto mac = option<MacAddress>(arguments, "mac");
  const auto mtu = number_option(arguments, "mtu");
  const auto queue = number_option(arguments, "bcqueuelen");
  const auto allowed = values<MacAddress>(arguments, "allow-mac");
  const auto owner = owner_option(arguments);
  if (auto error = first_error(parent, mode, kind, mac, mtu, queue, allowed, owner)) return fail(std::move(*error));
  if (!*parent) return fail(invalid("--parent is missing"));
  return DeviceSpec{.macvtap = kind->value_or(true),
                    .name = name,
                    .parent_name = **parent,
                    .mode = mode->value_or(MacvlanMode::kBridge),
                    .mac = *mac,
                    .mtu = *mtu,
                    .bc_queue_length = *queue,
                    .promiscuous = !arguments.options["nopromisc"].as<bool>(),
                    .allowed = *allowed,
                    .up = !arguments.options["down"].as<bool>(),
                    .owner = *owner};
}

std::expected<std::vector<DeviceSpec>, Error> specs_of(const Arguments& arguments) {
  const auto names = names_of(arguments);
  if (!names) return fail(names.error());
  const auto common = template_of(arguments, names->front());
  if (!common) return fail(common.error());
  if (common->mac && names->size() > 1) return fail(invalid("--mac is for one device, and several are named"));
  const auto indices = unique_indices(names->size());
  std::vector<DeviceSpec> specs;
  for (std::size_t i = 0; i < names->size(); ++i) {
    DeviceSpec spec = *common;
    spec.name = (*names)[i];
    spec.index = indices[i];
    if (!spec.mac && spec.mode != MacvlanMode::kPassthru) spec.mac = random_mac();
    if (auto status = check(spec); !status) return fail(status.error());
    specs.push_back(std::move(spec));
  }
  return specs;
}

std::expected<ChangeDevice, Error> change_of(const Arguments& arguments) {
  const auto names = names_of(arguments);
  const auto mac = option<MacAddress>(arguments, "mac");
  const auto mode = mode_option(arguments);
  const auto mtu = number_option(arguments, "mtu");
  const auto allmulticast = choice_option(arguments, "allmulticast", "on", "off");
  if (auto error = first_error(names, mac, mode, mtu, allmulticast)) return fail(std::move(*error));
  const bool up = arguments.options["up"].as<bool>();
  const bool down = arguments.options["down"].as<bool>();
  if (up && down) return fail(invalid("--up and --down exclude each other"));
  if (!*mac && !*mode && !*mtu && !*allmulticast && !up && !down) return fail(invalid("what is to change?"));
  return ChangeDevice{.name = names->front(),
                      .mac = *mac,
                      .mode = *mode,
                      .mtu = *mtu,
                      .up = up || down ? std::optional(up) : std::nullopt,
                      .allmulticast = *allmulticast};
}

}  // namespace

int run_create(const Command& command, const Words& words) {
  Syntax syntax{.least = 1, .most = kManyNames, .about = kAboutCreate};
  add_create_options(syntax.options);
  const auto arguments = parse(command, syntax, words);
  if (!arguments) return arguments.error();
  const auto specs = specs_of(*arguments);
  if (!specs) return refused(command, specs.error());
  return carry_out([&](Kernel& kernel) { return plan_create(kernel, *specs); }, *arguments, create_all_or_none);
}

int run_delete(const Command& command, const Words& words) {
  Syntax syntax{.least = 1, .most = kManyNames, .about = kAboutDelete};
  add_dry_run_option(syntax.options);
  const auto arguments = parse(command, syntax, words);
  if (!arguments) return arguments.error();
  const auto names = names_of(*arguments);
  if (!names) return refused(command, names.error());
  return carry_out([&](Kernel& kernel) { return plan_delete(kernel, *names); }, *arguments);
}

int run_set(const Command& command, const Words& words) {
  Syntax syntax{.least = 1, .most = 1, .about = kAboutSet};
  add_set_options(syntax.options);
  const auto arguments = parse(command, syntax, words);
  if (!arguments) return arguments.error();
  const auto change = change_of(*arguments);
  if (!change) return refused(command, change.error());
  return carry_out([&](Kernel& kernel) { return plan_change(kernel, *change); }, *arguments);
}

}  // namespace vmt::cli
