// SPDX-License-Identifier: LGPL-2.1-or-later
// Is virt-macvtap-lookup believed when it answers, and only then, and never waited for too long? Scripts stand in for
// it.
#include "helper/cli/lookup.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

namespace vmt::cli {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

class LookupTest : public testing::Test {
 protected:
  ~LookupTest() override { std::filesystem::remove(program_); }

  void program_does(const std::string& script) const {
    std::ofstream(program_) << "#!/bin/sh\n" << script << '\n';
    std::filesystem::permissions(program_, std::filesystem::perms::owner_all);
  }
  std::expected<std::vector<std::string>, Error> ask(std::vector<std::string> question = {},
                                                     milliseconds patience = milliseconds(5000)) const {
    return look_up(std::move(question), patience, program_);
  }

  const std::string program_ = testing::TempDir() + "lookup-" + std::to_string(getpid());
};

TEST_F(LookupTest, AnAnswerIsItsTexts) {
  program_does(R"(printf '%s\0' "$@" '' "two
lines")");
  EXPECT_THAT(ask({"a b", "c"}).value(), ElementsAre("a b", "c", "", "two\nlines"));
}

TEST_F(LookupTest, ALongAnswerArrivesWhole) {
  program_does("head -c 300000 /dev/zero | tr '\\0' x; printf '\\0'");
  const auto answer = ask().value();
  ASSERT_EQ(answer.size(), 1U);
  EXPECT_EQ(answer.front(), std::string(300000, 'x'));
}

TEST_F(LookupTest, AnErrorIsPassedOn) {
  program_does(R"(printf 'there is no user\0'; exit 3)");
  auto answer = ask();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(answer.error().message, "there is no user");
  program_does(R"(printf 'no connection\0'; exit 1)");
  answer = ask();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::kFailed);
  EXPECT_EQ(answer.error().message, "no connection");
}

TEST_F(LookupTest, HalfAnAnswerIsNone) {
  program_does(R"(printf 'first\0second'; kill -9 $$)");
  const auto answer = ask();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::kFailed);
}

// When poll() or read() fails there may be more to come, and libvirt's guests whose names are in it still run.
TEST_F(LookupTest, AnAnswerThatCannotBeReadToItsEndIsNone) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  // poll() fails with EINVAL from then on, except when it waits already.
  program_does("prlimit --pid $PPID --nofile=0: || exit 0; printf 'first\\0'; sleep 0.3; printf 'second\\0'");
  const auto answer = ask();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  ASSERT_FALSE(answer) << testing::PrintToString(*answer);
  EXPECT_THAT(answer.error().message, HasSubstr("Invalid argument"));
}

// Whoever starts us may ignore SIGCHLD, which is inherited: the kernel then keeps no exit status for anybody.
TEST_F(LookupTest, AnErrorIsOneThoughTheCallerIgnoresHisChildren) {
  const auto before = signal(SIGCHLD, SIG_IGN);
  program_does(R"(printf 'no connection\0'; exit 1)");
  const auto refused = ask();
  program_does(R"(printf 'web\0')");
  const auto answer = ask();
  const auto after = signal(SIGCHLD, before);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "no connection");
  EXPECT_THAT(answer.value(), ElementsAre("web"));
  EXPECT_EQ(after, SIG_IGN) << "what we start later gets what we got";
}

TEST_F(LookupTest, AMissingProgramIsSaidToBeMissing) {
  const auto answer = ask();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::kNotFound);
  EXPECT_THAT(answer.error().message, HasSubstr(program_ + ": No such file or directory"));
}

TEST_F(LookupTest, WhoDoesNotAnswerInTimeIsKilled) {
  const std::string note = program_ + "-pid";
  program_does("echo $$ >" + note + "; printf 'half\\0'; exec sleep 30");
  const auto start = std::chrono::steady_clock::now();
  const auto answer = ask({}, milliseconds(300));
  const auto waited = std::chrono::steady_clock::now() - start;
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::kTimeout);
  EXPECT_GE(waited, milliseconds(300));
  EXPECT_LT(waited, milliseconds(5000));
  pid_t pid = 0;
  std::ifstream(note) >> pid;
  std::filesystem::remove(note);
  ASSERT_GT(pid, 0);
  EXPECT_LT(kill(pid, 0), 0) << "it still runs";
}

}  // namespace
}  // namespace vmt::cli
