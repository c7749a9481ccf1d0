// SPDX-License-Identifier: LGPL-2.1-or-later
// Learning without a kernel, at times that the test chooses.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "lib/learning.h"

namespace vmt {

inline IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}
inline MacAddress mac(int last) {
  char text[18];
  std::snprintf(text, sizeof text, "52:54:00:00:00:%02x", static_cast<unsigned>(last));
  return *MacAddress::parse(text);
}

inline const MacAddress kWeb = mac(0x61);
inline const MacAddress kDb = mac(0x62);
inline const MacAddress kLanMachine = mac(0xee);
inline constexpr unsigned kParent = 2;
inline constexpr unsigned kOtherParent = 3;

class LearningTest : public testing::Test {
 protected:
  LearningTest() { update(); }

  Ground ground(unsigned index, const char* name, const char* v4, std::vector<MacAddress> guests) const {
    Ground ground{.parent = {.index = index,
                             .name = *IfName::parse(name),
                             .mac = mac(0x10),
                             .addresses = {{*IpPrefix::parse(v4), true}, {*IpPrefix::parse("2001:db8:1::10/64"), true}},
                             .gateways = {ip("192.0.2.1"), ip("2001:db8:1::1")}},
                  .guests = {}};
    const auto written = config_.nics();
    for (const auto& guest : guests) {
      const auto nic = written.find(guest);
      ground.guests.emplace(
          guest, GuestNic{.guest = "macvtap0",
                          .given = {},
                          .learn = config_.learning(*IfName::parse(name), nic == written.end() ? nullptr : &nic->second,
                                                    nullptr)});
    }
    return ground;
  }
  void update(std::vector<LearnedAddress> given = {}, std::vector<MacAddress> guests = {kWeb, kDb}) {
    learning_.update({ground(kParent, "eth0", "192.0.2.10/24", std::move(guests)),
                      ground(kOtherParent, "eth1", "192.0.2.11/24", {mac(0x71)})},
                     given, now_);
  }
  void claim(const MacAddress& who, const char* address, unsigned parent = kParent) {
    learning_.hear(parent, {Heard::Kind::kClaim, who, ip(address)}, now_);
  }
  // Lets time pass, tick by tick, and collects what was decided.
  Learning::Decisions after(std::chrono::milliseconds time) {
    Learning::Decisions all = learning_.take();
    const auto end = now_ + time;
    while (const auto due = learning_.due()) {
      if (*due > end) break;
      now_ = *due;
      learning_.tick(now_);
      append(all, learning_.take());
    }
    now_ = end;
    return all;
  }
  static void append(Learning::Decisions& all, const Learning::Decisions& more) {
    all.learn.insert(all.learn.end(), more.learn.begin(), more.learn.end());
    all.forget.insert(all.forget.end(), more.forget.begin(), more.forget.end());
    all.answers.insert(all.answers.end(), more.answers.begin(), more.answers.end());
    all.questions.insert(all.questions.end(), more.questions.begin(), more.questions.end());
    all.notes.insert(all.notes.end(), more.notes.begin(), more.notes.end());
  }
  void learn(const MacAddress& who, const char* address, unsigned parent = kParent) {
    claim(who, address, parent);
    ASSERT_THAT(after(std::chrono::seconds(1)).learn, testing::ElementsAre(LearnedAddress{parent, who, ip(address)}));
  }

  // All at once: a guest that gets one address after the other is asked for those that it has.
  void learn_eight() {
    for (int i = 0; i < 8; ++i) claim(kWeb, ("192.0.2." + std::to_string(100 + i)).c_str());
    ASSERT_THAT(after(std::chrono::seconds(1)).learn, testing::SizeIs(8));
  }

  Config config_;
  Learning learning_{config_};
  Learning::Time now_ = Learning::Time{} + std::chrono::hours(1);
};

}  // namespace vmt
