// SPDX-License-Identifier: LGPL-2.1-or-later
// How does somebody without libvirt get host access: `host up` and `host down`?
#include <fmt/core.h>

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>

#include "helper/cli/ask_guests.h"
#include "helper/cli/change.h"
#include "helper/cli/command.h"
#include "helper/cli/links.h"
#include "lib/algorithm.h"
#include "lib/attach_plan.h"

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

A guest that runs is asked for its MAC. Where it does not yet, name it (--guest 192.168.1.61=52:54:00:12:34:56), or call
this again when it does: else the LAN hears the host ask for the guest from the shim's MAC, and may send it there.
)";

constexpr std::string_view kAboutDown =
    R"(Takes away what `host up` has made: the routes to the guests that are named; or, when none is named, all of them and
the shim, unless guests of libvirt need it.
)";

po::typed_value<Words>* list(const char* name) {
  return po::value<Words>()->value_name(name);
}

// ADDRESS or ADDRESS=MAC
struct GuestWord {
  ManualGuest guest;

  static std::expected<GuestWord, Error> parse(std::string_view text) {
    const auto split = text.find('=');
    const auto address = IpAddress::parse(text.substr(0, split));
    if (!address) return fail(address.error());
    if (split == std::string_view::npos) return GuestWord{*address};
    const auto mac = MacAddress::parse(text.substr(split + 1));
    if (!mac) return fail(mac.error());
    return GuestWord{{*address, *mac}};
  }
};

std::expected<ManualRequest, Error> request_of(const Arguments& arguments) {
  auto parent = IfName::parse(arguments.rest.front());
  if (!parent) return fail(parent.error());
  auto guests = values<GuestWord>(arguments, "guest");
  if (!guests) return fail(guests.error());
  auto addresses = values<IpPrefix>(arguments, "address");
  if (!addresses) return fail(addresses.error());
  ManualRequest request{.parent = *parent, .guests = {}, .addresses = *addresses};
  for (const auto& word : *guests) request.guests.push_back(word.guest);
  return request;
}

// `host up`, from the plan to its end.
class HostUp {
 public:
  explicit HostUp(const ManualRequest& request) : request_(request) {}

  PlanResult plan(RtnlKernel& kernel) {
    auto planned = plan_host_up(kernel, request_);
    if (!planned) return planned;
    const auto links = all_links(kernel);
    if (!links) return fail(links.error());
    const auto parent = kernel.parent(request_.parent);
    if (!parent) return fail(parent.error());
    parent_ = parent->index;
    for (const auto& link : links->all)
      if (link.parent == parent_ && link.mode == MacvlanMode::kBridge && link.index != shim_index(parent_))
        guests_.push_back(link.mac);
    return planned;
  }

  // The shim first, as it takes one to ask; and the routes last, so that nothing is sent where nobody is known yet.
  std::vector<Error> apply(Kernel& kernel, std::span<const Change> changes) {
    std::vector<Change> first, routes;
    for (const auto& change : changes) (std::holds_alternative<AddRoute>(change) ? routes : first).push_back(change);
    if (auto errors = apply_all(kernel, first); !errors.empty()) return errors;
    std::vector<Change> found;
    if (auto status = find_guests(kernel, routes, found); !status) warn({status.error().message});
    auto errors = apply_all(kernel, found);
    std::ranges::move(apply_all(kernel, routes), std::back_inserter(errors));
    return errors;
  }

 private:
  Status find_guests(Kernel& kernel, const std::vector<Change>& routes, std::vector<Change>& found) {
    const auto owned = kernel.owned({.parents = std::vector<unsigned>{parent_}, .addresses = std::nullopt});
    if (!owned) return fail(owned.error());
    if (owned->shims.empty()) return {};
    const Shim& shim = owned->shims.front();
    GuestQuestions questions{.shim = shim.index, .shim_mac = shim.mac, .wanted = {}, .guests = guests_};
    const auto want = [&](const IpAddress& guest, const std::optional<IpAddress>& source) {
      if (source && contains(request_.guests, guest, &ManualGuest::address) && !manual_mac(*owned, shim.index, guest))
        questions.wanted.emplace(guest, *source);
    };
    for (const auto& route : owned->routes) want(route.guest, route.source);
    for (const auto& change : routes) want(std::get<AddRoute>(change).guest, std::get<AddRoute>(change).source);
    const auto answers = ask_guests(questions);
    if (!answers) return fail(answers.error());
    for (const auto& [address, mac] : *answers)
      found.push_back(AddNeighbour{.parent = parent_, .guest = address, .mac = mac, .origin = Origin::kManual});
    for (const auto& [address, source] : questions.wanted)
      if (!answers->contains(address))
        warn(
            {fmt::format("{} does not answer on {} yet: call this again when it does, or name its MAC "
                         "(--guest {}=MAC); until then the LAN may take the shim's MAC for the host's",
                         address.str(), request_.parent.str(), address.str())});
    return {};
  }

  const ManualRequest& request_;
  unsigned parent_ = 0;
  std::vector<MacAddress> guests_;  // that can be asked
};

struct Call {
  Arguments arguments;
  ManualRequest request;
};

// The error is the exit status.
std::expected<Call, int> call_of(const Command& command, const Syntax& syntax, const Words& words) {
  auto arguments = parse(command, syntax, words);
  if (!arguments) return std::unexpected(arguments.error());
  auto request = request_of(*arguments);
  if (!request) return std::unexpected(misused(command.name, request.error().message));
  return Call{std::move(*arguments), std::move(*request)};
}

}  // namespace

int run_host_up(const Command& command, const Words& words) {
  Syntax syntax{.least = 1, .most = 1, .about = kAboutUp};
  syntax.options.add_options()("guest", list("ADDRESS[=MAC]"), "a guest's address; may be repeated")(
      "address", list("CIDR"), "a second address for the host, for guests to talk to; one per family");
  add_dry_run_option(syntax.options);
  const auto call = call_of(command, syntax, words);
  if (!call) return call.error();
  HostUp up(call->request);
  return carry_out([&](RtnlKernel& kernel) { return up.plan(kernel); }, call->arguments,
                   [&](Kernel& kernel, std::span<const Change> changes) { return up.apply(kernel, changes); });
}

int run_host_down(const Command& command, const Words& words) {
  Syntax syntax{.least = 1, .most = 1, .about = kAboutDown};
  syntax.options.add_options()("guest", list("ADDRESS"), "a guest's address; may be repeated");
  add_dry_run_option(syntax.options);
  const auto call = call_of(command, syntax, words);
  if (!call) return call.error();
  return carry_out([&](Kernel& kernel) { return plan_host_down(kernel, call->request); }, call->arguments);
}

}  // namespace vmt::cli
