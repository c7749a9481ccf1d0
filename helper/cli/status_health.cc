// SPDX-License-Identifier: LGPL-2.1-or-later
// What keeps host and guests from talking, and what is the cure?
#include <fmt/core.h>

#include <algorithm>

#include "helper/cli/status.h"
#include "lib/algorithm.h"
#include "lib/desire.h"
#include "lib/text.h"

namespace vmt::cli {
namespace {

constexpr std::string_view kSync = "run `virt-macvtap sync`";
constexpr std::string_view kWatch =
    "start the watcher, which learns them (`systemctl start virt-macvtap-watch`, or `virt-macvtap watch`)";

bool has_family(const auto& prefixes, bool v4) {
  return std::ranges::any_of(prefixes, [&](const IpPrefix& p) { return p.address.is_v4() == v4; });
}

std::string label(const GuestStatus& guest) {
  const std::string who = guest.identity ? quoted(guest.identity->name) : "of unknown name";
  const std::string where = guest.link.nsid ? fmt::format(" in namespace {}", *guest.link.nsid) : std::string{};
  return fmt::format("guest {} ({} on {}{})", who, guest.link.mac.str(), guest.link.name.str(), where);
}

class Doctor {
 public:
  Doctor(const ParentStatus& status, const HostStatus& host) : status_(status), host_(host) {}

  std::vector<std::string> examine() && {
    examine_parent();
    if (status_.shim) examine_shim(*status_.shim);
    for (const auto& guest : status_.guests) examine_guest(guest);
    for (const auto& address : status_.manual) examine_source("`host up`", address);
    // Without root, its MAC may be on a link that we do not see.
    for (const auto& orphan : host_.complete ? status_.orphans : std::vector<GuestNeighbour>{})
      say("address {} is set up for {}, which no link on {} has any more; {}", orphan.guest.str(), orphan.mac.str(),
          name(), kSync);
    for (const auto& links : status_.conflicts) examine_conflict(links);
    return std::move(findings_);
  }

 private:
  template <typename... Values>
  void say(fmt::format_string<Values...> format, Values&&... values) {
    findings_.push_back(fmt::format(format, std::forward<Values>(values)...));
  }

  const std::string& name() const { return status_.parent.name.str(); }

  void examine_parent() {
    const Parent& parent = status_.parent;
    if (!parent.up)
      say("parent {0} is down: host and guests cannot talk; run `ip link set {0} up`", name());
    else if (!parent.carrier)
      say("parent {} has no carrier: host and guests cannot talk until it has (macvlan's own limit); plug "
          "the cable in",
          name());
    if (parent.wireless)
      say("parent {} is wireless: access points drop frames with a guest's MAC, so guests may reach the host "
          "only; "
          "use a wired parent",
          name());
    if (!status_.shim) return;
    std::vector<IpPrefix> prefixes;
    for (const auto& address : parent.addresses) prefixes.push_back(address.prefix);
    for (const bool v4 : {true, false})
      if (!has_family(prefixes, v4))
        say("parent {0} has no {1} address: host and guests cannot talk {1}; give {0} one, then {2}", name(),
            v4 ? "IPv4" : "IPv6", kSync);
  }

  void examine_shim(const Shim& shim) {
    if (shim.role == ShimRole::kUnfinished)
      say("shim {} is unfinished: whoever made it was interrupted; {}", shim.name.str(), kSync);
    else if (!shim.configured)
      say("shim {} is not as virt-macvtap has left it (down, another mode, or a changed setting); {}", shim.name.str(),
          kSync);
    if (shim.role != ShimRole::kUnfinished)
      for (const auto& address : shim_for(status_.parent, shim.role, shim.addresses).proxied)
        if (!contains(shim.proxied, address))
          say("shim {} does not answer guests that look for {}; {}", shim.name.str(), address.str(), kSync);
    if (host_.arp_ignore > 0 && !has_family(shim.addresses, true))
      say("net.ipv4.conf.all.arp_ignore is {}: the kernel answers guests no ARP on {}, which borrows the "
          "host's address; set "
          "it to 0, or give the shim an address of its own (`address` under [parent {}] in the "
          "configuration, or `virt-macvtap "
          "host up --address`)",
          host_.arp_ignore, shim.name.str(), name());
  }

