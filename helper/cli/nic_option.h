// SPDX-License-Identifier: LGPL-2.1-or-later
// What does one --nic of `exec` ask for?
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "lib/device.h"
#include "lib/error.h"

namespace vmt::cli {

enum class Vhost { kAuto, kOn, kOff };

struct NicOption {
  IfName parent;
  MacvlanMode mode = MacvlanMode::kBridge;
  std::optional<MacAddress> mac;  // nullopt: a random one, or with passthru the parent's
  std::optional<IfName> name;     // --standing only
  unsigned queues = 1;
  Vhost vhost = Vhost::kAuto;
  std::optional<std::uint32_t> mtu, bc_queue_length;
  bool promiscuous = true;
  std::vector<MacAddress> allowed;
};

// "parent=eth0,mac=52:54:00:12:34:56,queues=4": KEY=VALUE pairs with commas between them. An unknown key, one given
// twice (but for allow-mac) and a value that makes no sense are errors that name it.
std::expected<NicOption, Error> parse_nic_option(std::string_view text);

// The device that it stands for; its name and the parent's ifindex are yet to come.
DeviceSpec spec_of(const NicOption& nic);

}  // namespace vmt::cli
