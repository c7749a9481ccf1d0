// SPDX-License-Identifier: LGPL-2.1-or-later
// The hook's arguments: nothing is done at an operation that nobody knows, however much it looks like one.
#include "hooks/event.h"
#include "tests/fuzz/property.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using vmt::HookAction;
  const auto operation = vmt::fuzz::text_of(data, size);
  const HookAction action = vmt::hook_action(operation);
  const bool starts = operation == "start" || operation == "reconnect";
  vmt::fuzz::require((action == HookAction::kStart) == starts, "start and reconnect start");
  vmt::fuzz::require((action == HookAction::kPrepare) == (operation == "prepare"), "prepare prepares");
  vmt::fuzz::require((action == HookAction::kStop) == (operation == "release"), "release stops");
  return 0;
}
