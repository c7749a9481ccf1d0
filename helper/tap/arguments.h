// SPDX-License-Identifier: LGPL-2.1-or-later
// What does QEMU or libvirt ask for? The command line of qemu-bridge-helper, as it is.
#pragma once

#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lib/error.h"
#include "lib/if_name.h"
#include "lib/mac_address.h"
#include "lib/macvlan_mode.h"

namespace vmt::tap {

// "--br=eth0", "--br=eth0/52:54:00:12:34:56", "--br=eth0/private", "--br=eth0/52:54:00:12:34:56/vepa". libvirt's schema
// allows all of these as the name of a bridge.
struct Request {
  IfName parent;
  std::optional<MacAddress> mac;  // none: the guest's first frame will tell
  MacvlanMode mode = MacvlanMode::kBridge;
};
std::expected<Request, Error> parse_request(std::string_view text);

struct Arguments {
  bool help = false;
  bool version = false;
  bool vnet_header = false;  // --use-vnet
  std::optional<Request> request;
  int fd = -1;  // where the tap is to be sent
};
// Of argv without the program's name. An option twice, an unknown one and a bare word are errors.
std::expected<Arguments, Error> parse_arguments(std::span<const char* const> words);

}  // namespace vmt::tap
