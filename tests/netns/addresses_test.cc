// SPDX-License-Identifier: LGPL-2.1-or-later
// `addresses` as a person or a script types it.
#include <chrono>

#include "tests/netns/addresses_fixture.h"

namespace vmt {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Clock = std::chrono::steady_clock;

TEST_F(AddressesTest, NothingIsALineAndAnEmptyListAndFine) {
  EXPECT_EQ(output_of("{ " + kCli + "addresses 2>/dev/null; }"), "no address of a guest is known\n");
  EXPECT_EQ(addresses("").dump(), "[]");
  EXPECT_EQ(status_of(kCli + "addresses >/dev/null 2>&1"), 0);
}

TEST_F(AddressesTest, ShowsGivenLearnedAndManualOnesAsTheKernelHasThem) {
  add_macvtap("macvtap0", kWebMac);
  add_macvtap("macvtap1", kDbMac);
  make_shim();
  sh(pin("192.0.2.61", kWebMac, 118) + " && " + pin("192.0.2.62", kDbMac));
  run("host up eth0 --guest 192.0.2.70=52:54:00:12:34:70");
  const json all = addresses();
  ASSERT_THAT(all, SizeIs(3));
  for (const json& neighbour : ip("neigh show nud permanent dev " + shim_)) {
    const auto row = std::ranges::find_if(all, [&](const json& r) { return r["address"] == neighbour["dst"]; });
    ASSERT_NE(row, all.end());
    EXPECT_EQ((*row)["mac"], neighbour["lladdr"]);
    if ((*row)["origin"] == "manual") continue;
    EXPECT_EQ((*row)["nic"], neighbour["lladdr"] == kWebMac ? "macvtap0" : "macvtap1");
    EXPECT_EQ((*row)["parent"], "eth0");
    EXPECT_EQ((*row)["state"], "ok");
    EXPECT_LT((*row)["since"], 60);
  }
  EXPECT_EQ(all[0]["domain"], "web");
  EXPECT_EQ(all[0]["uuid"], kUuid);
  EXPECT_EQ(all[0]["origin"], "given");
  const auto find = [&](const char* origin) {
    return *std::ranges::find_if(all, [&](const json& r) { return r["origin"] == origin; });
  };
  EXPECT_EQ(find("learned")["address"], "192.0.2.62");
  EXPECT_EQ(find("learned")["domain"], nullptr);
  EXPECT_EQ(find("manual")["address"], "192.0.2.70");
  EXPECT_EQ(find("manual")["mac"], "52:54:00:12:34:70");
  EXPECT_EQ(find("manual")["since"], nullptr);
  EXPECT_EQ(find("manual")["state"], "ok");
  const std::string table = output_of(kCli + "addresses --connect test:///run/node.xml");
  EXPECT_THAT(table, testing::ContainsRegex("^DOMAIN +NIC +NSID +MAC +ADDRESS +ORIGIN +SINCE +STATE\n"
                                            "web +macvtap0 +- +" +
                                            kWebMac + " +192.0.2.61 +given +[0-9]+ s +ok\n"));
  EXPECT_THAT(table, testing::ContainsRegex("\n- +macvtap1 +- +" + kDbMac + " +192.0.2.62 +learned +[0-9]+ s +ok\n"));
}

TEST_F(AddressesTest, AGivenOneIsThereBeforeItIsSetUp) {
  json all = addresses();
  ASSERT_THAT(all, SizeIs(1));
  EXPECT_EQ(all[0]["state"], "not set up");
  EXPECT_EQ(all[0]["nic"], nullptr);
  EXPECT_EQ(all[0]["since"], nullptr);
  add_macvtap("macvtap0", kWebMac);
  all = addresses();
  ASSERT_THAT(all, SizeIs(1));
  EXPECT_EQ(all[0]["nic"], "macvtap0");
  EXPECT_EQ(all[0]["state"], "not set up");
}

TEST_F(AddressesTest, WithoutLibvirtTheConfigurationTellsWhatIsGiven) {
  sh("printf '[guest db]\\n" + kDbMac + " = 192.0.2.62\\n' >/run/vmt.conf");
  add_macvtap("macvtap1", kDbMac);
  const json all = addresses("--config /run/vmt.conf");
  ASSERT_THAT(all, SizeIs(1));
  EXPECT_EQ(all[0]["address"], "192.0.2.62");
  EXPECT_EQ(all[0]["state"], "not set up");
}

TEST_F(AddressesTest, SelectsADomainByNameAndUuidAndRefusesAnUnknownOne) {
  add_macvtap("macvtap1", kDbMac);
  make_shim();
  sh(pin("192.0.2.62", kDbMac));
  for (const std::string& name : {std::string("web"), kUuid}) {
    const json all = addresses(name + " --connect test:///run/node.xml");
    ASSERT_THAT(all, SizeIs(1)) << name;
    EXPECT_EQ(all[0]["address"], "192.0.2.61");
  }
  EXPECT_THAT(refusal("addresses nosuch --connect test:///run/node.xml"), HasSubstr("runs no domain 'nosuch'"));
  EXPECT_EQ(output_of("cat /run/out"), "");
}

TEST_F(AddressesTest, AGuestInAnotherNamespaceIsShownWithItsNumberAndItsProcessName) {
  const ByHand guest(kDbMac);
  make_shim();
  sh(pin("192.0.2.62", kDbMac));
  const json listed = list("eth0");
  const auto device = std::ranges::find_if(listed, [](const json& d) { return d["mac"] == kDbMac; });
  ASSERT_NE(device, listed.end());
  ASSERT_TRUE((*device)["nsid"].is_number());
  for (const std::string words : {"", "by-hand"}) {
    const json all = addresses(words);
    ASSERT_THAT(all, SizeIs(1)) << words;
    EXPECT_EQ(all[0]["nic"], (*device)["name"]);
    EXPECT_EQ(all[0]["nsid"], (*device)["nsid"]);
    EXPECT_EQ(all[0]["domain"], "by-hand");
    EXPECT_EQ(all[0]["uuid"], nullptr);
    EXPECT_EQ(all[0]["state"], "ok");
  }
  EXPECT_THAT(addresses("other"), IsEmpty());
  // libvirt's word counts when there is one.
  EXPECT_THAT(refusal("addresses by-hand --connect test:///run/node.xml"), HasSubstr("runs no domain"));
}

// libvirt's list is made first and the XML of each asked for then; without an ID it is what the guest would be next
// time.
TEST_F(AddressesTest, AGuestThatHasStoppedSinceTheListWasMadeDoesNotRun) {
  sh("mkdir -m 755 /run/bin && cp " + kCli + "/run/bin/ && virsh -c test:///run/node.xml dumpxml web >/run/web.xml");
  sh("printf '#!/bin/sh\\ncat /run/web.xml; printf \"\\\\000\"\\n' >/run/bin/virt-macvtap-lookup && chmod 755 "
     "/run/bin/virt-macvtap-lookup");
  EXPECT_EQ(status_of("/run/bin/virt-macvtap addresses web >/run/out 2>/run/err"), 0) << output_of("cat /run/err");
  EXPECT_THAT(output_of("cat /run/out"), HasSubstr("192.0.2.61"));
  sh("sed -i \"s/ id='[0-9]*'//\" /run/web.xml");
  EXPECT_EQ(status_of("/run/bin/virt-macvtap addresses web >/run/out 2>/run/err"), 1);
  EXPECT_THAT(output_of("cat /run/err"), HasSubstr("runs no domain 'web'"));
}

// Whoever asks for a guest's address to log in there must not be sent to the process that calls itself like the guest.
TEST_F(AddressesTest, AProcessThatCallsItselfLikeAGuestIsNotTakenForIt) {
  const ByHand guest(kDbMac, "web");
  make_shim();
  sh(pin("192.0.2.62", kDbMac));
  const json all = addresses("web --connect test:///run/node.xml");
  ASSERT_THAT(all, SizeIs(1));
  EXPECT_EQ(all[0]["address"], "192.0.2.61");
  EXPECT_EQ(status_of(kCli + "addresses web --wait 0.5 --connect test:///run/node.xml >/dev/null 2>&1"), 1)
      << "the guest itself has none that works yet";
  EXPECT_THAT(addresses(kUuid + " --connect test:///run/node.xml"), SizeIs(1));
  const json everybodys = addresses("--connect test:///run/node.xml");
  ASSERT_THAT(everybodys, SizeIs(2));
  for (const json& row : everybodys) EXPECT_EQ(row["uuid"].is_null(), row["address"] == "192.0.2.62");
}

TEST_F(AddressesTest, ADeviceElsewhereWithAGuestsMacIsNotTakenForTheGuests) {
  const ByHand guest(kWebMac);
  make_shim();
  sh(pin("192.0.2.66", kWebMac));
  const json all = addresses("web --connect test:///run/node.xml");
  ASSERT_THAT(all, SizeIs(1));
  EXPECT_EQ(all[0]["address"], "192.0.2.61");
}

TEST_F(AddressesTest, TheStateSaysWhatIsWrong) {
  add_macvtap("macvtap0", kWebMac);
  make_shim();
  sh(pin("192.0.2.61", kWebMac, 118));
  const auto state_after = [&](const std::string& trouble) {
    sh(trouble);
    const json all = addresses();
    return all.size() == 1 ? all[0]["state"].get<std::string>() : all.dump();
  };
  EXPECT_EQ(state_after("true"), "ok");
  EXPECT_EQ(state_after("ip link set macvtap0 down"), "down");
  EXPECT_EQ(state_after("ip link set macvtap0 up; ip route del 192.0.2.61"), "no route");
  EXPECT_EQ(state_after("ip route add 192.0.2.61 dev " + shim_ +
                        " proto 118 src 192.0.2.10 && ip addr add 192.0.2.11/24 "
                        "dev eth0 && ip route replace 192.0.2.61 dev " +
                        shim_ + " proto 118 src 192.0.2.11"),
            "ok");
  EXPECT_EQ(state_after("echo 0 >/proc/sys/net/ipv4/conf/" + shim_ + "/arp_filter"), "needs sync");
  EXPECT_EQ(state_after("echo 1 >/proc/sys/net/ipv4/conf/" + shim_ +
                        "/arp_filter; ip -n peer link set eth0 down; for i "
                        "in $(seq 300); do ip link show eth0 | grep -q NO-CARRIER && break; sleep 0.01; done"),
            "no carrier");
  sh("ip -n peer link set eth0 up; ip link del macvtap0");
  const json all = addresses();
  ASSERT_THAT(all, SizeIs(1)) << "not once more as one that is given";
  EXPECT_EQ(all[0]["state"], "gone");
}

TEST_F(AddressesTest, AnOrdinaryUserSeesThoseOfThisNamespace) {
  add_macvtap("macvtap0", kWebMac);
  make_shim();
  sh(pin("192.0.2.61", kWebMac));
  sh("mkdir -m 755 /run/bin && cp " + kCli + "/run/bin/ && chmod 755 /run");
  sh("setpriv --reuid 65534 --regid 65534 --clear-groups /run/bin/virt-macvtap addresses --json >/run/out 2>/run/err");
  EXPECT_THAT(output_of("cat /run/err"), HasSubstr("other network namespaces are left out"));
  const json all = json::parse(output_of("cat /run/out"));
  ASSERT_THAT(all, SizeIs(1));
  EXPECT_EQ(all[0]["address"], "192.0.2.61");
  EXPECT_EQ(all[0]["origin"], "learned");
}

// ---- --wait
// ----------------------------------------------------------------------------------------------------------

TEST_F(AddressesTest, AWaitEndsWithTheAddress) {
  add_macvtap("macvtap0", kWebMac);
  make_shim();
  sh("{ " + kCli +
     "addresses web --wait 20 --json --connect test:///run/node.xml >/run/out 2>/run/err; echo $? >/run/rc; "
     "date +%s%N >/run/end; } & sleep 0.7; test ! -e /run/rc || exit 1; " +
     pin("192.0.2.66", kWebMac) +
     "; date +%s%N >/run/start; for i in $(seq 1000); do test -s /run/end && exit 0; sleep 0.01; done; exit 1");
  EXPECT_EQ(output_of("cat /run/rc"), "0\n");
  EXPECT_EQ(output_of("cat /run/err"), "");
  const json all = json::parse(output_of("cat /run/out"));
  ASSERT_THAT(all, SizeIs(2)) << "what is not set up is shown as usual";
  EXPECT_EQ(all[0]["state"] == "ok" ? all[0]["address"] : all[1]["address"], "192.0.2.66");
  const auto read = [](const char* path) { return std::stoll(output_of(std::string("cat ") + path)); };
  EXPECT_LT(read("/run/end") - read("/run/start"), 500'000'000);
}

TEST_F(AddressesTest, AWaitEndsAtOnceWhenThereIsOneAndAtTheDeadlineWhenThereIsNone) {
  add_macvtap("macvtap0", kWebMac);
  make_shim();
  const std::string command = kCli + "addresses web --connect test:///run/node.xml --wait ";
  const auto start = Clock::now();
  EXPECT_EQ(status_of(command + "0.4 >/run/out 2>/run/err"), 1);
  EXPECT_GE(Clock::now() - start, milliseconds(400));
  EXPECT_THAT(output_of("cat /run/out"), HasSubstr("not set up"));
  EXPECT_EQ(output_of("cat /run/err"), "virt-macvtap: no address of 'web' within 0.4 s\n");
  sh(pin("192.0.2.61", kWebMac, 118));
  const auto again = Clock::now();
  EXPECT_EQ(status_of(command + "20 >/run/out 2>/run/err"), 0);
  EXPECT_LT(Clock::now() - again, milliseconds(5000));
  EXPECT_THAT(output_of("cat /run/out"), HasSubstr("192.0.2.61"));
  EXPECT_EQ(output_of("cat /run/err"), "");
}

TEST_F(AddressesTest, AnotherGuestsAddressEndsNobodysWaitButThatForAny) {
  add_macvtap("macvtap0", kWebMac);
  add_macvtap("macvtap1", kDbMac);
  make_shim();
  sh(pin("192.0.2.62", kDbMac));
  EXPECT_EQ(status_of(kCli + "addresses web --connect test:///run/node.xml --wait 0.5 >/dev/null 2>&1"), 1);
  EXPECT_EQ(status_of(kCli + "addresses --wait 0.5 >/dev/null 2>&1"), 0);
}

TEST_F(AddressesTest, AWaitForAnAddressThatLibvirtLearnsOfLater) {
  write_node("192.0.2.61");
  sh("sed 's/<name>web/<name>other/' /run/node.xml >/run/other.xml && mv /run/node.xml /run/web.xml && mv "
     "/run/other.xml "
     "/run/node.xml");
  add_macvtap("macvtap0", kWebMac);
  make_shim();
  sh("{ " + kCli +
     "addresses web --wait 20 --connect test:///run/node.xml >/run/out 2>&1; echo $? >/run/rc; } & sleep "
     "0.5; mv /run/web.xml /run/node.xml; " +
     pin("192.0.2.61", kWebMac, 118) +
     "; for i in $(seq 1000); do test -s /run/rc && exit 0; sleep 0.01; done; exit 1");
  EXPECT_EQ(output_of("cat /run/rc"), "0\n");
  EXPECT_THAT(output_of("cat /run/out"), HasSubstr("192.0.2.61"));
}

TEST_F(AddressesTest, AWaitDoesNothingWhileNothingHappens) {
  add_macvtap("macvtap0", kWebMac);
  make_shim();
  sh("strace -o /run/trace -e trace=poll,ppoll,clock_nanosleep,nanosleep,epoll_wait,select " + kCli +
     "addresses --wait 1.5 >/dev/null 2>&1; true");
  // The question to libvirt is three lines: two waits for its answer, and the end of who asked.
  EXPECT_LE(std::stoi(output_of("grep -c . /run/trace")), 9) << output_of("cat /run/trace");
}

TEST_F(AddressesTest, HelpAndWrongUse) {
  EXPECT_EQ(status_of(kCli + "addresses --help >/run/out 2>/run/err"), 0);
  EXPECT_THAT(output_of("cat /run/out"), AllOf(HasSubstr("--wait SECONDS"), HasSubstr("given"), HasSubstr("learned")));
  for (const char* words : {"a b", "--bogus", "--wait", "--wait 0", "--wait -1", "--wait 86401", "--wait 5s",
                            "--wait nan", "--wait inf", "--wait 1e3", "--wait ''", "web --wait ' 5'"}) {
    EXPECT_EQ(status_of(kCli + "addresses " + words + " >/run/out 2>/run/err"), 2) << words;
    EXPECT_EQ(output_of("cat /run/out"), "") << words;
    EXPECT_THAT(output_of("cat /run/err"), HasSubstr("--help")) << words;
  }
}

}  // namespace
}  // namespace vmt
