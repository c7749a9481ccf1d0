// SPDX-License-Identifier: LGPL-2.1-or-later
// What happens to links, addresses, routes, neighbours and namespaces, as the kernel tells it.
//
// News say where to look, not what is: by the time they are read it may be otherwise. Whoever acts reads the kernel's
// state again, after take().
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <vector>

#include "lib/error.h"
#include "lib/fd.h"
#include "lib/ip_address.h"
#include "lib/mac_address.h"
#include "lib/rtnl_socket.h"

namespace vmt {

struct Event {
  enum class Kind {
    kLink,     // appeared, changed or went. A parent's, too, when a macvlan or macvtap comes to it or leaves it
    kAddress,  // of `link`
    kRoute,    // main table, through `link`. The kernel tells nothing of IPv4 routes that go with a link, its
               // address or its being up
    // On `link`, with a protocol, or looked for in vain; what the kernel finds out by itself is kept from us. It tells
    // nothing of proxy entries.
    kNeighbour,
    kNamespace,  // got or lost its number. With a dying one's number go its links, of which no kLink is told
    kLost,       // anything may have happened before this take() returned
  };

  Kind kind = Kind::kLost;
  bool gone = false;
  bool child = false;         // kLink: a macvlan or macvtap
  std::uint8_t protocol = 0;  // kRoute, kNeighbour: whose it is (lib/tag.h)
  std::uint16_t state = 0;    // kNeighbour: NUD_*
  unsigned link = 0;          // ifindex, in its own namespace; 0: a route through several links or none
  // kLink: IFLA_LINK where that is a link of our namespace, else 0. Of a link in another namespace (below) it may also
  // be one of a third.
  unsigned lower = 0;
  // kLink: the namespace of the link, nullopt for our own. kNamespace: the number.
  std::optional<int> nsid = {};
  // The address; a route's destination; a neighbour with its full length.
  std::optional<IpPrefix> address = {};
  std::optional<MacAddress> mac = {};  // kLink, kNeighbour

  bool operator==(const Event&) const = default;
};

// Listens in the namespace that it was opened in. Of other namespaces, those with a number here, it hears of macvlans
// and macvtaps on a parent that is not with them; of nothing else.
class RtnlEvents {
 public:
  // Bytes; the kernel takes as much again for its own bookkeeping. Some 5,000 changes of links wait in it.
  static constexpr int kReceiveBuffer = 8 << 20;

  // From here on. kPermission nowhere: who lacks a capability hears less (below) or loses more (CAP_NET_ADMIN, for a
  // receive buffer beyond the system's limit).
  static std::expected<RtnlEvents, Error> open(int receive_buffer = kReceiveBuffer);

  // Readable when there is something to take.
  int fd() const { return socket_.get(); }
  // False without CAP_NET_BROADCAST and CAP_NET_ADMIN: our own namespace only.
  bool hears_other_namespaces() const { return other_namespaces_; }

  // From here on only addresses, routes and neighbours of these links are told; links and namespaces always are. What
  // happened to a link before it was named here was not told, so call this first and look at the link then.
  Status only(std::span<const unsigned> links);

  // What has happened since the last time, never waiting; at most some thousands at a time, the rest stays readable.
  // `own`: RtnlSocket::port() of sockets whose own changes of routes, neighbours and addresses are no news. Their
  // changes of links are, and so is what the kernel does not sign: a neighbour that we delete, and all that goes with a
  // link (netns/rtnl_filter_test).
  //
  // After an error anything may have happened, too: the next take() that has none says so (kLost). The socket may stay
  // readable for good, so wait a while before it.
  std::expected<std::vector<Event>, Error> take(std::span<const std::uint32_t> own = {});

 private:
  RtnlEvents(Fd socket, RtnlSocket asker) : socket_(std::move(socket)), asker_(std::move(asker)) {}

  bool is_foreign(int nsid);
  void read_messages(std::span<char> datagram, std::optional<int> nsid, std::span<const std::uint32_t> own,
                     std::vector<Event>& events);

  Fd socket_;
  RtnlSocket asker_;
  bool other_namespaces_ = false;
  bool lost_ = false;  // until the queue has been empty
  std::optional<int> own_nsid_;
  std::vector<int> foreign_nsids_;
};

}  // namespace vmt
