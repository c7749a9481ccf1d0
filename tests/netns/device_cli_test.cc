// SPDX-License-Identifier: LGPL-2.1-or-later
// `create`, `set`, `delete` and `clean`, held against what `ip -d -j link` prints.
#include "tests/netns/device_cli.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/tag.h"

namespace vmt {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kMac = "52:54:00:12:34:56";

TEST_F(DeviceCliTest, ADefaultDeviceIsAMacvtapInBridgeModeWithARandomMacAndUp) {
  run("create tap-web tap-db --parent eth0");
  for (const char* name : {"tap-web", "tap-db"}) {
    const json shown = link(name);
    EXPECT_EQ(shown["linkinfo"]["info_kind"], "macvtap");
    EXPECT_EQ(shown["linkinfo"]["info_data"]["mode"], "bridge");
    EXPECT_EQ(shown["link"], "eth0");
    EXPECT_EQ(shown["mtu"], link("eth0")["mtu"]);
    EXPECT_EQ(shown["group"], std::to_string(kDeviceGroup));
    EXPECT_EQ(shown["ifalias"], "virt-macvtap: standing");
    EXPECT_TRUE(has_flag(shown, "UP"));
    EXPECT_TRUE(has_flag(shown, "ALLMULTI"));
  }
  EXPECT_NE(link("tap-web")["address"], link("tap-db")["address"]);
  EXPECT_THAT(output_of("cat /run/out"), HasSubstr("create macvtap tap-db on eth0"));
  struct stat node {};
  ASSERT_EQ(stat(node_of("tap-web").c_str(), &node), 0);
  EXPECT_EQ(node.st_uid, 0U);
  EXPECT_EQ(node.st_mode & 0777, 0600U);
}

TEST_F(DeviceCliTest, EveryOptionReachesTheKernel) {
  run("create tap-web --parent eth0 --type macvlan --mode source --allow-mac 52:54:00:00:00:01 --allow-mac "
      "52:54:00:00:00:02 --mac 52:54:00:12:34:56 --mtu 1400 --bcqueuelen 33 --down");
  json shown = link("tap-web");
  EXPECT_EQ(shown["linkinfo"]["info_kind"], "macvlan");
  EXPECT_EQ(shown["address"], kMac);
  EXPECT_EQ(shown["mtu"], 1400);
  EXPECT_FALSE(has_flag(shown, "UP"));
  const std::string text = output_of("ip -d link show dev tap-web");
  EXPECT_THAT(text, HasSubstr("mode source bcqueuelen 33"));
  EXPECT_THAT(text, HasSubstr("remotes (2) 52:54:00:00:00:01 52:54:00:00:00:02"));
  run("delete tap-web");
  for (const char* mode : {"vepa", "private"}) {
    run(std::string("create tap-web --parent eth0 --mode ") + mode);
    EXPECT_EQ(mode_data("tap-web")["mode"], mode);
    run("delete tap-web");
  }
  run("create tap-web --parent eth0 --mode passthrough");
  EXPECT_EQ(mode_data("tap-web")["mode"], "passthru");
  EXPECT_EQ(link("tap-web")["address"], link("eth0")["address"]);
  EXPECT_EQ(link("eth0")["promiscuity"], 1);
  run("delete tap-web");
  run("create tap-web --parent eth0 --mode passthru --nopromisc");
  EXPECT_THAT(output_of("ip -d link show dev tap-web"), HasSubstr("mode passthru nopromisc"));
  EXPECT_EQ(link("eth0")["promiscuity"], 0);
}

TEST_F(DeviceCliTest, TheOwnerCanOpenTheNodeAndNobodyElse) {
  struct stat node {};
  run("create tap-web --parent eth0 --owner nobody");
  ASSERT_EQ(stat(node_of("tap-web").c_str(), &node), 0);
  EXPECT_EQ(node.st_uid, 65534U);
  EXPECT_EQ(node.st_gid, 0U);
  EXPECT_EQ(node.st_mode & 0777, 0600U);
  const std::string open = "sh -c 'exec 3<>" + node_of("tap-web") + "' 2>/dev/null";
  EXPECT_EQ(status_of("setpriv --reuid 65534 --regid 65534 --clear-groups " + open), 0);
  EXPECT_NE(status_of("setpriv --reuid 65533 --regid 65533 --clear-groups " + open), 0);
  run("create tap-db --parent eth0 --owner 65532:65533");
  ASSERT_EQ(stat(node_of("tap-db").c_str(), &node), 0);
  EXPECT_EQ(node.st_uid, 65532U);
  EXPECT_EQ(node.st_gid, 65533U);
  EXPECT_EQ(node.st_mode & 0777, 0660U);
  EXPECT_THAT(refusal("create tap-x --parent eth0 --owner no-such-user"), HasSubstr("no user 'no-such-user'"));
  EXPECT_THAT(refusal("create tap-x --parent eth0 --owner nobody:no-such"), HasSubstr("no group 'no-such'"));
}

// In a container there is no devtmpfs that makes it.
TEST_F(DeviceCliTest, ANodeThatWeMakeIsTheOwnersAloneWhateverTheUmask) {
  sh("mount -t tmpfs -o mode=755 tmpfs /dev && mknod -m 666 /dev/null c 1 3");
  const mode_t mask = umask(0);
  run("create tap-root --parent eth0");
  run("create tap-web --parent eth0 --owner nobody");
  umask(mask);
  for (const auto& [name, owner] : {std::pair{"tap-root", 0U}, std::pair{"tap-web", 65534U}}) {
    struct stat node {};
    ASSERT_EQ(stat(node_of(name).c_str(), &node), 0) << name;
    EXPECT_TRUE(S_ISCHR(node.st_mode)) << name;
    EXPECT_EQ(node.st_mode & 0777, 0600U) << name;
    EXPECT_EQ(node.st_uid, owner) << name;
  }
}

// The next device with the same minor number would be the old owner's to open.
TEST_F(DeviceCliTest, ANodeThatWeMakeGoesWithItsDevice) {
  sh("mount -t tmpfs -o mode=755 tmpfs /dev && mknod -m 666 /dev/null c 1 3 && mkdir -m 755 /dev/net");
  run("create tap-web tap-db --parent eth0 --owner nobody");
  EXPECT_THAT(output_of("ls /dev"), HasSubstr("tap"));
  run("delete tap-web");
  EXPECT_EQ(output_of("ls /dev | grep -c tap"), "1\n");
  run("clean");
  EXPECT_EQ(output_of("ls /dev"), "net\nnull\n");
  // The first is undone when the second cannot be made.
  EXPECT_THAT(refusal("create a b --parent eth0 --mode passthru"), HasSubstr("a is in passthru mode"));
  EXPECT_EQ(output_of("ls /dev"), "net\nnull\n");
}

// /dev/tapN is one for all namespaces: a device of ours that somebody gave a common number shares its name with theirs.
TEST_F(DeviceCliTest, ANodeStaysThatMayBeAnothersOrWhoseDeviceStays) {
  run("create tap-web --parent eth0");
  const std::string node = node_of("tap-web");
  sh("mount -t tmpfs -o mode=755 tmpfs /dev && mknod /dev/null c 1 3 && mknod /dev/tap7777 c 1 3 && mknod " + node +
     " c 1 3");
  sh("ip link add link eth0 name half index 7777 group " + std::to_string(kDeviceGroup) + " type macvtap mode bridge");
  // Root may unlink it, but not delete the device.
  EXPECT_EQ(status_of("setpriv --bounding-set -net_admin --inh-caps -net_admin " + kCli + "delete tap-web 2>/run/err"),
            1);
  EXPECT_THAT(output_of("cat /run/err"), HasSubstr("Operation not permitted"));
  EXPECT_TRUE(exists("tap-web"));
  EXPECT_EQ(access(node.c_str(), F_OK), 0);
  run("clean");
  EXPECT_FALSE(exists("tap-web"));
  EXPECT_FALSE(exists("half"));
  EXPECT_NE(access(node.c_str(), F_OK), 0);
  EXPECT_EQ(access("/dev/tap7777", F_OK), 0);
}

TEST_F(DeviceCliTest, AMacvlanIsAPlainLinkThatSpeaks) {
  run("create box --parent eth0 --type macvlan");
  EXPECT_FALSE(has_flag(link("box"), "NOARP"));
  sh("ip netns add box && ip link set box netns box && ip -n box link set box up && ip -n box addr add 192.0.2.77/24 "
     "dev "
     "box");
  EXPECT_EQ(status_of("ip netns exec box ping -q -c1 -W2 192.0.2.1 >/dev/null"), 0);
}

// Else the lock would get their number, and what is said.
TEST_F(DeviceCliTest, WithClosedStandardStreamsItDoesTheSame) {
  EXPECT_EQ(status_of(kCli + "create tap-web --parent eth0 <&- >&- 2>&-"), 0);
  EXPECT_TRUE(exists("tap-web"));
  EXPECT_EQ(status_of(kCli + "create tap-web --parent eth0 2>&-"), 1);
  EXPECT_EQ(output_of("cat /run/virt-macvtap.lock"), "");
  EXPECT_EQ(status_of(kCli + "delete tap-web <&- >&- 2>&-"), 0);
  EXPECT_FALSE(exists("tap-web"));
}

TEST_F(DeviceCliTest, ASourceDeviceThatAllowsNobodyIsSaidToBeDeaf) {
  EXPECT_EQ(status_of(kCli + "create tap-web --parent eth0 --mode source 2>/run/err"), 0);
  EXPECT_THAT(output_of("cat /run/err"), HasSubstr("tap-web is in mode source and allows nobody yet"));
  run("create tap-db --parent eth0");
  EXPECT_EQ(status_of(kCli + "set tap-db --mode source 2>/run/err"), 0);
  EXPECT_THAT(output_of("cat /run/err"), HasSubstr("tap-db is in mode source and allows nobody yet"));
  run("set tap-db --mode source --mtu 1400");  // as before
}

TEST_F(DeviceCliTest, ADryRunSaysWhatARunWouldDoAndDoesNothing) {
  const std::string before = network_state();
  run("create tap-web --parent eth0 --mac 52:54:00:12:34:56 --dry-run");
  EXPECT_EQ(output_of("cat /run/out"), "create macvtap tap-web on eth0 in mode bridge with 52:54:00:12:34:56\n");
  EXPECT_EQ(network_state(), before);
  run("create tap-web --parent eth0 --mac 52:54:00:12:34:56");
  const std::string made = network_state();
  run("set tap-web --mtu 1400 --dry-run");
  EXPECT_EQ(output_of("cat /run/out"), "set tap-web mtu 1400\n");
  run("delete tap-web --dry-run");
  EXPECT_EQ(output_of("cat /run/out"), "delete tap-web\n");
  EXPECT_EQ(network_state(), made);
  run("delete tap-web");
  EXPECT_EQ(network_state(), before);
}

TEST_F(DeviceCliTest, WhatCannotBeMadeIsOneLineWithItsCureAndLeavesNothing) {
  sh("ip link add link eth0 name theirs address 52:54:00:12:34:57 type macvtap mode bridge && ip link set theirs up");
  const struct {
    const char* words;
    const char* line;
  } kRows[] = {
      {"tap-web --parent nosuch0", "no link is named nosuch0"},
      {"tap-web --parent lo", "lo is the loopback; a parent is an Ethernet link"},
      {"theirs --parent eth0", "theirs: a link of this name exists"},
      {"vnet0 --parent eth0", "libvirt's; choose another"},
      {"vmt-3 --parent eth0", "the host's own links to guests; choose another"},
      {"all --parent eth0", "means something else; choose another"},
      {"tap-web --parent theirs", "theirs is a macvtap itself; use eth0 as the parent"},
      {"tap-web tap-web --parent eth0", "tap-web: named twice"},
      {"tap-web --parent eth0 --mtu 1501", "eth0 has an MTU of 1500; a device on it cannot have more"},
      {"tap-web --parent eth0 --mode passthru", "passthru needs eth0 for itself, and it has 1 device, theirs first"},
      {"tap-web --parent eth0 --mac 52:54:00:12:34:57", "theirs has the MAC 52:54:00:12:34:57"},
      {"tap-web --parent eth0 --mac 52:54:00:ee:00:10", "52:54:00:ee:00:10 is the MAC of eth0 itself"},
  };
  for (const auto& row : kRows) EXPECT_THAT(refusal(std::string("create ") + row.words), HasSubstr(row.line));
  EXPECT_THAT(refusal("create tap%d --parent eth0", 2), HasSubstr("without blanks, '/', ':' and '%'"));
  sh("ip link del theirs && ip link add link eth0 name whole type macvtap mode passthru");
  EXPECT_THAT(refusal("create tap-web --parent eth0"), HasSubstr("whole is in passthru mode and has eth0 for itself"));
}

TEST_F(DeviceCliTest, APortIsNoParentAndItsMasterIsNamed) {
  sh("ip link add br0 type bridge && ip link set eth0 master br0");
  EXPECT_THAT(refusal("create tap-web --parent eth0"),
              HasSubstr("eth0 is a port of bridge br0; use br0 as the parent"));
  sh("ip link set br0 up");
  run("create tap-web --parent br0");
  EXPECT_EQ(link("tap-web")["link"], "br0");
  run("delete tap-web");
}

TEST_F(DeviceCliTest, WhenOneOfSeveralFailsNoneIsLeft) {
  // The first takes the parent for itself, so the second cannot be made.
  EXPECT_THAT(refusal("create a b c --parent eth0 --mode passthru"), HasSubstr("a is in passthru mode and has eth0"));
  EXPECT_EQ(output_of("cat /run/out"), "create macvtap a on eth0 in mode passthru\ndelete a\n");
}

TEST_F(DeviceCliTest, AParentThatLeadsNowhereIsSaidAndIsNoFailure) {
  sh("ip -n peer link set eth0 down");
  EXPECT_EQ(status_of(kCli + "create tap-web --parent eth0 >/dev/null 2>/run/err"), 0);
  EXPECT_THAT(output_of("cat /run/err"), HasSubstr("eth0 has no carrier"));
  EXPECT_EQ(list()[0]["state"], "no carrier");
  sh("ip link set eth0 down");
  EXPECT_EQ(status_of(kCli + "create tap-db --parent eth0 >/dev/null 2>/run/err"), 0);
  EXPECT_THAT(output_of("cat /run/err"), HasSubstr("eth0 is down"));
  EXPECT_TRUE(has_flag(link("tap-db"), "UP"));
}

TEST_F(DeviceCliTest, WhatMakesNoSenseIsExitStatusTwo) {
  for (const char* words : {"create --parent eth0",
                            "create tap-web",
                            "create tap-web --parent",
                            "create 'a b' --parent eth0",
                            "create tap-web --parent eth0 --mode routed",
                            "create tap-web --parent eth0 --type tun",
                            "create tap-web --parent eth0 --mac nonsense",
                            "create tap-web --parent eth0 --mac 01:00:5e:00:00:01",
                            "create tap-web --parent eth0 --mac 00:00:00:00:00:00",
                            "create tap-web --parent eth0 --mtu -1",
                            "create tap-web --parent eth0 --mtu 15x",
                            "create tap-web --parent eth0 --mtu 99999999999",
                            "create a b --parent eth0 --mac 52:54:00:12:34:56",
                            "create a --parent eth0 --nopromisc",
                            "create a --parent eth0 --mode passthru --mac 52:54:00:12:34:56",
                            "create a --parent eth0 --allow-mac 52:54:00:12:34:56",
                            "create a --parent eth0 --type macvlan --owner nobody",
                            "create a --parent eth0 --owner",
                            "set tap-web",
                            "set tap-web --up --down",
                            "set tap-web --allmulticast maybe",
                            "set a b --up",
                            "set tap-web --mtu ''",
                            "delete",
                            "delete ''",
                            "delete --all",
                            "list a b",
                            "list --bogus"})
    EXPECT_THAT(refusal(words, 2), HasSubstr("--help")) << words;
}

TEST_F(DeviceCliTest, HelpShowsAnExample) {
  for (const char* command : {"create", "set", "delete", "list"}) {
    run(std::string(command) + " --help");
    EXPECT_THAT(output_of("cat /run/out"), AllOf(StartsWith(std::string("Usage: virt-macvtap ") + command),
                                                 HasSubstr(std::string("\n  virt-macvtap ") + command)));
  }
}

TEST_F(DeviceCliTest, SetChangesWhatIsNamed) {
  run("create tap-web --parent eth0 --mac 52:54:00:12:34:56");
  run("set tap-web --mac 52:54:00:12:34:57");
  EXPECT_EQ(link("tap-web")["address"], "52:54:00:12:34:57");
  run("set tap-web --mode vepa");
  EXPECT_EQ(mode_data("tap-web")["mode"], "vepa");
  run("set tap-web --mtu 1400");
  EXPECT_EQ(link("tap-web")["mtu"], 1400);
  run("set tap-web --allmulticast off");
  EXPECT_FALSE(has_flag(link("tap-web"), "ALLMULTI"));
  EXPECT_TRUE(has_flag(link("tap-web"), "UP"));
  run("set tap-web --down --allmulticast on");
  EXPECT_FALSE(has_flag(link("tap-web"), "UP"));
  EXPECT_TRUE(has_flag(link("tap-web"), "ALLMULTI"));
  run("set tap-web --up");
  EXPECT_TRUE(has_flag(link("tap-web"), "UP"));
  EXPECT_EQ(link("tap-web")["address"], "52:54:00:12:34:57");
  EXPECT_EQ(link("tap-web")["ifalias"], "virt-macvtap: standing");
}

TEST_F(DeviceCliTest, SetRefusesWhatTheKernelRefusesAndWhatIsNotOurs) {
  run("create tap-web --parent eth0 --mac 52:54:00:12:34:56");
  sh("ip link add link eth0 name theirs address 52:54:00:12:34:57 type macvtap mode bridge && ip link set theirs up");
  EXPECT_THAT(refusal("set theirs --mtu 1400"), HasSubstr("not made by virt-macvtap"));
  EXPECT_THAT(refusal("set eth0 --mtu 1400"), HasSubstr("not made by virt-macvtap"));
  EXPECT_THAT(refusal("set nosuch --mtu 1400"), HasSubstr("nosuch: there is no such device"));
  EXPECT_THAT(refusal("set tap-web --mode passthru"), HasSubstr("delete it and create it anew"));
  EXPECT_THAT(refusal("set tap-web --mac 52:54:00:12:34:57"), HasSubstr("theirs has the MAC 52:54:00:12:34:57"));
  EXPECT_THAT(refusal("set tap-web --mac 52:54:00:12:34:58 --mode vepa --mtu 9000"),
              HasSubstr("eth0 has an MTU of 1500"));
}

TEST_F(DeviceCliTest, DeleteIsAllOrNothingAndOfOursOnly) {
  run("create tap-web --parent eth0");
  sh("ip link add link eth0 name theirs type macvtap mode bridge");
  EXPECT_THAT(refusal("delete tap-web theirs"), HasSubstr("theirs: it was not made by virt-macvtap"));
  EXPECT_THAT(refusal("delete tap-web nosuch"), HasSubstr("nosuch: there is no such device"));
  run("delete tap-web tap-web");
  EXPECT_FALSE(exists("tap-web"));
  EXPECT_TRUE(exists("theirs"));
}

TEST_F(DeviceCliTest, TheHostsOwnLinkIsForHostDown) {
  run("host up eth0 --guest 192.0.2.61=52:54:00:12:34:61");
  const std::string shim = shim_name(link("eth0")["ifindex"].get<unsigned>()).str();
  for (const auto& words : {"delete " + shim, "set " + shim + " --mtu 1400"})
    EXPECT_THAT(refusal(words), HasSubstr("link to the guests on eth0 (`virt-macvtap host down eth0` takes it away)"));
  EXPECT_THAT(refusal("create whole --parent eth0 --mode passthru"),
              HasSubstr("(`virt-macvtap host down eth0` takes it away)"));
  run("host down eth0");
  run("create whole --parent eth0 --mode passthru");
}

TEST_F(DeviceCliTest, AHundredGoInOneWait) {
  sh("ip link add link eth0 name theirs type macvtap mode bridge");
  const std::string before = network_state();
  run("create $(seq -f t%g 100) --parent eth0");
  ASSERT_EQ(list().size(), 101U);
  sh("strace -o /run/trace -e trace=sendmsg " + kCli + "delete $(seq -f t%g 100) >/dev/null");
  EXPECT_EQ(output_of("grep -c RTM_DELLINK /run/trace"), "1\n");
  EXPECT_EQ(network_state(), before);
}

TEST_F(DeviceCliTest, AnInterruptedCreationIsReplacedOrCleaned) {
  const std::string half = " link eth0 group " + std::to_string(kDeviceGroup) + " type macvtap mode bridge";
  sh("ip link add name tap-web" + half + " && ip link add name tap-db" + half);
  EXPECT_EQ(list()[0]["use"], "unfinished");
  run("create tap-web --parent eth0");
  EXPECT_EQ(link("tap-web")["ifalias"], "virt-macvtap: standing");
  run("clean");
  EXPECT_FALSE(exists("tap-db"));
  EXPECT_FALSE(exists("tap-web"));
}

TEST_F(DeviceCliTest, CleanSparesWhatSomebodyHoldsAndSaysWho) {
  run("create tap-web tap-db --parent eth0");
  sh("ip link add link eth0 name theirs type macvtap mode bridge");
  const Fd tap = open_tap("tap-web");
  ASSERT_TRUE(tap);
  for (const char* dry : {" --dry-run", ""}) {
    EXPECT_EQ(status_of(kCli + "clean" + dry + " >/run/out 2>/run/err"), 0);
    EXPECT_EQ(output_of("cat /run/out"), "delete tap-db\n");
    EXPECT_THAT(output_of("cat /run/err"), AllOf(HasSubstr("tap-web stays: PID " + std::to_string(getpid()) + ","),
                                                 HasSubstr("`virt-macvtap delete tap-web`")));
  }
  EXPECT_TRUE(exists("tap-web"));
  EXPECT_FALSE(exists("tap-db"));
  EXPECT_TRUE(exists("theirs"));
  run("delete tap-web");
  EXPECT_FALSE(exists("tap-web"));
}

TEST_F(DeviceCliTest, AnOrdinaryUserMayListAndNotChange) {
  run("create tap-web --parent eth0");
  sh("mkdir -m 755 /run/bin && cp " + kCli + "/run/bin/ && chmod 755 /run");
  const std::string as_nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups /run/bin/virt-macvtap ";
  const json listed = json::parse(output_of("{ " + as_nobody + "list --json 2>/run/err; }"))["devices"];
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0]["use"], "standing");
  EXPECT_THAT(output_of("cat /run/err"), HasSubstr("in other network namespaces are left out (run as root)"));
  for (const char* words : {"create tap-db --parent eth0", "set tap-web --mtu 1400", "delete tap-web"}) {
    EXPECT_EQ(status_of(as_nobody + words + " 2>/run/err"), 1);
    EXPECT_THAT(output_of("cat /run/err"), EndsWith("(run as root)\n"));
  }
  EXPECT_EQ(link("tap-web")["mtu"], 1500);
}

}  // namespace
}  // namespace vmt
