// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/directory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "lib/tap_holders.h"
#include "tests/failing_call.h"

namespace vmt {
namespace {

TEST(DirectoryTest, AnErrorIsNotTheEnd) {
  const auto tell = [](int error) {
    auto folder = Directory::open(AT_FDCWD, "/proc/self");
    const auto names = folder ? folder->names() : std::unexpected(folder.error());
    return error == 0 ? names && names->size() > 1 : !names && names.error() == error;
  };
  EXPECT_TRUE(tell(0));
  expect_where_it_fails({SYS_getdents64}, ENOMEM, [&] { return tell(ENOMEM); });
  expect_where_it_fails({SYS_openat}, EMFILE, [&] { return tell(EMFILE); });
}

// Else `clean` and `sync` would take a device from under a running guest.
TEST(TapHoldersTest, WhoCannotBeAskedHoldsNotNothing) {
  EXPECT_TRUE(TapHolders::scan());
  // fstatat() without a flag: a file in the folder, and not the folder itself.
  for (const FailingCall& call : {FailingCall{SYS_getdents64}, {SYS_openat}, {SYS_newfstatat, 0}})
    for (const int error : {ENOMEM, EMFILE}) expect_where_it_fails(call, error, [] { return !TapHolders::scan(); });
}

}  // namespace
}  // namespace vmt
