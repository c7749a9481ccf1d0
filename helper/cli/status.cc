// SPDX-License-Identifier: LGPL-2.1-or-later
// What is there, and does it work? `status` gathers it from the kernel, and the names from libvirt if it
// answers.
#include "helper/cli/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <fstream>
#include <map>
#include <set>

#include "helper/cli/command.h"
#include "helper/cli/libvirt_guests.h"
#include "lib/algorithm.h"
#include "lib/desire.h"
#include "lib/premade.h"
#include "lib/rtnl_kernel.h"
#include "lib/text.h"

namespace vmt::cli {
namespace {

constexpr std::string_view kAbout =
    R"(Shows each parent that has a shim, a macvtap or a macvlan: who is on it, at which addresses host and guests talk, and what
keeps them from it, with the cure. Changes nothing, needs no root; names of guests come from libvirt if it answers.
)";

struct Question {
  std::optional<IfName> parent;
  std::vector<Guest> guests;
  Config config;
};

int read_arp_ignore() {
  int value = 0;
  std::ifstream("/proc/sys/net/ipv4/conf/all/arp_ignore") >> value;
  return value;
}

std::optional<GuestIdentity> identify(const Child& link, const IfName& parent, const Question& question) {
  for (const auto& guest : question.guests) {
    // A pre-made device in passthru mode has its parent's MAC.
    if (!contains(guest.nics, link.mac, &Nic::mac) && !is_premade_of(link, guest)) continue;
    GuestIdentity identity{.name = guest.name, .uuid = guest.uuid, .wants_access = false, .given = {}};
    identity.wants_access = guest.host_access && question.config.host_access_on(parent);
    for (const auto& nic : attachments_of(guest, question.config).nics)
      if (nic.mac == link.mac && nic.parent == parent) identity.given = nic.addresses;
    return identity;
  }
  return std::nullopt;
}

GuestAddress address_of(const IpAddress& address, const Owned& owned, unsigned shim, bool manual) {
  for (const auto& route : owned.routes)
    if (route.guest == address && route.shim == shim && route.manual == manual)
      return {.address = address, .route = true, .source = route.source};
  return {.address = address, .route = false, .source = {}};
}

void add_addresses(const Owned& owned, unsigned shim, ParentStatus& status) {
  for (const auto& neighbour : owned.neighbours) {
    if (neighbour.shim != shim) continue;
    bool taken = false;
    for (auto& guest : status.guests) {
      if (guest.link.mac != neighbour.mac) continue;
      guest.addresses.push_back(address_of(neighbour.guest, owned, shim, false));
      taken = true;
    }
    if (!taken) status.orphans.push_back(neighbour);
  }
  for (const auto& route : owned.routes)
    if (route.shim == shim && route.manual) status.manual.push_back(address_of(route.guest, owned, shim, true));
}

std::vector<std::vector<Child>> conflicts_of(const std::vector<GuestStatus>& guests) {
  std::map<MacAddress, std::vector<Child>> by_mac;
  for (const auto& guest : guests) by_mac[guest.link.mac].push_back(guest.link);
  std::vector<std::vector<Child>> conflicts;
  for (auto& [mac, links] : by_mac)
    if (links.size() > 1) conflicts.push_back(std::move(links));
  return conflicts;
}

ParentStatus describe_parent(Parent parent, const std::vector<Child>& children, const Owned& owned,
                             const Question& question) {
  ParentStatus status{.parent = std::move(parent),
                      .shim = {},
                      .guests = {},
                      .orphans = {},
                      .manual = {},
                      .conflicts = {},
                      .health = {}};
  const auto shim = std::ranges::find(owned.shims, status.parent.index, &Shim::parent);
  if (shim != owned.shims.end()) status.shim = *shim;
  for (const auto& child : children)
    if (child.parent == status.parent.index && !contains(owned.shims, child.index, &Shim::index))
      status.guests.push_back(
          {.link = child, .identity = identify(child, status.parent.name, question), .addresses = {}});
  if (status.shim) add_addresses(owned, status.shim->index, status);
  status.conflicts = conflicts_of(status.guests);
  return status;
}

// The parents to show: the one that was asked for, or each that has a child.
std::expected<std::vector<Parent>, Error> parents_of(Kernel& kernel, const std::vector<Child>& children,
                                                     const Question& question) {
  std::vector<Parent> parents;
  if (question.parent) {
    auto parent = kernel.parent(*question.parent);
    if (!parent) return fail(parent.error());
    parents.push_back(std::move(*parent));
    return parents;
  }
  std::set<unsigned> indices;  // 0: the parent is in another namespace
  for (const auto& child : children)
    if (child.parent != 0) indices.insert(child.parent);
  for (const unsigned index : indices) {
    auto parent = kernel.parent(index);
    if (parent)
      parents.push_back(std::move(*parent));
    else if (parent.error().kind != ErrorKind::kNotFound)  // gone since, together with its children
      return fail(parent.error());
  }
  return parents;
}

// Neither libvirt nor QEMU notices when such a device goes, or is not what the guest takes it for.
std::optional<std::string> trouble_with(const Nic& nic, const PremadeSource& source, const std::optional<Child>& link) {
  const auto& name = source.device.str();
  if (!link)
    return fmt::format("its device {} is gone; {}stop the guest and start it", name,
                       source.wanted ? "" : "make it again, ");
  if (link->mac != nic.mac && link->mode != MacvlanMode::kPassthru)
    return fmt::format(
        "its device {0} has the MAC {1} and takes no frames for the guest's; run `ip link set {0} "
        "address {2}`",
        name, link->mac.str(), nic.mac.str());
  if (!link->up) return fmt::format("its device {0} is down; run `ip link set {0} up`", name);
  return std::nullopt;
}

// What the kernel knows of the devices that <target managed='no'> names.
Status examine_premade(Kernel& kernel, std::vector<Guest>& guests, std::vector<std::string>& findings) {
  for (auto& guest : guests) {
    for (const auto& nic : guest.nics) {
      const auto* source = std::get_if<PremadeSource>(&nic.source);
      if (source == nullptr) continue;
      const auto link = kernel.child(source->device);
      if (!link) return fail(link.error());
      if (!*link && kernel.index_of(source->device)) continue;  // a plain tap
      if (const auto trouble = trouble_with(nic, *source, *link))
        findings.push_back(fmt::format("guest {} ({}): {}", quoted(guest.name), nic.mac.str(), *trouble));
    }
    auto placed = with_placements(kernel, std::move(guest));
    if (!placed) return fail(placed.error());
    guest = std::move(*placed);
  }
  return {};
}

Status gather(Kernel& kernel, Question& question, HostStatus& host) {
  if (auto status = examine_premade(kernel, question.guests, host.health); !status) return status;
  const auto children = kernel.children();
  if (!children) return fail(children.error());
  auto parents = parents_of(kernel, *children, question);
  if (!parents) return fail(parents.error());
  Scope scope{.parents = std::vector<unsigned>{}, .addresses = std::nullopt};
  for (const auto& parent : *parents) scope.parents->push_back(parent.index);
  const auto owned = kernel.owned(scope);
  if (!owned) return fail(owned.error());
  for (auto& parent : *parents) {
    ParentStatus status = describe_parent(std::move(parent), *children, *owned, question);
    status.health = health_of(status, host);
    host.parents.push_back(std::move(status));
  }
  return {};
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
  HostStatus host{.libvirt_uri = {}, .libvirt_error = {}, .arp_ignore = read_arp_ignore(), .parents = {}, .health = {}};
  ask_others(*arguments, question, host);
  auto kernel = RtnlKernel::open();
  if (!kernel) return report(kernel.error());
  if (const auto status = gather(*kernel, question, host); !status) return report(status.error());
  const bool json = arguments->options["json"].as<bool>();
  fmt::print("{}", json ? status_json(host) + "\n" : status_table(host));
  return kFine;
}

}  // namespace vmt::cli
