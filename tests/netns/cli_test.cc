// SPDX-License-Identifier: LGPL-2.1-or-later
// virt-macvtap as a person types it. What it prints is held against what `ip -j` prints.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "tests/netns/namespace.h"
#include "tests/netns/programs.h"

namespace vmt {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kCli = kBuild + "/virt-macvtap ";
const std::string kHook = kBuild + "/virt-macvtap-hook ";
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
  // libvirt, which runs nothing.
  static void write_empty_node() {
    sh("printf '%s' "
       "'<node><cpu><mhz>1</mhz><model>x</model><active>1</active><nodes>1</nodes><sockets>1</sockets><cores>1</cores>"
       "<threads>1</threads></cpu><memory>1000000</memory></node>' >/run/node.xml");
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

// Every key of helper/cli/status_json.cc.
TEST_F(CliTest, StatusSaysEverythingAndChangesWithTheKernel) {
  sh(kHook + "static start begin - <" + kFixtures + "static/start.xml");
  sh(kCli + "host up eth0 --guest 192.0.2.77=52:54:00:12:34:77 --address 192.0.2.60/32 >/dev/null");
  const json document = json::parse(output_of("{ " + kCli + "status --json --connect test:///default 2>/dev/null; }"));
  EXPECT_EQ(document["libvirt"], json({{"uri", "test:///default"}, {"error", nullptr}}));
  const json shim = ip("-d link show type macvlan")[0];
  const json taps = ip("-d link show type macvtap");
  const auto guest = [&](std::size_t i, const json& addresses) {
    return json{{"name", nullptr},
                {"uuid", nullptr},
                {"mac", taps[i]["address"]},
                {"device", taps[i]["ifname"]},
                {"ifindex", taps[i]["ifindex"]},
                {"nsid", nullptr},
                {"kind", "macvtap"},
                {"mode", taps[i]["linkinfo"]["info_data"]["mode"]},
                {"up", i == 0},
                {"addresses", addresses}};
  };
  json parent = document["parents"][0];
  for (json& address : parent["guests"][0]["addresses"]) EXPECT_LT(std::exchange(address["since"], 0), 60);
  const auto address = [](const char* text, const char* source) {
    return json{{"address", text}, {"origin", "given"}, {"since", 0}, {"route", true}, {"source", source}};
  };
  EXPECT_EQ(parent.value("health", json()).size(), 1U);
  parent.erase("health");
  EXPECT_EQ(parent,
            json({{"name", "eth0"},
                  {"ifindex", ip("link show eth0")[0]["ifindex"]},
                  {"mac", "52:54:00:ee:00:10"},
                  {"up", true},
                  {"carrier", true},
                  {"wireless", false},
                  {"addresses", {"192.0.2.10/24", "2001:db8:1::10/64"}},
                  {"shim",
                   {{"name", shim["ifname"]},
                    {"ifindex", shim["ifindex"]},
                    {"mac", shim["address"]},
                    {"role", "manual"},
                    {"configured", true},
                    {"addresses", {"192.0.2.60/32"}},
                    {"proxied", {"2001:db8:1::10"}}}},
                  {"guests",
                   {guest(0, {address("192.0.2.61", "192.0.2.10"), address("2001:db8:1::61", "2001:db8:1::10")}),
                    guest(1, json::array())}},
                  {"manual", {{{"address", "192.0.2.77"}, {"mac", "52:54:00:12:34:77"}, {"source", "192.0.2.60"}}}},
                  {"conflicts", json::array()}}));
  const auto now = [&](const char* change) {
    sh(change);
    return status()["parents"][0];
  };
  const json lost = now("ip route del 192.0.2.61 proto 118")["guests"][0]["addresses"];
  EXPECT_EQ(lost[0]["route"], false);
  EXPECT_EQ(lost[0]["source"], nullptr);
  EXPECT_EQ(lost[1]["route"], true);
  EXPECT_EQ(now("for i in /proc/sys/net/ipv4/conf/vmt-*; do echo 0 >$i/arp_filter; done")["shim"]["configured"], false);
  EXPECT_EQ(now("ip link set macvtap0 down; ip link set macvtap1 address 52:54:00:12:34:56")["conflicts"],
            json::parse(R"([{"mac": "52:54:00:12:34:56", "devices": ["macvtap0", "macvtap1"]}])"));
  EXPECT_EQ(status()["parents"][0]["guests"][0]["up"], false);
  const json deaf =
      now("ip -n peer link set eth0 down; for i in $(seq 300); do ip link show eth0 | grep -q NO-CARRIER "
          "&& break; sleep 0.01; done");
  EXPECT_EQ(deaf["carrier"], false);
  EXPECT_EQ(deaf["up"], true);
  EXPECT_EQ(now("ip link set eth0 down")["up"], false);
  const json without = json::parse(output_of("{ " + kCli + "status --json --connect nonsense:/// 2>/dev/null; }"));
  EXPECT_EQ(without["libvirt"]["uri"], "nonsense:///");
  EXPECT_TRUE(without["libvirt"]["error"].is_string());
}

// The watcher is not told of either (kernel_facts_test).
TEST_F(CliTest, WhatSomebodyChangesOnAShimIsSaidAndASyncMendsIt) {
  sh(kCli + "host up eth0 --guest 192.0.2.70=52:54:00:12:34:70 >/dev/null");
  const std::string shim = "vmt-" + output_of("cat /sys/class/net/eth0/ifindex | tr -d '\n'");
  const auto seen = [&] { return network_state() + output_of("ip neigh show proxy"); };
  const std::string before = seen();
  ASSERT_THAT(before, HasSubstr("2001:db8:1::10 dev " + shim));
  for (const auto& [change, words] :
       {std::pair("ip -6 neigh flush proxy dev " + shim, "does not answer guests that look for 2001:db8:1::10"),
        std::pair("echo 0 >/proc/sys/net/ipv4/conf/" + shim + "/arp_filter", "is not as virt-macvtap has left it")}) {
    sh(change);
    ASSERT_NE(seen(), before) << change;
    EXPECT_THAT(output_of(kCli + "status --connect test:///default"), HasSubstr(words));
    sh(kCli + "sync --connect test:///default >/dev/null");
    EXPECT_EQ(seen(), before) << change;
    EXPECT_THAT(output_of(kCli + "status --connect test:///default"), Not(HasSubstr(words)));
  }
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

// libvirt was asked before the lock was taken, and the guest's hook has run meanwhile.
TEST_F(CliTest, OfGuestsThatAreGivenOneAddressTheOneThatRunsLongestHasIt) {
  write_empty_node();
  std::string domains;
  for (int i = 0; i < 8; ++i) {
    const std::string mac = fmt::format("52:54:00:12:40:{:02x}", i);
    sh(fmt::format("ip link add link eth0 name tap{} address {} type macvtap mode bridge && ip link set tap{} up", i,
                   mac, i));
    domains += fmt::format(
        "<domain type=\"test\"><name>g{0}</name><memory>1</memory><os><type>hvm</type></os><metadata><vmt:host-access "
        "xmlns:vmt=\"urn:virt-macvtap:host-access:1\"><vmt:nic "
        "mac=\"{1}\"><vmt:address>192.0.2.61</vmt:address></vmt:nic>"
        "</vmt:host-access></metadata><devices><interface type=\"direct\"><mac address=\"{1}\"/><source dev=\"eth0\" "
        "mode=\"bridge\"/><target dev=\"tap{0}\"/></interface></devices></domain>",
        i, mac);
  }
  sh("sed -i 's|</node>|" + domains + "</node>|' /run/node.xml");
  for (int tries = 0; tries < 6; ++tries)
    EXPECT_THAT(output_of(kCli + "plan --connect test:///run/node.xml 2>/dev/null"),
                HasSubstr("pin 192.0.2.61 to 52:54:00:12:40:00 "));
}

TEST_F(CliTest, ASyncTakesNothingFromAGuestThatLibvirtDidNotKnowOfYet) {
  write_empty_node();
  sh(kHook + "static start begin - <" + kFixtures + "static/start.xml");
  const std::string before = network_state();
  for (const char* command : {"sync", "plan"}) {
    EXPECT_EQ(status_of(kCli + command + " --connect test:///run/node.xml >/run/out 2>/run/err"), 1) << command;
    EXPECT_THAT(output_of("cat /run/err"),
                AllOf(HasSubstr("52:54:00:12:34:56 on macvtap0"), HasSubstr("nothing was changed")));
    EXPECT_EQ(network_state(), before) << command;
  }
  sh("ip link del macvtap0");
  EXPECT_EQ(status_of(kCli + "sync --connect test:///run/node.xml >/run/out"), 0);
  EXPECT_THAT(output_of("cat /run/out"), HasSubstr("delete shim vmt-"));
}

TEST_F(CliTest, ASyncWithABrokenConfigurationChangesNothing) {
  write_empty_node();
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
