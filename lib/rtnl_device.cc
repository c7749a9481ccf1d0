// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/rtnl_device.h"

#include <fmt/core.h>
#include <net/if.h>

#include <algorithm>

#include "lib/algorithm.h"
#include "lib/device_hint.h"
#include "lib/netns.h"
#include "lib/rtnl_device_request.h"
#include "lib/rtnl_monitor.h"
#include "lib/sysctl.h"
#include "lib/tap_node.h"

namespace vmt {
namespace {

Status with_hint(Status status, const std::function<std::string(ErrorKind)>& hint) {
  // Who may not has nothing else to mend.
  if (status || status.error().kind == ErrorKind::kPermission) return status;
  Error error = status.error();
  if (const auto why = hint(error.kind); !why.empty()) error.message += fmt::format(" ({})", why);
  return fail(std::move(error));
}

// Listens where the parent is, which need not be where the caller is.
std::expected<RtnlMonitor, Error> monitor_of(RtnlSocket& socket) {
  const auto netns = socket.netns();
  if (!netns) return fail(netns.error());
  std::expected<RtnlMonitor, Error> monitor = fail(invalid("not opened"));
  const auto status = in_netns(netns->get(), [&]() -> Status {
    monitor = RtnlMonitor::open();
    return {};
  });
  if (!status) return fail(status.error());
  return monitor;
}

using MayPass = std::function<bool(const Error&)>;

bool is_in_use(const Error& error) {
  return error.kind == ErrorKind::kInUse;
}

// What stands in the way may be a device that is just going; the parent tells of each that leaves it.
Status when_possible(RtnlSocket& socket, const std::function<Status()>& attempt, const MayPass& may_pass) {
  auto status = attempt();
  if (status || !may_pass(status.error())) return status;
  auto monitor = monitor_of(socket);
  if (!monitor) return fail(monitor.error());
  const auto deadline = std::chrono::steady_clock::now() + kPatienceWithTheGoing;
  // Once more before the wait: it may have gone before the monitor listened.
  while (!(status = attempt()) && may_pass(status.error()))
    if (!monitor->wait(deadline)) return status;
  return status;
}

// What a change that was carried out by halves has changed so far. The kernel takes mode, MAC, MTU and flags one after
// the other and leaves it at that when one is refused.
ChangeDevice undo_of(const ChangeDevice& change, const LinkAnswer& before) {
  ChangeDevice undo{.index = change.index, .name = change.name, .macvtap = change.macvtap};
  if (change.mac) undo.mac = before.mac;
  if (change.mode) undo.mode = before.mode;
  if (change.mtu) undo.mtu = before.mtu;
  if (change.up) undo.up = (before.flags & IFF_UP) != 0;
  if (change.allmulticast) undo.allmulticast = (before.flags & IFF_ALLMULTI) != 0;
  return undo;
}

std::optional<DeviceUse> use_of(const LinkAnswer& link) {
  if (link.group != kSelfRemovingGroup) return use_of_alias(link.alias);
  const auto user = user_of_name(link.name);
  return user ? std::optional<DeviceUse>(ForUser{*user}) : std::nullopt;
}

void remove(RtnlSocket& socket, unsigned index, bool node_was_there) {
  // What failed is told; that its remains could not be removed either would only hide it.
  if (socket.request(request::delete_link(index), "delete") && !node_was_there) remove_tap_node(index);
}

Status create_once(RtnlSocket& socket, const DeviceSpec& spec, const DeviceUse& use, unsigned index) {
  const bool node_was_there = spec.macvtap && has_tap_node(index);
  if (auto status = create_device_in(socket, spec, index, 0, false); !status) return status;
  const auto complete = [&]() -> Status {
    // The node before the alias: what has an alias has been complete once.
    if (spec.macvtap) {
      if (auto status = disable_ipv6(spec.name); !status) return status;
      if (auto status = prepare_tap_node(spec.name, index, spec.owner, node_was_there); !status) return status;
    }
    const auto message = request::finish_device(index, alias_of(use), spec.up);
    const auto finish = [&] { return socket.request(message, "set up " + spec.name.str()); };
    return with_hint(when_possible(socket, finish, is_in_use),
                     [&](ErrorKind kind) { return why_not_up(socket, spec, kind); });
  };
  auto status = complete();
  if (!status) remove(socket, index, node_was_there);
  return status;
}

}  // namespace

std::expected<LinkAnswer, Error> read_link(RtnlSocket& socket, const NlMsg& query, std::string_view operation) {
  auto answers = socket.collect(query, operation, decode_link);
  if (!answers) return fail(answers.error());
  if (answers->empty())
    return fail(Error{ErrorKind::kFailed, fmt::format("{}: an answer that makes no sense", operation)});
  return answers->front();
}

std::expected<std::vector<LinkAnswer>, Error> read_links(RtnlSocket& socket, const char* kind,
                                                         std::optional<int> nsid) {
  const auto query = nsid ? request::links_of_kind_in(*nsid, kind) : request::links_of_kind(kind);
  auto links = socket.collect(query, fmt::format("list {} links", kind), decode_link);
  // The kernel ignores the filter while no such link has ever existed and the module is not there.
  if (links) std::erase_if(*links, [&](const LinkAnswer& l) { return l.kind != kind; });
  return links;
}

// Linux 6.18 ends the list with the first buffer that is full, without a word: 134 numbers, or some more where the
// reader's buffer is known to be larger (self_removing_test). The kernel hands out the lowest free number, so the rest
// follows closely: each is asked for by itself, until many in a row are free.
std::expected<std::optional<int>, Error> own_nsid(RtnlSocket& socket) {
  const auto netns = socket.netns();
  if (!netns && netns.error().kind != ErrorKind::kPermission) return fail(netns.error());
  if (!netns) return std::nullopt;
  const auto answer = socket.collect(request::nsid_of(netns->get()), "look up a network namespace", decode_nsid);
  if (!answer) return fail(answer.error());
  if (answer->empty() || answer->front() < 0) return std::nullopt;
  return answer->front();
}

std::expected<std::vector<int>, Error> read_nsids(RtnlSocket& socket) {
  constexpr std::size_t kShortestCut = 100;
  constexpr int kFreeInARow = 1024;
  constexpr std::string_view kOperation = "list network namespaces";
  auto nsids = socket.collect(request::nsids(), kOperation, decode_nsid);
  if (!nsids || nsids->size() < kShortestCut) return nsids;
  int last = *std::ranges::max_element(*nsids);
  for (int nsid = last + 1; nsid - last <= kFreeInARow; ++nsid) {
    const auto answer = socket.collect(request::nsid(nsid), kOperation, decode_nsid);
    if (!answer && answer.error().kind != ErrorKind::kNotFound) return fail(answer.error());
    if (!answer) continue;
    nsids->push_back(nsid);
    last = nsid;
  }
  return nsids;
}

std::optional<Child> child_of(const LinkAnswer& link) {
  if (!link.mac || !link.mode) return std::nullopt;
  const bool ours = is_device_group(link.group);
  return Child{.index = link.index,
               .name = link.name,
               .parent = link.lower_nsid ? 0 : link.lower,
               .mac = *link.mac,
               .mode = *link.mode,
               .macvtap = link.kind == "macvtap",
               .up = (link.flags & IFF_UP) != 0,
               .carrier = link.carrier,
               .mtu = link.mtu,
               .allmulticast = (link.flags & IFF_ALLMULTI) != 0,
               .promiscuous = link.promiscuous,
               .bc_queue_length = link.bc_queue_length,
               .allowed = link.allowed,
               .ours = ours,
               .use = ours ? use_of(link) : std::nullopt,
               .nsid = {}};
}

std::expected<std::vector<Child>, Error> children_elsewhere(RtnlSocket& socket) {
  const auto nsids = read_nsids(socket);
  if (!nsids) return fail(nsids.error());
  auto own = own_nsid(socket);
  if (!own) return fail(own.error());
  std::vector<std::pair<int, LinkAnswer>> found;
  for (const int nsid : *nsids)
    for (const char* kind : {"macvtap", "macvlan"}) {
      if (nsid == *own) continue;
      auto links = read_links(socket, kind, nsid);
      if (!links && (links.error().kind == ErrorKind::kPermission || links.error().kind == ErrorKind::kNotNow))
        return fail(links.error());
      if (!links) continue;  // it died since
      for (auto& link : *links) found.emplace_back(nsid, std::move(link));
    }
  if (!*own) own = own_nsid(socket);  // the lists above may just have given us one
  if (!own) return fail(own.error());
  std::vector<Child> children;
  for (const auto& [nsid, link] : found) {
    auto child = child_of(link);
    if (!child) continue;
    // Without a number the parent is in the device's own namespace: a container's business.
    child->parent = link.lower_nsid && link.lower_nsid == *own ? link.lower : 0;
    child->nsid = nsid;
    children.push_back(std::move(*child));
  }
  return children;
}

Status create_device_in(RtnlSocket& socket, const DeviceSpec& spec, unsigned index, pid_t inside, bool up) {
  const auto message = request::new_device(spec, index, inside, up);
  const std::string operation = describe(CreateDevice{spec, Standing{}});
  const auto attempt = [&] { return socket.request(message, operation); };
  const auto may_pass = [&](const Error& error) { return is_in_use(error) || may_be_going(socket, spec, error); };
  return with_hint(when_possible(socket, attempt, may_pass), [&](ErrorKind kind) {
    return kind == ErrorKind::kInUse ? why_not_up(socket, spec, kind) : why_not_created(socket, spec);
  });
}

Status bring_up(RtnlSocket& inside, const IfName& name, unsigned index) {
  return inside.request(request::change_device({.index = index, .name = name, .up = true}), "set up " + name.str());
}

Status create_standing(RtnlSocket& socket, const DeviceSpec& spec, const DeviceUse& use) {
  const unsigned index = spec.index != 0 ? spec.index : unique_index();
  auto status = create_once(socket, spec, use, index);
  if (status || status.error().kind != ErrorKind::kExists) return status;
  const auto present = read_link(socket, request::link_by_name(spec.name), "look up link");
  if (!present) return status;
  const auto child = child_of(*present);
  if (!child || !child->ours || child->use) return status;
  if (auto gone = socket.request(request::delete_link(child->index), "delete unfinished " + spec.name.str()); !gone)
    return gone;
  return create_once(socket, spec, use, index);
}

Status change_device(RtnlSocket& socket, const ChangeDevice& change) {
  const auto before = read_link(socket, request::link_by_index(change.index), describe(change));
  if (!before) return fail(before.error());
  auto status = with_hint(socket.request(request::change_device(change), describe(change)),
                          [&](ErrorKind kind) { return why_not_changed(socket, change, kind); });
  if (status) return status;
  // As in remove(): the first failure is the one to tell of.
  [[maybe_unused]] const auto undone =
      socket.request(request::change_device(undo_of(change, *before)), "undo " + describe(change));
  return status;
}

Status delete_devices(RtnlSocket& socket, std::span<const DeleteDevices::Device> devices) {
  constexpr std::size_t kChunk = 100;  // the kernel's lock is held for some 15 ms
  Status result;
  for (std::size_t first = 0; first < devices.size(); first += kChunk) {
    const std::uint32_t group = kDoomedGroups | (unique_index() & 0x7fff);
    std::vector<unsigned> members;
    for (const auto& device : devices.subspan(first, std::min(kChunk, devices.size() - first))) {
      const auto status = socket.request(request::regroup(device.index, group), "delete " + device.name.str());
      if (status) members.push_back(device.index);
      // Gone already is what was wanted.
      if (!status && status.error().kind != ErrorKind::kNotFound) result = status;
    }
    if (members.empty()) continue;
    if (auto status = socket.request(request::delete_group(group), "delete devices"); !status) {
      result = status;
      continue;
    }
    std::ranges::for_each(members, remove_tap_node);
  }
  return result;
}

}  // namespace vmt
