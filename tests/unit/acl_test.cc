// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/tap/acl.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "helper/tap/acl_file.h"
#include "lib/fd.h"

namespace vmt::tap {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using Lines = std::vector<std::string>;

const Accounts kAccounts = {
    .uid = [](auto name) { return name == "alice" ? std::optional<uid_t>(1000) : std::nullopt; },
    .gid = [](auto name) { return name == "kvm" ? std::optional<gid_t>(100) : std::nullopt; },
};

std::expected<std::vector<AclRule>, Error> no_include(const std::string& path) {
  return fail(invalid("no include of " + path));
}

std::expected<std::vector<AclRule>, Error> parse(std::string_view text) {
  return parse_acl(text, "f", kAccounts, no_include);
}

// alice, of kvm and one more group, asks for a bridge.
struct Ask {
  const char* parent = "eth0";
  uid_t uid = 1000;
  std::vector<gid_t> gids = {27, 100};
  MacvlanMode mode = MacvlanMode::kBridge;
  const char* mac = "52:54:00:12:34:56";
};

std::expected<Allowed, Error> authorise(const Acl& acl, const Ask& ask) {
  const auto mac = ask.mac ? std::optional(*MacAddress::parse(ask.mac)) : std::nullopt;
  return acl.authorise({*IfName::parse(ask.parent), ask.uid, ask.gids, ask.mode, mac});
}

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
      "macvtap on eth1 for uid 7 (mode passthru, no MAC given): no rule of /etc/qemu/macvtap.conf allows it");
}

// Random lists of a small vocabulary, so that rules meet, against every request of it.
class AclPropertyTest : public testing::Test {
 protected:
  template <typename T>
  T one_of(std::initializer_list<T> values) {
    return values.begin()[random_() % values.size()];
  }

  std::string conditions() {
    std::string line = one_of({" all", " eth0", " eth1"});
    if (random_() % 4 == 0) line += one_of({" user=1000", " user=1001"});
    if (random_() % 4 == 0) line += one_of({" group=100", " group=101"});
    if (random_() % 4 == 0) line += one_of({" mode=bridge", " mode=vepa,passthru", " mode=source,private"});
    if (random_() % 4 == 0) line += one_of({" mac=52:54:00", " mac=52:54:00:00:00:01", " mac=02"});
    return line;
  }

  std::string deny() { return "deny" + conditions(); }
  std::string allow() {
    return "allow" + conditions() + one_of<std::string>({"", fmt::format(" max={}", 1 + random_() % 9)});
  }

  Lines some_lines() {
    Lines lines;
    while (random_() % 6 != 0) lines.push_back(random_() % 3 == 0 ? deny() : allow());
    return lines;
  }

  Lines with_line(Lines lines, std::string line) {
    lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(random_() % (lines.size() + 1)), std::move(line));
    return lines;
  }

  static Acl acl(const Lines& lines) { return Acl("f", *parse(fmt::format("{}", fmt::join(lines, "\n")))); }

  // -1: refused; 0: as many as they like; else the limit.
  static int limit(const Acl& list, const Ask& ask) {
    const auto allowed = authorise(list, ask);
    return allowed ? allowed->max.value_or(0) : -1;
  }

  static std::vector<Ask> every_ask() {
    std::vector<Ask> asks;
    for (const char* parent : {"eth0", "eth1", "eth2"})
      for (const uid_t uid : {1000U, 1001U, 1002U})
        for (const auto& gids : std::vector<std::vector<gid_t>>{{}, {100}, {101, 100}})
          for (const unsigned mode : {1U, 2U, 4U, 8U, 16U})
            for (const char* mac : {"52:54:00:00:00:01", "52:54:00:00:00:02", "02:00:00:00:00:01", "06:00:00:00:00:01"})
              asks.push_back({parent, uid, gids, *mode_from_kernel(mode), mac});
    return asks;
  }

  std::mt19937 random_{20240229};
  const std::vector<Ask> asks_ = every_ask();
};

