// SPDX-License-Identifier: LGPL-2.1-or-later
// The words of `virt-macvtap exec`: what --nic means, and where a command's placeholders go.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "helper/cli/nic_option.h"
#include "helper/cli/placeholders.h"

namespace vmt::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(NicOptionTest, ReadsEveryKey) {
  const auto nic = parse_nic_option(
      "parent=eth0,mac=52:54:00:12:34:56,mode=source,queues=4,vhost=on,mtu=1400,bcqueuelen=7,allow-mac=52:54:00:00:00:"
      "01,"
      "allow-mac=52:54:00:00:00:02,name=tap-web");
  ASSERT_TRUE(nic) << nic.error().message;
  EXPECT_EQ(nic->parent.str(), "eth0");
  EXPECT_EQ(nic->mac->str(), "52:54:00:12:34:56");
  EXPECT_EQ(nic->mode, MacvlanMode::kSource);
  EXPECT_EQ(nic->queues, 4U);
  EXPECT_EQ(nic->vhost, Vhost::kOn);
  EXPECT_EQ(nic->mtu, 1400U);
  EXPECT_EQ(nic->bc_queue_length, 7U);
  EXPECT_EQ(nic->name->str(), "tap-web");
  ASSERT_EQ(nic->allowed.size(), 2U);
  EXPECT_EQ(nic->allowed[1].str(), "52:54:00:00:00:02");
}

TEST(NicOptionTest, DefaultsToOneQueueInBridgeModeWithAnyMac) {
  const auto nic = parse_nic_option("parent=eth0");
  ASSERT_TRUE(nic);
  EXPECT_EQ(nic->mode, MacvlanMode::kBridge);
  EXPECT_EQ(nic->queues, 1U);
  EXPECT_EQ(nic->vhost, Vhost::kAuto);
  EXPECT_FALSE(nic->mac || nic->name || nic->mtu || nic->bc_queue_length);
  EXPECT_TRUE(nic->promiscuous);
  EXPECT_THAT(nic->allowed, IsEmpty());
}

TEST(NicOptionTest, AMacFromANameIsTheSameEveryTimeAndLocallyAdministered) {
  const auto web = parse_nic_option("parent=eth0,mac=auto:web");
  const auto again = parse_nic_option("mac=auto:web,parent=eth1");
  const auto db = parse_nic_option("parent=eth0,mac=auto:db");
  ASSERT_TRUE(web && again && db);
  EXPECT_EQ(web->mac, again->mac);
  EXPECT_NE(web->mac, db->mac);
  EXPECT_EQ(web->mac->bytes()[0] & 3, 2);
}

TEST(NicOptionTest, RefusesWhatMakesNoSenseAndNamesIt) {
  constexpr struct {
    const char* text;
    const char* complaint;
  } kTable[] = {
      {"", "parent=LINK is missing"},
      {"mac=52:54:00:12:34:56", "parent=LINK is missing"},
      {"parent=", "''"},
      {"parent=eth0/1", "eth0/1"},
      {"eth0", "'eth0' is not KEY=VALUE"},
      {"parent=eth0,,queues=2", "'' is not KEY=VALUE"},
      {"parent=eth0,queue=2", "'queue' is not known"},
      {"parent=eth0,parent=eth1", "'parent' is given twice"},
      {"parent=eth0,queues=0", "'0' is no number from 1 to 256"},
      {"parent=eth0,queues=257", "257"},
      {"parent=eth0,queues=4x", "4x"},
      {"parent=eth0,queues=-1", "-1"},
      {"parent=eth0,mtu=67", "67"},
      {"parent=eth0,mac=01:00:5e:00:00:01", "01:00:5e:00:00:01"},
      {"parent=eth0,mac=auto:", "auto"},
      {"parent=eth0,vhost=yes", "'yes' is not auto, on or off"},
      {"parent=eth0,mode=hairpin", "hairpin"},
      {"parent=eth0,nopromisc=maybe", "'nopromisc' is not known"},
      {"parent=eth0,allow-mac=zz", "zz"},
  };
  for (const auto& row : kTable) {
    const auto nic = parse_nic_option(row.text);
    ASSERT_FALSE(nic) << row.text;
    EXPECT_EQ(nic.error().kind, ErrorKind::kInvalid) << row.text;
    EXPECT_THAT(nic.error().message, HasSubstr(row.complaint)) << row.text;
  }
  EXPECT_TRUE(parse_nic_option("parent=eth0,"));  // as QEMU takes it
}