  void examine_guest(const GuestStatus& guest) {
    if (!guest.wants_access) return;
    for (const auto& address : guest.addresses) examine_source(label(guest), address);
    // A macvlan is somebody's own link in this host's namespaces, not a guest that waits for us.
    if (!guest.link.macvtap) return;
    if (guest.link.mode != MacvlanMode::kBridge) {
      say("{}: no host access in mode {}; use mode='bridge'", label(guest), to_string(guest.link.mode));
    } else if (!status_.shim && guest.identity) {
      say("{}: no host access, as {} has no shim; {}", label(guest), name(), kSync);
    } else if (!status_.shim) {
      say("{}: no host access, as {} has no shim; {}, or for a guest without libvirt start the watcher (`systemctl "
          "start "
          "virt-macvtap-watch`) or run `virt-macvtap host up {} --guest ADDRESS`",
          label(guest), name(), kSync, name());
    } else {
      examine_addresses(guest);
    }
  }

  void examine_addresses(const GuestStatus& guest) {
    // `host up` has made its route without knowing its MAC.
    const bool by_hand = !guest.identity && !status_.manual.empty();
    if (guest.given.empty() && guest.addresses.empty() && !by_hand) say_unknown(guest);
    for (const auto& address : guest.given)
      if (!contains(guest.addresses, address, &GuestAddress::address))
        say("{}: address {} is given but not set up; {}, or see `virt-macvtap plan` for why it is refused",
            label(guest), address.str(), kSync);
  }

  void say_unknown(const GuestStatus& guest) {
    if (!guest.may_learn)
      say("{}: its addresses are not known, and the configuration forbids to learn them; write them into the domain's "
          "<metadata> or the configuration, then {}",
          label(guest), kSync);
    else if (host_.watched)
      say("{}: its addresses are not known: it has not been heard yet", label(guest));
    else
      say("{}: its addresses are not known; {}, or write them into the domain's <metadata> or the configuration, then "
          "{}",
          label(guest), kWatch, kSync);
  }

  void examine_source(std::string_view whose, const GuestAddress& address) {
    switch (route_trouble(address, status_)) {
      case RouteTrouble::kNoRoute:
        return say("{}: no route to {}; {}", whose, address.address.str(), kSync);
      case RouteTrouble::kNoSource:
        return say("{}: the route to {} has lost its source; {}", whose, address.address.str(), kSync);
      case RouteTrouble::kForeignSource:
        return say("{}: the route to {} has the source {}, which {} no longer has; {}", whose, address.address.str(),
                   address.source->str(), name(), kSync);
      case RouteTrouble::kNone:
        break;
    }
  }

  void examine_conflict(const std::vector<Child>& links) {
    std::string names;
    for (const auto& link : links) names += (names.empty() ? "" : ", ") + link.name.str();
    say("links {} on {} have the same MAC {}: only one of them can be up; give each its own", names, name(),
        links.front().mac.str());
  }

  const ParentStatus& status_;
  const HostStatus& host_;
  std::vector<std::string> findings_;
};

}  // namespace

RouteTrouble route_trouble(const GuestAddress& address, const ParentStatus& status) {
  if (!address.route) return RouteTrouble::kNoRoute;
  // What the kernel makes of an IPv6 route when its source goes.
  if (!address.source) return RouteTrouble::kNoSource;
  // Every address that the host can talk to a guest from.
  const auto is = [&](const IpPrefix& p) { return p.address == *address.source; };
  const bool is_hosts = std::ranges::any_of(status.parent.addresses, is, &HostAddress::prefix) ||
                        (status.shim && std::ranges::any_of(status.shim->addresses, is));
  return is_hosts ? RouteTrouble::kNone : RouteTrouble::kForeignSource;
}

std::string_view address_state(const GuestAddress& address, const Child* link, const ParentStatus& status) {
  if (!status.parent.up || (link != nullptr && !link->up)) return "down";
  if (!status.parent.carrier) return "no carrier";
  if (status.shim && (status.shim->role == ShimRole::kUnfinished || !status.shim->configured)) return "needs sync";
  switch (route_trouble(address, status)) {
    case RouteTrouble::kNoRoute:
      return "no route";
    case RouteTrouble::kNoSource:
      return "no source";
    case RouteTrouble::kForeignSource:
      return "old source";
    case RouteTrouble::kNone:
      break;
  }
  return "ok";
}

std::vector<std::string> health_of(const ParentStatus& status, const HostStatus& host) {
  return Doctor(status, host).examine();
}

}  // namespace vmt::cli
