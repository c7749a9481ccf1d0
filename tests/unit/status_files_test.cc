// SPDX-License-Identifier: LGPL-2.1-or-later
// libvirt's status files as tests/e2e/record-fixtures has recorded them, in a folder that changes as libvirt's does.
#include "xml/status_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace vmt {
namespace {

namespace fs = std::filesystem;

MacAddress mac(const char* text) {
  return *MacAddress::parse(text);
}

class StatusFilesTest : public testing::Test {
 protected:
  StatusFilesTest() {
    char name[] = "/tmp/status_files_test.XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~StatusFilesTest() override { fs::remove_all(folder_); }

  static fs::path recorded(const std::string& guest) { return fs::path(VMT_TEST_DATA) / "status" / (guest + ".xml"); }
  void put(const std::string& guest) { fs::copy_file(recorded(guest), folder_ / (guest + ".xml")); }

  fs::path folder_;
};

TEST_F(StatusFilesTest, TellWhoseANicIsAndWhatItWasGiven) {
  put("static");
  put("pool");
  StatusFiles files(folder_);
  files.refresh();
  const Guest* guest = files.guest_with(mac("52:54:00:12:34:56"));
  ASSERT_NE(guest, nullptr);
  EXPECT_EQ(guest->name, "static");
  ASSERT_EQ(guest->given.size(), 1U);
  EXPECT_EQ(guest->given[0].addresses.size(), 2U);
  EXPECT_TRUE(guest->host_access);
  ASSERT_NE(files.guest_with(mac("52:54:00:12:34:59")), nullptr) << "of a <network>";
  EXPECT_EQ(files.guest_with(mac("52:54:00:99:99:99")), nullptr);
}

TEST_F(StatusFilesTest, ANewNicThatNoneOfThemHasMayBeWrittenDownForFiveSeconds) {
  put("static");
  StatusFiles files(folder_);
  files.refresh();
  const MacAddress written = mac("52:54:00:12:34:56"), plugged = mac("52:54:00:12:34:59");
  const auto start = StatusFiles::Clock::now();
  const auto may_be = [&](std::vector<MacAddress> nics, int milliseconds) {
    return files.may_be_written_yet(nics, start + std::chrono::milliseconds(milliseconds));
  };
  EXPECT_FALSE(may_be({written}, 0));
  EXPECT_TRUE(may_be({written, plugged}, 1000));
  EXPECT_TRUE(may_be({written, plugged}, 5999));
  files.refresh();
  files.refresh();
  EXPECT_FALSE(may_be({written, plugged}, 6000)) << "however often the files are read";
  EXPECT_FALSE(may_be({written}, 7000));
  EXPECT_TRUE(may_be({written, plugged}, 8000)) << "plugged in once more";
  put("pool");
  files.refresh();
  EXPECT_FALSE(may_be({written, plugged}, 8001)) << "it is written down";
}

TEST_F(StatusFilesTest, SeeAFileThatWasChangedInItsPlace) {
  put("static");
  StatusFiles files(folder_);
  files.refresh();
  std::fstream file(folder_ / "static.xml", std::ios::in | std::ios::out);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  for (auto at = text.find("52:54:00:12:34:56"); at != text.npos; at = text.find("52:54:00:12:34:56"))
    text.replace(at, 17, "52:54:00:12:34:77");
  file.clear();
  file.seekp(0);
  file << text;
  file.close();
  fs::last_write_time(folder_ / "static.xml", fs::file_time_type::clock::now() + std::chrono::seconds(1));
  files.refresh();
  EXPECT_NE(files.guest_with(mac("52:54:00:12:34:77")), nullptr);
}

TEST_F(StatusFilesTest, FollowWhatLibvirtWrites) {
  StatusFiles files(folder_);
  files.refresh();
  EXPECT_EQ(files.guest_with(mac("52:54:00:12:34:56")), nullptr);
  put("static");
  files.refresh();
  ASSERT_NE(files.guest_with(mac("52:54:00:12:34:56")), nullptr);
  // Somebody runs `virsh metadata --live`: libvirt writes a new file and renames it.
  std::ifstream old(recorded("static"));
  std::string text((std::istreambuf_iterator<char>(old)), std::istreambuf_iterator<char>());
  const std::string element = "<vmt:host-access ";
  text.insert(text.find(element) + element.size(), "enabled='no' ");
  std::ofstream(folder_ / "new") << text;
  fs::rename(folder_ / "new", folder_ / "static.xml");
  files.refresh();
  EXPECT_FALSE(files.guest_with(mac("52:54:00:12:34:56"))->host_access);
  fs::remove(folder_ / "static.xml");
  files.refresh();
  EXPECT_EQ(files.guest_with(mac("52:54:00:12:34:56")), nullptr);
}

// With so many free file descriptors, and no more.
template <typename Body>
void with_descriptors(unsigned count, Body body) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = dup(0);
  close(next);
  const rlimit few{.rlim_cur = static_cast<rlim_t>(next) + count, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  body();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST_F(StatusFilesTest, KeepWhatWasKnownWhenTheyCannotBeRead) {
  put("static");
  put("pool");
  StatusFiles files(folder_);
  EXPECT_TRUE(files.refresh());
  EXPECT_FALSE(files.incomplete());
  std::ofstream(folder_ / "static.xml", std::ios::app) << "\n";
  for (const unsigned descriptors : {0U, 1U}) {  // not the folder; not a file in it
    with_descriptors(descriptors, [&] { EXPECT_FALSE(files.refresh()); });
    EXPECT_TRUE(files.incomplete());
    EXPECT_NE(files.guest_with(mac("52:54:00:12:34:56")), nullptr);
    EXPECT_NE(files.guest_with(mac("52:54:00:12:34:59")), nullptr);
  }
  EXPECT_TRUE(files.refresh());
  EXPECT_FALSE(files.incomplete());
  fs::remove_all(folder_);
  EXPECT_TRUE(files.refresh());
  EXPECT_FALSE(files.incomplete());
  EXPECT_EQ(files.guest_with(mac("52:54:00:12:34:56")), nullptr);
}

TEST_F(StatusFilesTest, LeaveOutWhatIsNoDomain) {
  put("static");
  std::ofstream(folder_ / "garbage.xml") << "<domstatus><dom";
  std::ofstream(folder_ / "empty.xml");
  fs::create_directory(folder_ / "folder.xml");
  fs::create_symlink("static.xml", folder_ / "link.xml");
  fs::create_symlink("loop.xml", folder_ / "loop.xml");
  StatusFiles files(folder_);
  files.refresh();
  files.refresh();
  EXPECT_NE(files.guest_with(mac("52:54:00:12:34:56")), nullptr);
  StatusFiles("/nowhere").refresh();
}

}  // namespace
}  // namespace vmt
