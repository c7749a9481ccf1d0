// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/tap/acl_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "lib/fd.h"
#include "tests/unit/acl_ask.h"

namespace vmt::tap {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

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