TEST_F(AclPropertyTest, OneMoreDenyOnlyRefusesAndOneMoreAllowOnlyAllows) {
  int refused = 0, allowed = 0, kept = 0;
  for (int round = 0; round < 300; ++round) {
    const Lines lines = some_lines();
    const Lines denying = with_line(lines, deny()), allowing = with_line(lines, allow());
    const Acl before = acl(lines), with_deny = acl(denying), with_allow = acl(allowing);
    for (Ask ask : asks_) {
      if (round % 2) ask.mac = nullptr;
      const int was = limit(before, ask), less = limit(with_deny, ask), more = limit(with_allow, ask);
      ASSERT_TRUE(less == was || less == -1) << fmt::format("{}", fmt::join(denying, "\n"));
      ASSERT_TRUE(more == was || more == 0 || (was != 0 && more > was)) << fmt::format("{}", fmt::join(allowing, "\n"));
      refused += less != was;
      allowed += more != was;
      kept += less == was && was != -1;
    }
  }
  // Rules that never met a request would have proven nothing.
  EXPECT_GT(refused, 1000);
  EXPECT_GT(allowed, 1000);
  EXPECT_GT(kept, 1000);
}

TEST_F(AclPropertyTest, TheOrderDoesNotMatter) {
  int allowed = 0;
  for (int round = 0; round < 300; ++round) {
    Lines lines = some_lines();
    const Acl before = acl(lines);
    std::ranges::shuffle(lines, random_);
    const Acl after = acl(lines);
    for (const Ask& ask : asks_) {
      ASSERT_EQ(limit(before, ask), limit(after, ask)) << fmt::format("{}", fmt::join(lines, "\n"));
      allowed += limit(after, ask) != -1;
    }
  }
  EXPECT_GT(allowed, 1000);
}

TEST_F(AclPropertyTest, WhatIsAllowedWithoutAMacIsAllowedWithEvery) {
  int allowed = 0;
  for (int round = 0; round < 300; ++round) {
    const Lines lines = some_lines();
    const Acl list = acl(lines);
    for (const Ask& ask : asks_) {
      Ask without = ask;
      without.mac = nullptr;
      if (limit(list, without) == -1) continue;
      ASSERT_NE(limit(list, ask), -1) << ask.mac << " and\n" << fmt::format("{}", fmt::join(lines, "\n"));
      ++allowed;
    }
  }
  EXPECT_GT(allowed, 1000);
}

TEST_F(AclPropertyTest, OneLineThatDoesNotParseDeniesAll) {
  for (int round = 0; round < 300; ++round) {
    const Lines lines = some_lines();
    ASSERT_TRUE(parse(fmt::format("{}", fmt::join(lines, "\n"))));
    const auto bad =
        with_line(lines, one_of({"alow eth0", "deny", "deny eth0 max=1", "allow eth0 user=bob", "include x"}));
    ASSERT_FALSE(parse(fmt::format("{}", fmt::join(bad, "\n")))) << fmt::format("{}", fmt::join(bad, "\n"));
  }
}

class FilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "acl_test.XXXXXX";
    ASSERT_TRUE(::mkdtemp(name.data()));
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string path(const std::string& name) const { return directory_ + "/" + name; }

  std::string write(const std::string& name, std::string_view text, mode_t mode = 0644) const {
    const Fd file(::open(path(name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
    EXPECT_EQ(::write(file.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    EXPECT_EQ(::fchmod(file.get(), mode), 0);
    return path(name);
  }

  std::string directory_;
};

class AclFileTest : public FilesTest {
 protected:
  void SetUp() override {
    FilesTest::SetUp();
    if (geteuid() == 0) return;
    if (const char* ci = std::getenv("CI"); ci && std::string_view(ci) == "true")
      FAIL() << "files that root owns need root";
    GTEST_SKIP() << "files that root owns need root";
  }

  static std::string read(const std::string& path, const Ask& ask = {}) {
    const auto acl = read_acl(path.c_str());
    if (!acl) return acl.error().message;
    return authorise(*acl, ask) ? "yes" : "no";
  }
};

TEST_F(AclFileTest, ReadsAFileAndItsIncludes) {
  const auto inner = write("inner", "allow eth1\ndeny all user=7\n", 0600);
  const auto list = write("list", fmt::format("allow eth0 user=root\ninclude {0}\ninclude {0}", inner), 0640);
  EXPECT_EQ(read(list, {.uid = 0}), "yes");
  EXPECT_EQ(read(list, {.uid = 1}), "no");
  EXPECT_EQ(read(list, {.parent = "eth1"}), "yes");
  const auto refused = authorise(*read_acl(list.c_str()), {.parent = "eth1", .uid = 7});
  EXPECT_THAT(refused.error().message, EndsWith(fmt::format("line 2 of {} denies it", inner)));
  EXPECT_THAT(authorise(*read_acl(list.c_str()), {}).error().message,
              EndsWith(fmt::format("no rule of {} allows it", list)));
}

TEST_F(AclFileTest, NoFileIsAnErrorWithTheCure) {
  const auto acl = read_acl(path("none").c_str());
  ASSERT_FALSE(acl);
  EXPECT_EQ(acl.error().message,
            fmt::format("read {}: No such file or directory (everything is refused until it exists; a line of it: "
                        "allow eth0 group=kvm)",
                        path("none")));
}

TEST_F(AclFileTest, WhatIsWrongInsideOfAnIncludeNamesBothLines) {
  const auto inner = write("inner", "\nallow\n");
  const auto list = write("list", "allow eth0\ninclude " + inner);
  EXPECT_THAT(read(list), StartsWith(fmt::format("{}:2: {}:2: allow what?", list, inner)));
  EXPECT_EQ(read(write("list", "allow eth0\ninclude " + path("none"))),
            fmt::format("{}:2: read {}: No such file or directory", list, path("none")));
}

TEST_F(AclFileTest, WhatOthersThanRootCanWriteIsRefused) {
  const auto refusals = [&](const std::string& file, const std::string& what) {
    EXPECT_EQ(read(file), fmt::format("read {}: {}", file, what));
    const auto list = write("list", "allow eth0\ninclude " + file);
    EXPECT_EQ(read(list), fmt::format("{}:2: read {}: {}", list, file, what));
  };
  const auto file = write("file", "allow eth0\n");
  EXPECT_EQ(read(file), "yes");
  ASSERT_EQ(::chmod(file.c_str(), 0664), 0);
  refusals(file, fmt::format("others can write it (chmod go-w {})", file));
  ASSERT_EQ(::chmod(file.c_str(), 0646), 0);
  refusals(file, fmt::format("others can write it (chmod go-w {})", file));
  ASSERT_EQ(::chmod(file.c_str(), 0444), 0);
  ASSERT_EQ(::chown(file.c_str(), 7, 0), 0);
  refusals(file, fmt::format("owned by uid 7 instead of root (chown root {})", file));
  ASSERT_EQ(::chown(file.c_str(), 0, 7), 0);
  EXPECT_EQ(read(file), "yes");
}

TEST_F(AclFileTest, ASymlinkIsAsGoodAsTheFileItLeadsTo) {
  const auto file = write("file", "allow eth0\n");
  ASSERT_EQ(::symlink(file.c_str(), path("link").c_str()), 0);
  EXPECT_EQ(read(path("link")), "yes");
  ASSERT_EQ(::chown(file.c_str(), 7, 0), 0);
  EXPECT_THAT(read(path("link")), HasSubstr("owned by uid 7"));
}

TEST_F(AclFileTest, WhatIsNoRegularFileIsRefusedAndNotWaitedFor) {
  alarm(10);  // a FIFO without a writer would block for good
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_THAT(read(path("fifo")), EndsWith("not a regular file"));
  EXPECT_THAT(read(write("list", "include " + path("fifo"))), EndsWith("not a regular file"));
  alarm(0);
  EXPECT_THAT(read(directory_), EndsWith("not a regular file"));
  EXPECT_THAT(read("/dev/null"), EndsWith("not a regular file"));
}

TEST_F(AclFileTest, ALoopOfIncludesIsFoundByWhateverNames) {
  const auto self = write("self", "include " + path("self"));
  EXPECT_EQ(read(self), fmt::format("{0}:1: {0} includes itself", self));
  write("a", "allow eth0\ninclude " + path("b"));
  write("b", "include " + path("hard"));
  ASSERT_EQ(::link(path("a").c_str(), path("hard").c_str()), 0);
  EXPECT_THAT(read(path("a")), EndsWith(fmt::format("{} includes itself", path("hard"))));
  write("b", "include " + path("soft"));
  ASSERT_EQ(::symlink("a", path("soft").c_str()), 0);
  EXPECT_THAT(read(path("a")), EndsWith(fmt::format("{} includes itself", path("soft"))));
}

TEST_F(AclFileTest, FilesAndTextAreLimitedInAll) {
  const auto leaf = write("leaf", "allow eth0\n");
  const std::string include = "include " + leaf + "\n";
  std::string many;
  for (std::size_t file = 1; file < kMaxAclFiles; ++file) many += include;
  EXPECT_EQ(read(write("list", many)), "yes");
  EXPECT_THAT(read(write("list", many + include)), HasSubstr(":64: more than 64 files"));

  std::string half;
  while (half.size() < kMaxAclText / 2) half += "#23456789012345\n";
  write("leaf", half);
  const std::string list = "allow eth0\n" + include;
  std::string rest = half.substr(list.size());
  rest[0] = '#';
  EXPECT_EQ(read(write("list", list + rest)), "yes");
  EXPECT_THAT(read(write("list", list + rest + "\n")), HasSubstr("more than 1 MiB in all"));
}

using AccountsTest = FilesTest;

TEST_F(AccountsTest, AreThoseOfTheFilesAndNoneOfNis) {
  const auto accounts = system_accounts(
      write("passwd",
            "# a comment\n"
            "root:x:0:0::/:/bin/sh\n"
            "broken:x::5::/:/bin/sh\n"
            "alice:x:1000:5::/:/bin/sh\n"
            "alice:x:1001:5::/:/bin/sh\n"
            "+nis\n"
            "-nobody\n"),
      write("group", fmt::format("many:x:6:{0}\nkvm:x:100:alice,{0}\nlast:x:7:\n", std::string(100'000, 'm'))));
  EXPECT_EQ(accounts.uid("alice"), 1000U);
  EXPECT_EQ(accounts.uid("root"), 0U);
  for (const char* name : {"", "bob", "ali", "alice:x", "broken", "nis", "+nis", "-nobody", "# a comment", "kvm"})
    EXPECT_FALSE(accounts.uid(name)) << name;
  EXPECT_EQ(accounts.gid("kvm"), 100U);
  EXPECT_EQ(accounts.gid("last"), 7U);
  EXPECT_EQ(accounts.gid("many"), 6U);
  EXPECT_FALSE(accounts.gid("alice"));
}

TEST_F(AccountsTest, AreNobodyWithoutTheFiles) {
  const auto accounts = system_accounts(path("none"), path("none"));
  EXPECT_FALSE(accounts.uid("root"));
  EXPECT_FALSE(accounts.gid("root"));
  EXPECT_EQ(system_accounts().uid("root"), 0U);
  EXPECT_EQ(system_accounts().gid("root"), 0U);
}

}  // namespace
}  // namespace vmt::tap
