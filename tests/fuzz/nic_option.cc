// SPDX-License-Identifier: LGPL-2.1-or-later
// --nic of `exec`: what is taken means one thing, in whatever order it stands.
#include "helper/cli/nic_option.h"

#include "tests/fuzz/property.h"

namespace {

using namespace vmt;
using namespace vmt::cli;

std::string spell(const NicOption& nic) {
  fuzz::require_valid(nic.parent);
  std::string text = "parent=" + nic.parent.str() + ",mode=" + std::string(to_string(nic.mode));
  if (nic.mac) text += ",mac=" + nic.mac->str();
  if (nic.name) text += ",name=" + nic.name->str();
  text += ",queues=" + std::to_string(nic.queues);
  text += nic.vhost == Vhost::kAuto ? ",vhost=auto" : nic.vhost == Vhost::kOn ? ",vhost=on" : ",vhost=off";
  if (nic.mtu) text += ",mtu=" + std::to_string(*nic.mtu);
  if (nic.bc_queue_length) text += ",bcqueuelen=" + std::to_string(*nic.bc_queue_length);
  if (!nic.promiscuous) text += ",nopromisc=on";
  for (const auto& mac : nic.allowed) text += ",allow-mac=" + mac.str();
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text_of(data, size);
  const auto nic = parse_nic_option(text);
  fuzz::require_sound(nic);
  if (!nic) return 0;
  if (nic->name) fuzz::require_valid(*nic->name);
  fuzz::require(nic->queues >= 1 && nic->queues <= kMaxQueues, "the number of queues is in range");
  const std::string spelled = spell(*nic);
  // What the parser takes fits the device it is for, or check() says why not, in one line.
  fuzz::require_sound(check(spec_of(*nic)));
  // allow-mac= is a list, whose order may be another.
  std::string reversed;
  for (const auto pair : fuzz::split(text, ','))
    if (!pair.empty()) reversed = std::string(pair) + (reversed.empty() ? "" : ",") + reversed;
  auto other = parse_nic_option(reversed);
  if (other) std::ranges::reverse(other->allowed);
  fuzz::require(other && spell(*other) == spelled, "the order does not matter");
  const auto again = parse_nic_option(spelled);
  fuzz::require(again && spell(*again) == spelled, "what is spelled out is the same");
  return 0;
}
