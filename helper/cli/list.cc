// SPDX-License-Identifier: LGPL-2.1-or-later
// Which macvtaps and macvlans are there, whoever made them, and who uses each?
#include "helper/cli/list.h"

#include <fmt/core.h>

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <map>
#include <set>
#include <tuple>

#include "helper/cli/account.h"
#include "helper/cli/command.h"
#include "helper/cli/libvirt_guests.h"
#include "helper/cli/links.h"
#include "lib/algorithm.h"
#include "lib/rtnl_kernel.h"

namespace po = boost::program_options;

namespace vmt::cli {
namespace {

constexpr std::string_view kAbout =
    R"(Shows every macvtap and macvlan on this host, or on PARENT, whoever made it: libvirt, virt-macvtap, a container, you; with
the process that has its tap open. Changes nothing. An ordinary user sees no holders but his own processes and no devices
in other namespaces. Names of guests come from libvirt if it answers.

  virt-macvtap list eth0
  virt-macvtap list --json | jq '.devices[] | select(.holders == [])'
)";

const ForUser* user_of(const Child& link) {
  return link.use ? std::get_if<ForUser>(&*link.use) : nullptr;
}

std::map<uid_t, std::string> users_of(const std::vector<Child>& links) {
  std::set<uid_t> users;
  for (const auto& link : links)
    if (const auto* use = user_of(link)) users.insert(use->user);
  auto names = names_of(users);
  for (const uid_t user : users) names.try_emplace(user, fmt::format("{}", user));
  return names;
}

std::optional<Domain> domain_of(const Child& link, const std::vector<Guest>& guests) {
  const Guest* guest = guest_of(link, guests);
  return guest != nullptr ? std::optional(Domain{guest->name, guest->uuid}) : std::nullopt;
}

// The names of the parents in our namespace, by their ifindex.
std::map<unsigned, IfName> parents_of(Kernel& kernel, const std::vector<Child>& links) {
  std::map<unsigned, IfName> parents;
  for (const auto& link : links) {
    if (link.parent == 0 || parents.contains(link.parent)) continue;
    if (const auto parent = kernel.parent(link.parent)) parents.emplace(link.parent, parent->name);
  }
  return parents;
}

std::expected<std::vector<DeviceStatus>, Error> gather(RtnlKernel& kernel, const std::optional<IfName>& asked,
                                                       const std::vector<Guest>& guests) {
  auto found = all_links(kernel);
  if (!found) return fail(found.error());
  if (!found->complete) warn(kIncomplete);
  std::vector<Child>& links = found->all;
  if (asked) {
    const auto parent = kernel.parent(*asked);
    if (!parent) return fail(parent.error());
    std::erase_if(links, [&](const Child& link) { return link.parent != parent->index; });
  }
  const auto owned = kernel.owned(Scope{});
  if (!owned) return fail(owned.error());
  const auto holders = TapHolders::scan();
  if (!holders) return fail(holders.error());
  const auto parents = parents_of(kernel, links);
  auto users = users_of(links);
  std::vector<DeviceStatus> devices;
  for (const auto& link : links) {
    const auto parent = parents.find(link.parent);
    DeviceStatus device{.link = link, .holders = holders->of(link), .domain = domain_of(link, guests)};
    if (parent != parents.end()) device.parent = parent->second;
    device.shim = !link.nsid && contains(owned->shims, link.index, &Shim::index);
    if (const auto* use = user_of(link)) device.user = users[use->user];
    devices.push_back(std::move(device));
  }
  // The kernel's order is that of the ifindices, and ours are drawn at random.
  const auto place = [](const DeviceStatus& d) { return std::tie(d.link.nsid, d.parent, d.link.name); };
  std::ranges::sort(devices, {}, place);
  return devices;
}

}  // namespace

std::string_view state_of(const DeviceStatus& device) {
  if (!device.link.up) return "down";
  return device.link.carrier ? "up" : "no carrier";
}

unsigned queues_of(const DeviceStatus& device) {
  unsigned most = 0;
  for (const auto& holder : device.holders) most = std::max(most, holder.fds);
  return most;
}

int run_list(const Command& command, const Words& words) {
  Syntax syntax{.most = 1, .about = kAbout};
  syntax.options.add_options()("json", po::bool_switch(), "for programs");
  add_connect_option(syntax.options);
  const auto arguments = parse(command, syntax, words);
  if (!arguments) return arguments.error();
  std::optional<IfName> parent;
  if (!arguments->rest.empty()) {
    auto name = IfName::parse(arguments->rest.front());
    if (!name) return misused(command.name, name.error().message);
    parent = std::move(*name);
  }
  // Without libvirt the list is as good, but for the names of guests.
  const auto running = running_guests(arguments->options["connect"].as<std::string>());
  auto kernel = RtnlKernel::open();
  if (!kernel) return report(kernel.error());
  const auto devices = gather(*kernel, parent, running ? running->guests : std::vector<Guest>{});
  if (!devices) return report(devices.error());
  const bool json = arguments->options["json"].as<bool>();
  fmt::print("{}", json ? list_json(*devices) + "\n" : list_table(*devices));
  return kFine;
}

}  // namespace vmt::cli
