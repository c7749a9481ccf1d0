// SPDX-License-Identifier: LGPL-2.1-or-later
// Netlink messages with any content: what is decoded is within its own bounds, and by its own decoder only.
#include <cstring>

#include "lib/rtnl_decode.h"
#include "tests/fuzz/property.h"

namespace {

using namespace vmt;

void check(const IpPrefix& prefix) {
  fuzz::require(prefix.length <= prefix.address.bits(), "a prefix is not longer than its address");
  fuzz::require(prefix.contains(prefix.address), "an address is in its own network");
}

}  // namespace

// A message with its header, but for the length, which the socket has checked.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < sizeof(nlmsghdr)) return 0;
  std::vector<std::uint32_t> buffer((size + 3) / 4);
  std::memcpy(buffer.data(), data, size);
  auto* message = reinterpret_cast<nlmsghdr*>(buffer.data());
  message->nlmsg_len = static_cast<std::uint32_t>(size);
  const auto link = decode_link(message);
  const auto nsid = decode_nsid(message);
  const auto address = decode_address(message);
  const auto route = decode_route(message);
  const auto neighbour = decode_neighbour(message);
  fuzz::require(
      link.has_value() + nsid.has_value() + address.has_value() + route.has_value() + neighbour.has_value() < 2,
      "a message is one thing");
  if (link) fuzz::require_valid(link->name);
  if (link) fuzz::require(!link->mode || link->kind == "macvlan" || link->kind == "macvtap", "a mode is a macvlan's");
  if (link) fuzz::require(link->alias.find('\0') == link->alias.npos, "text ends at its NUL");
  if (address) check(address->prefix);
  if (route) check(route->route.destination);
  if (neighbour) fuzz::require(neighbour->age.count() >= 0, "nothing is from the future");
  return 0;
}
