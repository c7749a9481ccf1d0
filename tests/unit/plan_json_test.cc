// SPDX-License-Identifier: LGPL-2.1-or-later
// What a program reads from `plan --json`: whose an entry is, and what is made. helper/cli/plan_json.h has the format.
#include "helper/cli/plan_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace vmt::cli {
namespace {

using nlohmann::json;

json entry(const Change& change) {
  const json document = json::parse(plan_json({.changes = {change}, .notes = {"a note"}}));
  EXPECT_EQ(document["notes"], json({"a note"}));
  EXPECT_EQ(document["changes"].size(), 1U);
  EXPECT_EQ(document["changes"][0]["text"], describe(change));
  return document["changes"][0];
}

const IpAddress kGuest = *IpAddress::parse("192.0.2.61");
const MacAddress kMac = *MacAddress::parse("52:54:00:12:34:56");

TEST(PlanJsonTest, TellsWhoseAnAddressIs) {
  const struct {
    Origin origin;
    bool learned, manual;
  } kRows[] = {{Origin::kGiven, false, false}, {Origin::kLearned, true, false}, {Origin::kManual, false, true}};
  for (const auto& row : kRows) {
    const json shown = entry(AddNeighbour{.parent = 2, .guest = kGuest, .mac = kMac, .origin = row.origin});
    EXPECT_EQ(shown["change"], "add-neighbour");
    EXPECT_EQ(shown["parent"], 2);
    EXPECT_EQ(shown["guest"], "192.0.2.61");
    EXPECT_EQ(shown["mac"], "52:54:00:12:34:56");
    EXPECT_EQ(shown["learned"], row.learned);
    EXPECT_EQ(shown["manual"], row.manual);
  }
  for (const bool manual : {false, true}) {
    EXPECT_EQ(entry(AddRoute{.parent = 2, .guest = kGuest, .source = kGuest, .manual = manual})["manual"], manual);
    EXPECT_EQ(entry(DeleteRoute{.shim = 7, .guest = kGuest, .manual = manual})["manual"], manual);
  }
}

TEST(PlanJsonTest, TellsWhatAShimIsForAndWhatADeviceIsLike) {
  EXPECT_EQ(entry(FinishShim{.parent = 2, .role = ShimRole::kManual})["role"], "manual");
  EXPECT_EQ(entry(FinishShim{.parent = 2, .role = ShimRole::kGuests})["role"], "guests");
  DeviceSpec spec{.name = *IfName::parse("tap-web"),
                  .parent = 2,
                  .parent_name = *IfName::parse("eth0"),
                  .mode = MacvlanMode::kVepa,
                  .mac = kMac,
                  .mtu = {},
                  .bc_queue_length = {},
                  .allowed = {},
                  .owner = {}};
  for (const auto& [mode, name] : {std::pair{MacvlanMode::kVepa, "vepa"}, {MacvlanMode::kPrivate, "private"}}) {
    spec.mode = mode;
    const json shown = entry(CreateDevice{spec, Standing{}});
    EXPECT_EQ(shown["mode"], name);
    EXPECT_EQ(shown["name"], "tap-web");
    EXPECT_EQ(shown["parent"], 2);
  }
  const json gone = entry(DeleteDevices{{{.index = 7, .name = *IfName::parse("tap-web")}}});
  EXPECT_EQ(gone["names"], json({"tap-web"}));
}

}  // namespace
}  // namespace vmt::cli
