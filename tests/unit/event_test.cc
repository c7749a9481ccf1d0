// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hooks/event.h"

#include <gtest/gtest.h>

namespace vmt {
namespace {

TEST(HookEventTest, EveryOperationOfLibvirtHasItsAction) {
  const struct {
    const char* operation;
    HookAction action;
  } kRows[] = {{"prepare", HookAction::kPrepare},  {"start", HookAction::kStart},     {"started", HookAction::kNothing},
               {"stopped", HookAction::kNothing},  {"release", HookAction::kStop},    {"reconnect", HookAction::kStart},
               {"migrate", HookAction::kNothing},  {"restore", HookAction::kNothing}, {"attach", HookAction::kNothing},
               {"", HookAction::kNothing},         {"START", HookAction::kNothing},   {"start ", HookAction::kNothing},
               {"hibernate", HookAction::kNothing}};
  for (const auto& row : kRows) EXPECT_EQ(hook_action(row.operation), row.action) << row.operation;
}

}  // namespace
}  // namespace vmt
