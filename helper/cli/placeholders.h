// SPDX-License-Identifier: LGPL-2.1-or-later
// Where in a command do the numbers of the taps go?
//
//   {0.fd}        the tap of the first --nic            {0.mac}     its MAC
//   {0.fds}       all its queues, as in 7:8:9:10        {0.ifname}  its name
//   {0.vhostfds}  as many of /dev/vhost-net
//
// "{{" is a brace. A brace that no digit follows is itself, so JSON needs no care.
#pragma once

#include <expected>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/error.h"

namespace vmt::cli {

enum class Field { kFd, kFds, kVhostFds, kMac, kIfName };

struct Placeholder {
  std::size_t nic = 0;
  Field field = Field::kFd;
  auto operator<=>(const Placeholder&) const = default;
};

// What an argument consists of, or what is wrong with it: an unknown field, no closing brace.
struct Piece {
  std::string text;  // literal, when there is no placeholder
  std::optional<Placeholder> placeholder;
};
std::expected<std::vector<Piece>, Error> split_argument(std::string_view argument);

// All that occur in a command.
std::expected<std::set<Placeholder>, Error> placeholders_in(std::span<const std::string> command);

// What the placeholders of one --nic stand for.
struct Values {
  std::vector<int> fds;
  std::vector<int> vhost_fds;  // empty: none
  std::string mac;
  std::string ifname;
};
// An option whose value would be an empty {N.vhostfds} goes with its name and the comma before it, so that one command
// line serves with and without vhost: "tap,fds={0.fds},vhostfds={0.vhostfds}" becomes "tap,fds=7".
std::expected<std::string, Error> expand(std::string_view argument, std::span<const Values> nics);

}  // namespace vmt::cli