const std::vector<Values> kNics = {{{7, 8}, {9, 10}, "52:54:00:00:00:01", "vmta"},
                                   {{11}, {}, "52:54:00:00:00:02", "vmtb"}};

TEST(PlaceholdersTest, AreReplaced) {
  constexpr struct {
    const char* argument;
    const char* expanded;
  } kTable[] = {
      {"tap,id=n0,fds={0.fds},vhostfds={0.vhostfds}", "tap,id=n0,fds=7:8,vhostfds=9:10"},
      {"{1.fd}", "11"},
      {"fd={1.fd},mac={1.mac},x={1.ifname}", "fd=11,mac=52:54:00:00:00:02,x=vmtb"},
      {"{0.mac}{1.mac}", "52:54:00:00:00:0152:54:00:00:00:02"},
      // No vhost: the option goes, and nothing else does.
      {"tap,fds={1.fds},vhostfds={1.vhostfds}", "tap,fds=11"},
      {"tap,fds={1.fds},vhostfds={1.vhostfds},id=n1", "tap,fds=11,id=n1"},
      {"echo {1.vhostfds} end", "echo  end"},
      {"a=b {1.vhostfds}", "a=b "},
      {"vhostfds={1.vhostfds}", "vhostfds="},
      // Braces of others.
      {"{\"driver\":\"virtio-net-pci\",\"mac\":\"{0.mac}\"}",
       "{\"driver\":\"virtio-net-pci\",\"mac\":\"52:54:00:00:00:01\"}"},
      {"{{0.fd}", "{0.fd}"},
      {"{{{{", "{{"},
      {"{", "{"},
      {"{}", "{}"},
      {"", ""},
      {"plain", "plain"},
  };
  for (const auto& row : kTable) {
    const auto expanded = expand(row.argument, kNics);
    ASSERT_TRUE(expanded) << row.argument << ": " << expanded.error().message;
    EXPECT_EQ(*expanded, row.expanded) << row.argument;
  }
}

TEST(PlaceholdersTest, AWrongOneIsAnErrorBeforeAnythingIsMade) {
  for (const char* argument : {"{0.fdz}", "{0}", "{0.}", "{0fd}", "{0.fd", "{99999999999999999999999.fd}", "{0.fd }"}) {
    const std::vector<std::string> command{"qemu", argument};
    const auto found = placeholders_in(command);
    ASSERT_FALSE(found) << argument;
    EXPECT_EQ(found.error().kind, ErrorKind::kInvalid);
    EXPECT_FALSE(expand(argument, kNics)) << argument;
  }
  EXPECT_FALSE(expand("{2.fd}", kNics));
  EXPECT_THAT(split_argument("{0.fd\n}").error().message, HasSubstr("'{0.fd\\x0a}' is no placeholder"));
}

TEST(PlaceholdersTest, AreFoundWhereverTheyAre) {
  const std::vector<std::string> command{"qemu", "tap,fd={1.fd}", "{{0.fd}", "x{0.mac}y{1.fd}"};
  const auto found = placeholders_in(command);
  ASSERT_TRUE(found);
  EXPECT_THAT(*found, ElementsAre(Placeholder{0, Field::kMac}, Placeholder{1, Field::kFd}));
}

}  // namespace
}  // namespace vmt::cli
