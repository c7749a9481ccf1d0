// SPDX-License-Identifier: LGPL-2.1-or-later
// What the lines of an ACL say, and what they decide.
#include <algorithm>

#include "tests/unit/acl_ask.h"

namespace vmt::tap {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using Lines = std::vector<std::string>;

// "yes", "yes, 4" for at most four, or why not.
std::string decide(std::string_view text, const Ask& ask) {
  auto rules = parse(text);
  if (!rules) return rules.error().message;
  const auto allowed = authorise(Acl("f", *std::move(rules)), ask);
  if (allowed) return allowed->max ? fmt::format("yes, {}", *allowed->max) : "yes";
  EXPECT_EQ(allowed.error().kind, ErrorKind::kPermission);
  return allowed.error().message.substr(allowed.error().message.find(": ") + 2);
}

constexpr const char* kNo = "no rule of f allows it";
constexpr const char* kNoUnlessMac =
    "no rule of f allows it (give the guest's MAC in the name: br='eth0/52:54:00:12:34:56')";
constexpr const char* kDenied1 = "line 1 of f denies it";
constexpr const char* kDenied2 = "line 2 of f denies it";

TEST(AclTest, EveryErrorNamesFileAndLine) {
  const struct {
    std::string text;
    const char* where;
    const char* what;
  } kRows[] = {
      {"\n# x\n  permit eth0\n", "f:3: ", "'permit' is neither allow, deny nor include"},
      {"Allow eth0\n", "f:1: ", "'Allow'"},
      {"allow eth0\r\n", "f:1: ", "interface name 'eth0\\x0d'"},
      {"allow\n", "f:1: ", "'all' is missing"},
      {"deny all\ndeny", "f:2: ", "'all' is missing"},
      {"allow a/b\n", "f:1: ", "interface name 'a/b'"},
      {"allow a234567890123456\n", "f:1: ", "interface name"},
      {"allow user=alice\nallow eth0 eth1\n", "f:2: ", "'eth1': not user=, group="},
      {"allow eth0 # all of it\n", "f:1: ", "'#': not user=, group="},
      {"allow eth0 user\n", "f:1: ", "'user': not user=, group="},
      {"allow eth0 =alice\n", "f:1: ", "'=alice': not user="},
      {"allow eth0 USER=alice\n", "f:1: ", "'USER=alice': not user="},
      {"allow eth0 user = alice\n", "f:1: ", "'user': not user="},
      {"allow eth0 user=alice user=alice\n", "f:1: ", "user= is given twice"},
      {"allow eth0 group=kvm group=7\n", "f:1: ", "group= is given twice"},
      {"allow eth0 mode=vepa mode=bridge\n", "f:1: ", "mode= is given twice"},
      {"allow eth0 mac=52 mac=54\n", "f:1: ", "mac= is given twice"},
      {"allow eth0 max=1 max=2\n", "f:1: ", "max= is given twice"},
      {"allow eth0 user=bob\n", "f:1: ", "unknown user 'bob' (one from outside /etc/passwd goes by number)"},
      {"allow eth0 user=kvm\n", "f:1: ", "unknown user 'kvm'"},
      {"allow eth0 user=\n", "f:1: ", "user ''"},
      {"allow eth0 user=-1\n", "f:1: ", "unknown user '-1'"},
      {"allow eth0 user=1000x\n", "f:1: ", "unknown user '1000x'"},
      {"allow eth0 user=4294967295\n", "f:1: ", "user '4294967295': not a name, nor 0 to 4294967294"},
      {"allow eth0 user=4294968296\n", "f:1: ", "user '4294968296': not a name"},
      {"deny eth0 group=wheel\n", "f:1: ", "unknown group 'wheel' (one from outside /etc/group goes by number)"},
      {"deny eth0 group=99999999999999999999\n", "f:1: ", "group '99999999999999999999': not a name"},
      {"allow eth0 mode=\n", "f:1: ", "mode ''"},
      {"allow eth0 mode=nat\n", "f:1: ", "mode 'nat'"},
      {"allow eth0 mode=bridge,\n", "f:1: ", "mode ''"},
      {"allow eth0 mode=,bridge\n", "f:1: ", "mode ''"},
      {"allow eth0 mode=bridge, vepa\n", "f:1: ", "mode ''"},
      {"allow eth0 mac=\n", "f:1: ", "mac ''"},
      {"allow eth0 mac=5\n", "f:1: ", "mac '5'"},
      {"allow eth0 mac=52:\n", "f:1: ", "mac '52:'"},
      {"allow eth0 mac=52:5\n", "f:1: ", "mac '52:5'"},
      {"allow eth0 mac=52-54\n", "f:1: ", "mac '52-54'"},
      {"allow eth0 mac=52:5g\n", "f:1: ", "mac '52:5g'"},
      {"allow eth0 mac=01:00:5e\n", "f:1: ", "mac '01:00:5e'"},
      {"allow eth0 mac=52:54:00:12:34:56:78\n", "f:1: ", "mac '52:54:00:12:34:56:78'"},
      {"allow eth0 max=\n", "f:1: ", "max '': not 1 to 65535"},
      {"allow eth0 max=0\n", "f:1: ", "max '0'"},
      {"allow eth0 max=65536\n", "f:1: ", "max '65536'"},
      {"allow eth0 max=-1\n", "f:1: ", "max '-1'"},
      {"allow eth0 max=4x\n", "f:1: ", "max '4x'"},
      {"deny eth0 max=4\n", "f:1: ", "max= on a deny"},
      {"include\n", "f:1: ", "include takes one absolute path"},
      {"include conf\n", "f:1: ", "include takes one absolute path"},
      {"include /a b\n", "f:1: ", "include takes one absolute path"},
      {"\ninclude /a\n", "f:2: ", "no include of /a"},
      {std::string("# a\0b\n", 6), "f:1: ", "a NUL byte"},
      {std::string("allow eth0\0 user=alice\n", 23), "f:1: ", "a NUL byte"},
      {"\n#" + std::string(kMaxAclLine, 'x') + "\n", "f:2: ", "longer than 4096 bytes"},
  };
  for (const auto& row : kRows) {
    const auto rules = parse(row.text);
    ASSERT_FALSE(rules) << row.text;
    EXPECT_THAT(rules.error().message, AllOf(StartsWith(row.where), HasSubstr(row.what), Not(HasSubstr("\n"))));
  }
}

TEST(AclTest, TakesWhatIsNoRuleForWhatItIs) {
  EXPECT_EQ(parse("")->size(), 0U);
  EXPECT_EQ(parse("\n \t \n  # allow all\n#\n")->size(), 0U);
  EXPECT_EQ(parse("#" + std::string(kMaxAclLine - 1, 'x') + "\n\tallow\t eth0 \t\n deny eth1")->size(), 2U);
}

TEST(AclTest, ARuleKnowsItsLineAndAnIncludesRuleItsOwn) {
  const auto rules = parse_acl("\nallow a\ninclude /i\nallow b\n", "f", kAccounts, [](const std::string& path) {
    return parse_acl("# x\n\ndeny c\n", path, kAccounts, no_include);
  });
  ASSERT_TRUE(rules) << rules.error().message;
  Lines got;
  for (const auto& rule : *rules) got.push_back(fmt::format("{} {}:{}", rule.parent->str(), rule.file, rule.line));
  EXPECT_EQ(got, (Lines{"a f:2", "c /i:3", "b f:4"}));
}

TEST(AclTest, DecidesByParentUserAndGroup) {
  const struct {
    const char* text;
    Ask ask;
    std::string outcome;
  } kRows[] = {
      {"", {}, kNo},
      {"allow eth0", {}, "yes"},
      {"allow eth0", {.parent = "eth00"}, kNo},
      {"allow eth0", {.parent = "eth"}, kNo},
      {"allow ETH0", {}, kNo},
      {"allow all", {.parent = "eth1"}, "yes"},
      {"allow eth1\nallow eth0", {}, "yes"},
      {"allow eth0 user=alice", {}, "yes"},
      {"allow eth0 user=1000", {}, "yes"},
      {"allow eth0 user=alice", {.uid = 1001}, kNo},
      {"allow eth0 user=0", {.uid = 0}, "yes"},
      {"allow eth0 user=4294967294", {.uid = 4294967294}, "yes"},
      {"allow eth1 user=alice", {}, kNo},
      {"allow eth0", {.uid = 0}, "yes"},
      {"", {.uid = 0}, kNo},
      {"allow eth0 group=kvm", {}, "yes"},
      {"allow eth0 group=27", {}, "yes"},
      {"allow eth0 group=kvm", {.gids = {27, 101}}, kNo},
      {"allow eth0 group=1000", {}, kNo},
      {"allow eth0 user=100", {}, kNo},
      {"allow eth0 group=kvm", {.gids = {}}, kNo},
      {"allow eth0 user=alice group=kvm", {}, "yes"},
      {"allow eth0 user=alice group=kvm", {.uid = 1001}, kNo},
      {"allow eth0 user=alice group=kvm", {.gids = {27}}, kNo},
      {"allow all\ndeny eth0", {}, kDenied2},
      {"deny eth0\nallow eth0", {}, kDenied1},
      {"deny eth0\nallow all", {.parent = "eth1"}, "yes"},
      {"deny all\nallow eth0", {}, kDenied1},
      {"deny eth0\ndeny eth0", {}, kDenied1},
      {"allow all\ndeny all user=alice", {}, kDenied2},
      {"allow all\ndeny all user=alice", {.uid = 1001}, "yes"},
      {"allow all\ndeny all group=kvm", {}, kDenied2},
      {"allow all\ndeny all user=alice group=7", {}, "yes"},
  };
  for (const auto& row : kRows) EXPECT_EQ(decide(row.text, row.ask), row.outcome) << row.text;
}

TEST(AclTest, AnAllowCoversWhatLeavesTheParentAloneAndADenyEveryMode) {
  using enum MacvlanMode;
  const struct {
    const char* text;
    std::vector<MacvlanMode> allowed;
  } kRows[] = {
      {"allow eth0", {kPrivate, kVepa, kBridge}},
      {"allow eth0 mode=passthru", {kPassthru}},
      {"allow eth0 mode=passthrough", {kPassthru}},
      {"allow eth0 mode=bridge,source", {kBridge, kSource}},
      {"allow eth0 mode=source,private,vepa", {kPrivate, kVepa, kSource}},
      {"allow eth0\nallow eth0 mode=passthru", {kPrivate, kVepa, kBridge, kPassthru}},
      {"allow eth0 mode=bridge,vepa,private,passthru,source", {kPrivate, kVepa, kBridge, kPassthru, kSource}},
      {"allow eth0 mode=bridge,vepa,private,passthru,source\ndeny eth0", {}},
      {"allow eth0 mode=bridge,vepa,private,passthru,source\ndeny eth0 mode=bridge,source",
       {kPrivate, kVepa, kPassthru}},
  };
  for (const auto& row : kRows)
    for (const auto mode : {kPrivate, kVepa, kBridge, kPassthru, kSource})
      EXPECT_EQ(decide(row.text, {.mode = mode}) == "yes", std::ranges::count(row.allowed, mode) == 1)
          << row.text << " and mode " << to_string(mode);
}

TEST(AclTest, DecidesByMacAndAssumesTheWorstOfNone) {
  const std::string denied2_unless_mac = kDenied2 + std::string(kNoUnlessMac).substr(std::string(kNo).size());
  const struct {
    const char* text;
    const char* mac;
    std::string outcome;
  } kRows[] = {
      {"allow eth0 mac=52:54:00:12:34:56", "52:54:00:12:34:56", "yes"},
      {"allow eth0 mac=52:54:00:AB:cd:ef", "52:54:00:ab:CD:ef", "yes"},
      {"allow eth0 mac=52:54:00:12:34:56", "52:54:00:12:34:57", kNo},
      {"allow eth0 mac=52:54:00:12:34", "52:54:00:12:34:57", "yes"},
      {"allow eth0 mac=52:54:00:12:34", "52:54:00:12:35:57", kNo},
      {"allow eth0 mac=52:54:00:12", "52:54:00:12:ff:ff", "yes"},
      {"allow eth0 mac=52:54:00", "52:54:00:ff:ff:ff", "yes"},
      {"allow eth0 mac=52:54:00", "52:54:01:00:00:00", kNo},
      {"allow eth0 mac=52:54", "52:54:01:00:00:00", "yes"},
      {"allow eth0 mac=52", "52:ff:ff:ff:ff:ff", "yes"},
      {"allow eth0 mac=52", "54:52:52:52:52:52", kNo},
      {"allow eth0 mac=00:00:00:00:00", "00:00:00:00:00:05", "yes"},
      {"allow eth0 mac=52\ndeny eth0 mac=52:54", "52:55:00:00:00:01", "yes"},
      {"allow eth0 mac=52\ndeny eth0 mac=52:54", "52:54:00:00:00:01", kDenied2},
      {"allow eth0", nullptr, "yes"},
      {"allow eth0 mac=52:54:00", nullptr, kNoUnlessMac},
      {"allow eth0 mac=52:54:00 user=7", nullptr, kNo},
      {"allow eth1 mac=52:54:00", nullptr, kNo},
      {"allow eth0 mac=52:54:00\nallow eth0", nullptr, "yes"},
      {"allow eth0\ndeny eth0 mac=52:54:00", nullptr, denied2_unless_mac},
      {"allow eth0\ndeny eth0 mac=52:54:00 user=7", nullptr, "yes"},
      {"allow eth0\ndeny eth0 mac=52:54:00 mode=vepa", nullptr, "yes"},
      {"allow eth0\ndeny eth1 mac=52:54:00", nullptr, "yes"},
      // With a MAC it would be denied as well, so there is no such advice.
      {"deny eth0 mac=52:54:00\ndeny eth0", nullptr, kDenied2},
  };
  for (const auto& row : kRows) EXPECT_EQ(decide(row.text, {.mac = row.mac}), row.outcome) << row.text;
}

TEST(AclTest, TheMostGenerousMaxOfTheAllowsThatMatchCounts) {
  const struct {
    const char* text;
    const char* outcome;
  } kRows[] = {
      {"allow eth0 max=1", "yes, 1"},
      {"allow eth0 max=65535", "yes, 65535"},
      {"allow eth0 max=2\nallow eth0 max=10", "yes, 10"},
      {"allow eth0 max=10\nallow eth0 max=2", "yes, 10"},
      {"allow eth0 max=2\nallow all", "yes"},
      {"allow all\nallow eth0 max=2", "yes"},
      {"allow eth0 max=2\nallow all\nallow eth0 max=3", "yes"},
      {"allow eth0 max=2\nallow eth1", "yes, 2"},
      {"allow eth0 max=2\nallow eth0 max=9 user=7", "yes, 2"},
      {"allow eth0 max=2\nallow eth0 max=9 mode=vepa", "yes, 2"},
      {"allow eth0 max=2\ndeny eth0", kDenied2},
  };
  for (const auto& row : kRows) EXPECT_EQ(decide(row.text, {}), row.outcome) << row.text;
  EXPECT_EQ(decide("allow eth0 max=2\nallow eth0 max=9 mac=52", {.mac = nullptr}), "yes, 2");
}

TEST(AclTest, ARefusalIsOneLineThatSaysWhoWhatAndWhy) {
  const Acl acl("/etc/qemu/macvtap.conf", *parse("deny all user=alice\nallow eth0 mac=02"));
  EXPECT_EQ(authorise(acl, {}).error().message,
            "macvtap on eth0 for uid 1000 (mode bridge, 52:54:00:12:34:56): line 1 of f denies it");
  EXPECT_EQ(
      authorise(acl, {.parent = "eth1", .uid = 7, .mode = MacvlanMode::kPassthru, .mac = nullptr}).error().message,
      "macvtap on eth1 for uid 7 (mode passthru, no MAC given): no rule of /etc/qemu/macvtap.conf allows it "
      "(only one with mode=passthru would)");
}

}  // namespace
}  // namespace vmt::tap
