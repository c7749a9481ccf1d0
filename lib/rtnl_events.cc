// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/rtnl_events.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "lib/rtnl_decode.h"
#include "lib/rtnl_device.h"
#include "lib/rtnl_filter.h"

namespace vmt {
namespace {

constexpr int kGroups[] = {RTNLGRP_LINK,        RTNLGRP_NEIGH,      RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE,
                           RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE, RTNLGRP_NSID};
// A link with all its attributes needs 2 KiB; what does not fit counts as lost.
constexpr std::size_t kMostBytes = 32 * 1024;
// Of one take(): a flood must not keep the caller from its other sources.
constexpr int kMostMessages = 4096;

template <typename Value>
bool set_option(int socket, int level, int option, Value value) {
  return setsockopt(socket, level, option, &value, sizeof value) == 0;
}

struct Received {
  std::size_t size = 0;
  std::optional<int> nsid;  // of the namespace that it comes from, its own included when that has a number
  bool truncated = false;
  bool by_kernel = false;
};

std::optional<int> nsid_of(msghdr& message) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != SOL_NETLINK || control->cmsg_type != NETLINK_LISTEN_ALL_NSID) continue;
    int nsid = 0;
    std::memcpy(&nsid, CMSG_DATA(control), sizeof nsid);
    return nsid;
  }
  return std::nullopt;
}

// The error is an errno.
std::expected<Received, int> receive(int socket, std::span<char> buffer) {
  sockaddr_nl sender{};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int)) * 2];
  iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
  msghdr message{};
  message.msg_name = &sender;
  message.msg_namelen = sizeof sender;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t size = recvmsg(socket, &message, 0);
  if (size < 0) return std::unexpected(errno);
  return Received{.size = static_cast<std::size_t>(size),
                  .nsid = nsid_of(message),
                  .truncated = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0,
                  .by_kernel = sender.nl_pid == 0};
}

bool is_link(const nlmsghdr* message) {
  return message->nlmsg_type == RTM_NEWLINK || message->nlmsg_type == RTM_DELLINK;
}

std::optional<Event> link_event(nlmsghdr* message, std::optional<int> elsewhere) {
  const auto link = decode_link(message);
  if (!link) return std::nullopt;
  const bool child = link->kind == "macvlan" || link->kind == "macvtap";
  const bool lower_with_it = !link->lower_nsid;
  if (elsewhere && (!child || lower_with_it)) return std::nullopt;
  return Event{.kind = Event::Kind::kLink,
               .child = child,
               .link = link->index,
               .lower = elsewhere.has_value() != lower_with_it ? link->lower : 0,
               .nsid = elsewhere,
               .mac = link->mac};
}

std::optional<Event> address_event(nlmsghdr* message) {
  const auto answer = decode_address(message);
  if (!answer) return std::nullopt;
  return Event{.kind = Event::Kind::kAddress, .link = answer->device, .address = answer->prefix};
}

std::optional<Event> route_event(nlmsghdr* message) {
  const auto answer = decode_route(message);
  if (!answer) return std::nullopt;
  return Event{.kind = Event::Kind::kRoute,
               .protocol = answer->route.protocol,
               .link = answer->route.device,
               .address = answer->route.destination};
}

std::optional<Event> neighbour_event(nlmsghdr* message) {
  const auto answer = decode_neighbour(message);
  if (!answer) return std::nullopt;
  return Event{.kind = Event::Kind::kNeighbour,
               .protocol = answer->protocol,
               .state = static_cast<std::uint16_t>(answer->state),
               .link = answer->device,
               .address = IpPrefix{answer->address, answer->address.bits()},
               .mac = answer->mac};
}

std::optional<Event> namespace_event(nlmsghdr* message) {
  const auto nsid = decode_nsid(message);
  if (!nsid) return std::nullopt;
  return Event{.kind = Event::Kind::kNamespace, .nsid = nsid};
}

// `elsewhere` is the namespace of the message, nullopt for our own. The filter has dropped what is of no use.
std::optional<Event> event_of(nlmsghdr* message, std::optional<int> elsewhere) {
  if (elsewhere && !is_link(message)) return std::nullopt;
  // The four requests of an object have numbers in a row: NEW, DEL, GET, SET.
  constexpr auto kNew = [](int type) { return type & ~3; };
  static_assert(RTM_NEWLINK % 4 == 0 && RTM_DELLINK == RTM_NEWLINK + 1);
  std::optional<Event> event;
  switch (kNew(message->nlmsg_type)) {
    case RTM_NEWLINK:
      event = link_event(message, elsewhere);
      break;
    case RTM_NEWADDR:
      event = address_event(message);
      break;
    case RTM_NEWROUTE:
      event = route_event(message);
      break;
    case RTM_NEWNEIGH:
      event = neighbour_event(message);
      break;
    case RTM_NEWNSID:
      event = namespace_event(message);
      break;
    default:
      break;
  }
  if (event) event->gone = message->nlmsg_type % 4 == 1;
  return event;
}

}  // namespace

