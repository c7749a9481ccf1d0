// SPDX-License-Identifier: LGPL-2.1-or-later
// virt-macvtap as a person types it. What it prints is held against what `ip -j` prints.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/netns/namespace.h"

namespace vmt {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kCli = std::string(VMT_BINARY_DIR) + "/virt-macvtap ";
const std::string kHook = std::string(VMT_BINARY_DIR) + "/virt-macvtap-hook ";
const std::string kFixtures = std::string(VMT_TEST_DATA) + "/domain/";

class CliTest : public NamespaceTest {
 protected:
  void SetUp() override {
    NamespaceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    add_lan();
    sh("ip link add link eth0 name macvtap0 address 52:54:00:12:34:56 type macvtap mode bridge && ip link set macvtap0 "
       "up");
    sh("ip link add link eth0 name macvtap1 address 52:54:00:12:34:58 type macvtap mode vepa");
  }
  static json status() { return json::parse(output_of(kCli + "status --json 2>/dev/null")); }
  static json ip(const std::string& words) { return json::parse(output_of("ip -j " + words)); }
};

TEST_F(CliTest, StatusAgreesWithIp) {
  sh(kHook + "static start begin - <" + kFixtures + "static/start.xml");
  const json parents = status()["parents"];
  ASSERT_EQ(parents.size(), 1U);
  const json& parent = parents[0];
  const json link = ip("link show eth0")[0];
  EXPECT_EQ(parent["name"], link["ifname"]);
  EXPECT_EQ(parent["ifindex"], link["ifindex"]);
  EXPECT_EQ(parent["mac"], link["address"]);
  const json shim = ip("-d link show type macvlan")[0];
  EXPECT_EQ(parent["shim"]["name"], shim["ifname"]);
  EXPECT_EQ(parent["shim"]["ifindex"], shim["ifindex"]);
  EXPECT_EQ(parent["shim"]["mac"], shim["address"]);
  EXPECT_EQ(shim["link"], "eth0");
  const json taps = ip("-d link show type macvtap");
  ASSERT_EQ(parent["guests"].size(), taps.size());
  for (std::size_t i = 0; i < taps.size(); ++i) {
    EXPECT_EQ(parent["guests"][i]["device"], taps[i]["ifname"]);
    EXPECT_EQ(parent["guests"][i]["mac"], taps[i]["address"]);
    EXPECT_EQ(parent["guests"][i]["mode"], taps[i]["linkinfo"]["info_data"]["mode"]);
  }
  const json routes = ip("route show proto 118");
  ASSERT_EQ(routes.size(), 1U);
  EXPECT_EQ(parent["guests"][0]["addresses"][0]["address"], routes[0]["dst"]);
  EXPECT_EQ(parent["guests"][0]["addresses"][0]["source"], routes[0]["prefsrc"]);
  EXPECT_EQ(parent["shim"]["proxied"][0], ip("-6 neigh show proxy")[0]["dst"]);
  EXPECT_THAT(parent["health"].dump(), HasSubstr("no host access in mode vepa"));
}

TEST_F(CliTest, HostUpAndDownLeaveNothingBehindAndADryRunChangesNothing) {
  const std::string before = network_state();
  const std::string up = kCli + "host up eth0 --guest 192.0.2.70 --guest 2001:db8:1::70 --address 192.0.2.60/32";
  EXPECT_THAT(output_of(up + " --dry-run"), HasSubstr("add route 192.0.2.70 dev vmt-"));
  EXPECT_EQ(network_state(), before);
  EXPECT_EQ(status_of(up + " >/dev/null"), 0);
  EXPECT_THAT(output_of("ip route show 192.0.2.70"), HasSubstr("proto 119"));
  EXPECT_EQ(status()["parents"][0]["manual"].size(), 2U);
  EXPECT_THAT(output_of(up), HasSubstr("nothing to do"));
  EXPECT_EQ(status_of(kCli + "host down eth0 --guest 192.0.2.70 >/dev/null"), 0);
  EXPECT_EQ(status()["parents"][0]["manual"].size(), 1U);
  EXPECT_EQ(status_of(kCli + "host down eth0 >/dev/null"), 0);
  EXPECT_EQ(network_state(), before);
}

TEST_F(CliTest, HostUpAsksForTheMacsOfGuestsThatRunAndTheLanHearsNothingOfIt) {
  add_guest("web", "52:54:00:12:34:71", "192.0.2.61", "2001:db8:1::61");
  sh("ip netns set web auto");  // as when a container runtime moves a link there
  sh("ip netns exec peer timeout 30 tcpdump -nn -l -i eth0 arp or icmp6 >/run/heard 2>/run/listening & "
     "until grep -q listening /run/listening 2>/dev/null; do :; done");
  const std::string up = kCli + "host up eth0 --guest 192.0.2.61 --guest 2001:db8:1::61 --guest 192.0.2.70 2>&1";
  EXPECT_THAT(output_of(up), testing::AllOf(HasSubstr("pin 192.0.2.61 to 52:54:00:12:34:71"),
                                            HasSubstr("pin 2001:db8:1::61 to 52:54:00:12:34:71"),
                                            HasSubstr("192.0.2.70 does not answer on eth0 yet")));
  EXPECT_EQ(status_of("ping -c 1 -W 1 192.0.2.61 >/dev/null && ping -c 1 -W 1 2001:db8:1::61 >/dev/null"), 0);
  EXPECT_THAT(output_of("ip neigh show nud permanent | sort"),
              testing::MatchesRegex("192.0.2.61 dev vmt-[0-9]+ lladdr 52:54:00:12:34:71 PERMANENT proto 119 \n"
                                    "2001:db8:1::61 dev vmt-[0-9]+ lladdr 52:54:00:12:34:71 PERMANENT proto 119 \n"));
  EXPECT_EQ(status()["parents"][0]["manual"][0]["mac"], "52:54:00:12:34:71");
  const std::string shim = output_of("ip -br link show group 1986884609 | tr -s ' ' | cut -d ' ' -f 3");
  EXPECT_THAT(output_of("cat /run/heard"), testing::Not(HasSubstr("Request who-has 192.0.2.61 tell 192.0.2.10")));
  EXPECT_EQ(output_of("ip -n peer neigh show 192.0.2.10 | grep -c " + shim), "0\n");
  add_guest("db", "52:54:00:12:34:72", "192.0.2.70", "2001:db8:1::70");
  sh("ip netns set db auto");
  EXPECT_EQ(output_of(up), "pin 192.0.2.70 to 52:54:00:12:34:72 on " +
                               output_of("ip -br link show group 1986884609 | grep -o 'vmt-[0-9]*'"));
  EXPECT_EQ(output_of(up), "nothing to do\n");
  EXPECT_EQ(output_of(kCli + "sync --dry-run --connect test:///default 2>&1"), "nothing to do\n");
}

TEST_F(CliTest, HostUpTakesAGuestsMacAtItsWord) {
  const std::string before = network_state();
  EXPECT_EQ(output_of(kCli + "host up eth0 --guest 192.0.2.70=52:54:00:12:34:70 2>&1 >/dev/null"), "");
  EXPECT_THAT(output_of("ip neigh show 192.0.2.70"), HasSubstr("lladdr 52:54:00:12:34:70 PERMANENT proto 119"));
  EXPECT_EQ(status_of(kCli + "host up eth0 --guest 192.0.2.70=52:54:00:12:34:71 >/dev/null"), 0);
  EXPECT_THAT(output_of("ip neigh show 192.0.2.70"), HasSubstr("lladdr 52:54:00:12:34:71 PERMANENT proto 119"));
  EXPECT_EQ(status_of(kCli + "host down eth0 --guest 192.0.2.70 >/dev/null"), 0);
  EXPECT_EQ(output_of("ip neigh show 192.0.2.70"), "");
  EXPECT_EQ(status_of(kCli + "host down eth0 >/dev/null"), 0);
  EXPECT_EQ(network_state(), before);
  for (const char* bad : {"192.0.2.70=", "192.0.2.70=x", "192.0.2.70=01:00:5e:00:00:01", "=52:54:00:12:34:70", ""})
    EXPECT_EQ(status_of(kCli + "host up eth0 --guest '" + bad + "' 2>/dev/null"), 2) << bad;
}

TEST_F(CliTest, CleanTakesAwayAllThatIsOursAndNothingElse) {
  sh("ip link add link eth0 name vmt-9 type macvlan mode bridge && ip link set vmt-9 up && ip route add 192.0.2.99 dev "
     "vmt-9");
  const std::string before = network_state();
  sh(kHook + "static start begin - <" + kFixtures + "static/start.xml");
  sh(kCli + "host up eth0 --guest 192.0.2.70 >/dev/null");
  EXPECT_THAT(output_of(kCli + "clean --dry-run"), HasSubstr("delete shim vmt-"));
  EXPECT_NE(network_state(), before);
  EXPECT_EQ(status_of(kCli + "clean >/dev/null"), 0);
  EXPECT_EQ(network_state(), before);
  EXPECT_THAT(output_of(kCli + "clean"), HasSubstr("nothing to do"));
}

TEST_F(CliTest, WithoutLibvirtSyncChangesNothingAndStatusGoesOn) {
  // A plan without guests would take it all away.
  sh(kHook + "static start begin - <" + kFixtures + "static/start.xml && ip link del macvtap0");
  const std::string before = network_state();
  EXPECT_EQ(status_of(kCli + "sync 2>/run/err"), 1);
  EXPECT_THAT(output_of("cat /run/err"), HasSubstr("libvirt"));
  EXPECT_EQ(network_state(), before);
  EXPECT_EQ(status_of(kCli + "status >/dev/null"), 0);
}

TEST_F(CliTest, ASyncWithABrokenConfigurationChangesNothing) {
  sh("printf '%s' "
     "'<node><cpu><mhz>1</mhz><model>x</model><active>1</active><nodes>1</nodes><sockets>1</sockets><cores>1</cores>"
     "<threads>1</threads></cpu><memory>1000000</memory></node>' >/run/node.xml");
  sh(kHook + "static start begin - <" + kFixtures + "static/start.xml && ip link del macvtap0");
  const std::string before = network_state();
  sh("echo typo >/run/broken.conf");
  EXPECT_EQ(status_of(kCli + "sync --connect test:///run/node.xml --config /run/broken.conf 2>/run/err"), 1);
  EXPECT_THAT(output_of("cat /run/err"), HasSubstr("/run/broken.conf:1: "));
  EXPECT_EQ(status_of(kCli + "sync --connect test:///run/node.xml --config /run/none.conf 2>/run/err"), 1);
  EXPECT_THAT(output_of("cat /run/err"), HasSubstr("/run/none.conf: No such file"));
  EXPECT_EQ(network_state(), before);
  EXPECT_EQ(status_of(kCli + "sync --connect test:///run/node.xml >/run/out 2>/run/err"), 0);
  EXPECT_THAT(output_of("cat /run/out"), HasSubstr("delete shim vmt-"));
}

TEST_F(CliTest, HelpIsEverywhereAndWrongUseIsExitStatusTwo) {
  for (const char* words : {"--help", "help", "--version", "status --help", "addresses --help", "plan --help",
                            "sync --help", "clean --help", "host up --help", "host down --help"}) {
    EXPECT_EQ(status_of(kCli + words + " >/run/out 2>/run/err"), 0) << words;
    EXPECT_NE(output_of("cat /run/out"), "") << words;
    EXPECT_THAT(output_of("cat /run/err"), IsEmpty()) << words;
  }
  for (const char* words :
       {"", "bogus", "status --bogus", "status a b", "host", "host sideways", "host up", "host up eth0 --guest",
        "host up eth0 --guest nonsense", "host up eth0 --address 192.0.2.1/99", "host up 'e th0'", "clean now"}) {
    EXPECT_EQ(status_of(kCli + words + " >/run/out 2>/run/err"), 2) << words;
    EXPECT_THAT(output_of("cat /run/out"), IsEmpty()) << words;
    EXPECT_THAT(output_of("cat /run/err"), HasSubstr("--help")) << words;
  }
}

TEST_F(CliTest, AReportThatDoesNotArriveIsAFailure) {
  for (const char* words : {"status", "list --json", "addresses", "--help"})
    EXPECT_EQ(status_of(kCli + words + " >/dev/full 2>/run/err"), 1) << words;
  EXPECT_THAT(output_of("cat /run/err"), HasSubstr("No space left on device"));
}

TEST_F(CliTest, NothingIsChangedWithoutTheLock) {
  const std::string before = network_state();
  EXPECT_EQ(status_of("flock /run/virt-macvtap.lock " + kCli + "create tap-web --parent eth0 2>/run/err"), 1);
  EXPECT_THAT(output_of("cat /run/err"), HasSubstr("held by another process"));
  EXPECT_EQ(network_state(), before);
}

TEST_F(CliTest, FailuresAreOneLineAndExitStatusOne) {
  const struct {
    const char* words;
    const char* line;
  } kRows[] = {{"host up nosuch0", "nosuch0: No such device"},
               {"host up lo", "lo: not an Ethernet link"},
               {"host up eth0 --guest 192.0.2.10", "192.0.2.10 on eth0: is the host's own address"},
               {"host up eth0 --guest 198.51.100.1", "is off-link"},
               {"status nosuch0", "nosuch0: No such device"}};
  const std::string before = network_state();
  for (const auto& row : kRows) {
    EXPECT_EQ(status_of(kCli + row.words + " >/run/out 2>/run/err"), 1) << row.words;
    EXPECT_THAT(output_of("cat /run/err"), HasSubstr(row.line));
  }
  EXPECT_EQ(network_state(), before);
}

TEST_F(CliTest, AnOrdinaryUserReadsButCannotChange) {
  sh("mkdir -m 755 /run/bin && cp " + kCli + "/run/bin/ && chmod 755 /run");
  const std::string as_nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups /run/bin/virt-macvtap ";
  EXPECT_EQ(status_of(as_nobody + "status >/dev/null"), 0);
  EXPECT_EQ(status_of(as_nobody + "host up eth0 2>/run/err"), 1);
  EXPECT_THAT(output_of("cat /run/err"), HasSubstr("root"));
}

}  // namespace
}  // namespace vmt
