// SPDX-License-Identifier: LGPL-2.1-or-later
// How does somebody without libvirt get host access: `host up` and `host down`?
#include <boost/program_options/value_semantic.hpp>

#include "helper/cli/change.h"
#include "helper/cli/command.h"

namespace po = boost::program_options;

namespace vmt::cli {
namespace {

constexpr std::string_view kAboutUp =
    R"(Lets the host talk to macvtap guests on PARENT that libvirt does not know. It replaces this recipe,
and the second address for the host that goes with it:

  ip link add macvtap-host link eth0 type macvlan mode bridge
  ip address add 192.168.1.60/32 dev macvtap-host
  ip link set macvtap-host up
  ip route add 192.168.1.61/32 dev macvtap-host

by this line:

  virt-macvtap host up eth0 --guest 192.168.1.61

The guest reaches the host at the host's usual address; with --address at that one. What is there already stays, so
further guests may be added one by one. It is gone after a reboot: put the line into a unit file.
)";

constexpr std::string_view kAboutDown =
    R"(Takes away what `host up` has made: the routes to the guests that are named; or, when none is named, all of them and
the shim, unless guests of libvirt need it.
)";

po::typed_value<Words>* list(const char* name) {
  return po::value<Words>()->value_name(name);
}

std::expected<ManualRequest, Error> request_of(const Arguments& arguments) {
  auto parent = IfName::parse(arguments.rest.front());
  if (!parent) return fail(parent.error());
  auto guests = values<IpAddress>(arguments, "guest");
  if (!guests) return fail(guests.error());
  auto addresses = values<IpPrefix>(arguments, "address");
  if (!addresses) return fail(addresses.error());
  return ManualRequest{.parent = *parent, .guests = *guests, .addresses = *addresses};
}

using Plan = PlanResult (*)(Kernel&, const ManualRequest&);

int run(const Command& command, const Syntax& syntax, const Words& words, Plan plan) {
  const auto arguments = parse(command, syntax, words);
  if (!arguments) return arguments.error();
  const auto request = request_of(*arguments);
  if (!request) return misused(command.name, request.error().message);
  return carry_out([&](Kernel& kernel) { return plan(kernel, *request); }, *arguments);
}

}  // namespace

int run_host_up(const Command& command, const Words& words) {
  Syntax syntax{.least = 1, .most = 1, .about = kAboutUp};
  syntax.options.add_options()("guest", list("ADDRESS"), "a guest's address; may be repeated")(
      "address", list("CIDR"), "a second address for the host, for guests to talk to; one per family");
  add_dry_run_option(syntax.options);
  return run(command, syntax, words, plan_host_up);
}

int run_host_down(const Command& command, const Words& words) {
  Syntax syntax{.least = 1, .most = 1, .about = kAboutDown};
  syntax.options.add_options()("guest", list("ADDRESS"), "a guest's address; may be repeated");
  add_dry_run_option(syntax.options);
  return run(command, syntax, words, plan_host_down);
}

}  // namespace vmt::cli