std::expected<RtnlEvents, Error> RtnlEvents::open(int receive_buffer) {
  constexpr const char* kOperation = "listen for rtnetlink news";
  auto asker = RtnlSocket::open();
  if (!asker) return fail(asker.error());
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!fd) return fail(errno_error(errno, kOperation));
  RtnlEvents events(std::move(fd), std::move(*asker));
  const int socket = events.socket_.get();
  if (!set_option(socket, SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer) &&
      !set_option(socket, SOL_SOCKET, SO_RCVBUF, receive_buffer))
    return fail(errno_error(errno, kOperation));
  // The filter comes before the groups, so that nothing gets past it.
  if (auto status = attach_filter(socket, news_filter(nullptr)); !status) return fail(status.error());
  // Our own messages may carry our own number (is_foreign()): who cannot ask for it must not listen to all.
  const auto netns = events.asker_.netns();
  if (!netns && netns.error().kind != ErrorKind::kPermission) return fail(netns.error());
  events.other_namespaces_ = netns && set_option(socket, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1);
  if (netns && !events.other_namespaces_ && errno != EPERM) return fail(errno_error(errno, kOperation));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
    return fail(errno_error(errno, kOperation));
  for (const int group : kGroups)
    if (!set_option(socket, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)) return fail(errno_error(errno, kOperation));
  return events;
}

Status RtnlEvents::only(std::span<const unsigned> links) {
  return attach_filter(socket_.get(), news_filter(&links));
}

// Kernels before May 2026 mark our own namespace's messages, too: with its number in itself, which it gets at any time
// and keeps, or, after a failed delivery to somebody else, with -1
// (https://patch.msgid.link/20260520172317.175168-3-i.maximets@ovn.org).
bool RtnlEvents::is_foreign(int nsid) {
  if (nsid < 0) return false;
  if (own_nsid_) return nsid != *own_nsid_;
  if (std::ranges::find(foreign_nsids_, nsid) != foreign_nsids_.end()) return true;
  const auto own = own_nsid(asker_);
  if (!own) {
    lost_ = true;  // whosever it is
    return true;
  }
  own_nsid_ = *own;
  if (own_nsid_ == nsid) return false;
  foreign_nsids_.push_back(nsid);
  return true;
}

void RtnlEvents::read_messages(std::span<char> datagram, std::optional<int> nsid, std::span<const std::uint32_t> own,
                               std::vector<Event>& events) {
  const std::optional<int> elsewhere = nsid && is_foreign(*nsid) ? nsid : std::nullopt;
  auto* message = reinterpret_cast<nlmsghdr*>(datagram.data());
  for (auto left = static_cast<unsigned>(datagram.size()); NLMSG_OK(message, left);
       message = NLMSG_NEXT(message, left)) {
    const bool by_us = std::ranges::find(own, message->nlmsg_pid) != own.end();
    if (by_us && !elsewhere && !is_link(message)) continue;
    auto event = event_of(message, elsewhere);
    if (!event) continue;
    // Its number may become ours.
    if (event->kind == Event::Kind::kNamespace && event->gone) std::erase(foreign_nsids_, *event->nsid);
    events.push_back(*event);
  }
}

std::expected<std::vector<Event>, Error> RtnlEvents::take(std::span<const std::uint32_t> own) {
  alignas(nlmsghdr) std::array<char, kMostBytes> buffer;
  std::vector<Event> events;
  bool drained = false;
  for (int messages = 0; !drained && messages < kMostMessages; ++messages) {
    const auto received = receive(socket_.get(), buffer);
    if (!received && received.error() != EAGAIN && received.error() != ENOBUFS && received.error() != EINTR) {
      lost_ = true;
      return fail(errno_error(received.error(), "receive rtnetlink news"));
    }
    drained = !received && received.error() == EAGAIN;
    if (!received) {
      // The kernel drops everything from there on, without another word, until the queue is empty.
      if (received.error() == ENOBUFS) lost_ = true;
      continue;
    }
    if (!received->by_kernel) continue;
    if (received->truncated)
      lost_ = true;
    else
      read_messages(std::span(buffer).first(received->size), received->nsid, own, events);
  }
  if (lost_) events.push_back(Event{.kind = Event::Kind::kLost});
  if (drained) lost_ = false;
  return events;
}

}  // namespace vmt
