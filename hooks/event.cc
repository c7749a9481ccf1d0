// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hooks/event.h"

namespace vmt {

HookAction hook_action(std::string_view operation) {
  constexpr struct {
    std::string_view operation;
    HookAction action;
  } kTable[] = {
      {"prepare", HookAction::kPrepare},
      {"start", HookAction::kStart},
      {"reconnect", HookAction::kStart},
      {"release", HookAction::kStop},
  };
  for (const auto& row : kTable)
    if (row.operation == operation) return row.action;
  return HookAction::kNothing;
}

}  // namespace vmt
