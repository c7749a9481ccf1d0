// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/rtnl_device.h"

#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>

#include "lib/algorithm.h"
#include "lib/device_hint.h"
#include "lib/rtnl_device_request.h"
#include "lib/sysctl.h"
#include "lib/tap_node.h"

namespace vmt {
namespace {

Status with_hint(Status status, const std::function<std::string()>& hint) {
  if (status) return status;
  Error error = status.error();
  if (const auto why = hint(); !why.empty()) error.message += fmt::format(" ({})", why);
  return fail(std::move(error));
}

// A MAC is free again when its device has gone down; the parent tells of a device that leaves it.
Status finish_when_mac_is_free(RtnlSocket& inside, RtnlMonitor& changes, const NlMsg& message,
                               std::string_view operation) {
  auto status = inside.request(message, operation);
  if (status || status.error().kind != ErrorKind::kInUse) return status;
  if (auto listening = changes.listen(); !listening) return listening;
  const auto deadline = std::chrono::steady_clock::now() + kMacPatience;
  // Once more before the wait: it may have become free before the monitor listened.
  while (!(status = inside.request(message, operation)) && status.error().kind == ErrorKind::kInUse)
    if (!changes.wait_for_link_event(deadline)) return status;
  return status;
}

void remove(RtnlSocket& socket, unsigned index) {
  // What failed is told; that its remains could not be removed either would only hide it.
  [[maybe_unused]] const auto status = socket.request(request::delete_link(index), "delete");
}

Status create_once(RtnlSocket& socket, const DeviceSpec& spec, const DeviceUse& use, unsigned index) {
  if (auto status = create_device(socket, spec, index, -1); !status) return status;
  const auto complete = [&]() -> Status {
    if (auto status = disable_ipv6(spec.name); !status) return status;
    if (auto status = socket.request(request::no_arp_answers(index), "set up " + spec.name.str()); !status)
      return status;
    // The node before the alias: what has an alias has been complete once.
    if (spec.macvtap)
      if (auto status = prepare_tap_node(spec.name, index, spec.owner); !status) return status;
    auto changes = RtnlMonitor::open();
    if (!changes) return fail(changes.error());
    return finish_device(socket, socket, *changes, spec, index, use);
  };
  auto status = complete();
  if (!status) remove(socket, index);
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

std::expected<std::vector<int>, Error> read_nsids(RtnlSocket& socket) {
  auto nsids = socket.collect(request::nsids(), "list network namespaces", decode_nsid);
  // Linux 6.18 ends this list with its first message, after 134 numbers (TapHelperTest.TwoHundred...). The rest is
  // asked for one by one: the lowest free number is given first, so gaps are short.
  constexpr std::size_t kSurelyWhole = 128;
  constexpr int kLongestGap = 1024;
  if (!nsids || nsids->size() < kSurelyWhole) return nsids;
  int number = std::ranges::max(*nsids);
  for (int misses = 0; misses < kLongestGap; ++misses) {
    const auto found = socket.collect(request::nsid(++number), "look up a network namespace", decode_nsid);
    if (!found || found->empty()) continue;
    nsids->push_back(number);
    misses = -1;
  }
  return nsids;
}

std::optional<Child> child_of(const LinkAnswer& link, std::optional<int> nsid) {
  if (!link.mac || !link.mode) return std::nullopt;
  const bool ours = is_device_group(link.group);
  return Child{.index = link.index,
               .name = link.name,
               // From a foreign namespace's list: a parent that counts in ours.
               .parent = link.lower_nsid && !nsid ? 0 : link.lower,
               .mac = *link.mac,
               .mode = *link.mode,
               .macvtap = link.kind == "macvtap",
               .up = (link.flags & IFF_UP) != 0,
               .carrier = link.carrier,
               .mtu = link.mtu,
               .allmulticast = (link.flags & IFF_ALLMULTI) != 0,
               .ours = ours,
               .use = ours ? use_of_alias(link.alias) : std::nullopt,
               .nsid = nsid};
}

std::expected<std::vector<Child>, Error> children_elsewhere(RtnlSocket& socket) {
  const auto nsids = read_nsids(socket);
  if (!nsids) return fail(nsids.error());
  std::vector<Child> children;
  for (const int nsid : *nsids)
    for (const char* kind : {"macvtap", "macvlan"}) {
      const auto links = read_links(socket, kind, nsid);
      if (!links && links.error().kind == ErrorKind::kPermission) return fail(links.error());
      if (!links) continue;  // it died since
      // One whose parent is beside it is no child of a link here. The kernel may have numbered this namespace, too.
      for (const auto& link : *links)
        if (auto child = child_of(link, nsid); child && link.lower_nsid) children.push_back(std::move(*child));
    }
  return children;
}

Status create_device(RtnlSocket& socket, const DeviceSpec& spec, unsigned index, int netns) {
  const std::string operation = describe(CreateDevice{spec, Standing{}});
  return with_hint(socket.request(request::new_device(spec, index, netns), operation),
                   [&] { return why_not_created(socket, spec); });
}

Status finish_device(RtnlSocket& socket, RtnlSocket& inside, RtnlMonitor& changes, const DeviceSpec& spec,
                     unsigned index, const DeviceUse& use) {
  const auto message = request::finish_device(index, alias_of(use), spec.up);
  return with_hint(finish_when_mac_is_free(inside, changes, message, fmt::format("set up {}", spec.name.str())),
                   [&] { return why_not_up(socket, spec); });
}

Status create_standing(RtnlSocket& socket, const DeviceSpec& spec, const DeviceUse& use) {
  auto status = create_once(socket, spec, use, unique_index());
  if (status || status.error().kind != ErrorKind::kExists) return status;
  const auto present = read_link(socket, request::link_by_name(spec.name), "look up link");
  if (!present) return status;
  const auto child = child_of(*present);
  if (!child || !child->ours || child->use) return status;
  if (auto gone = socket.request(request::delete_link(child->index), "delete unfinished " + spec.name.str()); !gone)
    return gone;
  return create_once(socket, spec, use, unique_index());
}

Status change_device(RtnlSocket& socket, const ChangeDevice& change) {
  return with_hint(socket.request(request::change_device(change), describe(change)),
                   [&] { return why_not_changed(socket, change); });
}

Status delete_devices(RtnlSocket& socket, std::span<const DeleteDevices::Device> devices) {
  constexpr std::size_t kChunk = 100;  // the kernel's lock is held for some 15 ms
  Status result;
  for (std::size_t first = 0; first < devices.size(); first += kChunk) {
    const std::uint32_t group = kDoomedGroups | (unique_index() & 0x7fff);
    std::size_t members = 0;
    for (const auto& device : devices.subspan(first, std::min(kChunk, devices.size() - first))) {
      const auto status = socket.request(request::regroup(device.index, group), "delete " + device.name.str());
      if (status) ++members;
      // Gone already is what was wanted.
      if (!status && status.error().kind != ErrorKind::kNotFound) result = status;
    }
    if (members == 0) continue;
    if (auto status = socket.request(request::delete_group(group), "delete devices"); !status) result = status;
  }
  return result;
}

}  // namespace vmt
