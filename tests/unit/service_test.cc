// SPDX-License-Identifier: LGPL-2.1-or-later
// A socket as systemd has it, and what comes out of it.
#include "helper/watch/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "lib/fd.h"

namespace vmt::watch {
namespace {

class NotifyTest : public testing::Test {
 protected:
  void TearDown() override { unsetenv("NOTIFY_SOCKET"); }

  static Fd receiver(const std::string& path) {
    Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (path[0] == '@') address.sun_path[0] = '\0';
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size())),
              0)
        << std::strerror(errno);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
    return fd;
  }
  static std::string received(const Fd& fd) {
    char buffer[256];
    const auto size = recv(fd.get(), buffer, sizeof buffer, 0);
    return size < 0 ? "nothing" : std::string(buffer, static_cast<std::size_t>(size));
  }
  static std::string unique(const std::string& start) { return start + "vmt-notify-" + std::to_string(getpid()); }
};

TEST_F(NotifyTest, AStateArrivesByPathAndByAbstractName) {
  for (const std::string& path : {unique("/tmp/"), unique("@")}) {
    const Fd systemd = receiver(path);
    EXPECT_TRUE(notify("READY=1\nSTATUS=2 parents"));
    EXPECT_EQ(received(systemd), "READY=1\nSTATUS=2 parents") << path;
    unlink(path.c_str());
  }
}

TEST_F(NotifyTest, WithoutASocketNothingHappens) {
  unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(notify("READY=1"));
  setenv("NOTIFY_SOCKET", "", 1);
  EXPECT_TRUE(notify("READY=1"));
}

TEST_F(NotifyTest, WhereNobodyListensOrCanListenIsAnError) {
  for (const std::string& path : {unique("/tmp/nobody-"), std::string("relative"), "/" + std::string(107, 'x')}) {
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
    const auto status = notify("READY=1");
    ASSERT_FALSE(status) << path;
    EXPECT_THAT(status.error().message, testing::HasSubstr(path));
  }
}

TEST_F(NotifyTest, AReceiverThatDoesNotReadStopsNobody) {
  const Fd systemd = receiver(unique("@"));
  Status status;
  for (int i = 0; i < 100'000 && status; ++i) status = notify("STATUS=again");
  EXPECT_FALSE(status);
}

}  // namespace
}  // namespace vmt::watch
