// SPDX-License-Identifier: LGPL-2.1-or-later
// The fixtures in tests/data/domain are what a real libvirtd gave its hook; tests/data/domain/README says how.
#include "xml/domain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace vmt {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string read(const std::string& path) {
  std::ifstream file(std::string(VMT_TEST_DATA) + "/domain/" + path);
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_FALSE(text.str().empty()) << path;
  return text.str();
}

ParsedDomain parse_fixture(const std::string& path) {
  auto parsed = parse_domain(read(path));
  EXPECT_TRUE(parsed) << path << ": " << parsed.error().message;
  return parsed.value_or(ParsedDomain{});
}

std::vector<std::string> texts(const std::vector<IpAddress>& addresses) {
  std::vector<std::string> result;
  for (const auto& address : addresses) result.push_back(address.str());
  return result;
}

TEST(DomainFixtureTest, EveryRecordedCallParsesWithoutANote) {
  int count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(std::string(VMT_TEST_DATA) + "/domain")) {
    if (entry.path().extension() != ".xml") continue;
    std::ifstream file(entry.path());
    std::ostringstream text;
    text << file.rdbuf();
    const auto parsed = parse_domain(text.str());
    ASSERT_TRUE(parsed) << entry.path() << parsed.error().message;
    EXPECT_THAT(parsed->notes, IsEmpty()) << entry.path();
    EXPECT_TRUE(parsed->guest.uuid) << entry.path();
    ++count;
  }
  EXPECT_GE(count, 30);
}

TEST(DomainFixtureTest, TheMetadataGivesAddressesInEveryOperation) {
  for (const char* operation : {"prepare", "start", "started", "reconnect", "stopped", "release", "restore"}) {
    const auto guest = parse_fixture(std::string("static/") + operation + ".xml").guest;
    EXPECT_EQ(guest.name, "static");
    ASSERT_EQ(guest.nics.size(), 1U) << operation;
    ASSERT_EQ(guest.given.size(), 1U) << operation;
    EXPECT_EQ(guest.given[0].mac, guest.nics[0].mac);
    EXPECT_THAT(texts(guest.given[0].addresses), ElementsAre("192.0.2.61", "2001:db8:1::61"));
  }
}

TEST(DomainFixtureTest, TheIdIsThereOnlyWhileTheGuestRuns) {
  EXPECT_TRUE(parse_fixture("static/start.xml").guest.id);
  EXPECT_FALSE(parse_fixture("static/stopped.xml").guest.id);
}

TEST(DomainFixtureTest, ReadsEverythingANicSays) {
  const auto guest = parse_fixture("two-nics/start.xml").guest;
  ASSERT_EQ(guest.nics.size(), 2U);
  const Nic& first = guest.nics[0];
  EXPECT_EQ(first.mac.str(), "52:54:00:12:34:57");
  EXPECT_EQ(std::get<DirectSource>(first.source).parent.str(), "eth0");
  EXPECT_EQ(std::get<DirectSource>(first.source).mode, MacvlanMode::kBridge);
  EXPECT_EQ(first.target->str(), "web0");
  EXPECT_EQ(first.model, "virtio");
  EXPECT_EQ(first.queues, 2U);
  EXPECT_TRUE(first.trusts_rx_filters);
  EXPECT_TRUE(first.link_up);
  const Nic& second = guest.nics[1];
  EXPECT_EQ(std::get<DirectSource>(second.source).mode, MacvlanMode::kVepa);
  EXPECT_EQ(second.queues, 1U);
  EXPECT_FALSE(second.link_up);
  EXPECT_FALSE(second.trusts_rx_filters);
}

TEST(DomainFixtureTest, APoolIsResolvedAtStartAndForgottenAtStopped) {
  const auto start = parse_fixture("pool/start.xml").guest;
  ASSERT_EQ(start.nics.size(), 1U);
  const auto& direct = std::get<DirectSource>(start.nics[0].source);
  EXPECT_EQ(direct.parent.str(), "eth0");
  EXPECT_EQ(direct.mode, MacvlanMode::kBridge);
  EXPECT_EQ(direct.network, "lan");
  for (const char* operation : {"pool/prepare.xml", "pool/stopped.xml", "pool/release.xml"}) {
    const auto guest = parse_fixture(operation).guest;
    ASSERT_EQ(guest.nics.size(), 1U);
    EXPECT_EQ(std::get<NetworkSource>(guest.nics[0].source).network, "lan");
    EXPECT_EQ(std::get<NetworkSource>(guest.nics[0].source).portgroup, "servers");
    EXPECT_EQ(guest.nics[0].mac, start.nics[0].mac);
  }
}

TEST(DomainFixtureTest, APremadeDeviceIsKnownByItsName) {
  const auto guest = parse_fixture("premade/start.xml").guest;
  ASSERT_EQ(guest.nics.size(), 1U);
  EXPECT_EQ(std::get<PremadeSource>(guest.nics[0].source).device.str(), "guest0");
}

TEST(DomainFixtureTest, WhereAPremadeDeviceIsToBeIsKnownInEveryOperation) {
  for (const char* operation : {"prepare", "start", "started", "reconnect", "stopped", "release", "restore"}) {
    const auto guest = parse_fixture(std::string("placed/") + operation + ".xml").guest;
    ASSERT_EQ(guest.nics.size(), 1U) << operation;
    EXPECT_EQ(std::get<PremadeSource>(guest.nics[0].source).device.str(), "guest6");
    EXPECT_EQ(guest.nics[0].queues, 2U);
    EXPECT_EQ(placement_of(guest.nics[0]), (Placement{*IfName::parse("eth0"), MacvlanMode::kBridge})) << operation;
  }
}

TEST(DomainFixtureTest, OtherInterfacesAreNotOurs) {
  EXPECT_THAT(parse_fixture("others/start.xml").guest.nics, IsEmpty());
}

std::string domain(const std::string& inside, const char* root = "<domain type='kvm'>") {
  return std::string(root) + "<name>web</name><uuid>6e0c3a0e-7a4b-4a3e-9c43-0ecd0a7f0001</uuid>" + inside + "</domain>";
}
std::string nic(const std::string& inside) {
  return "<devices><interface type='direct'>" + inside + "</interface></devices>";
}
const std::string kNic = nic("<mac address='52:54:00:12:34:56'/><source dev='eth0' mode='bridge'/>");

TEST(DomainMetadataTest, AnyPrefixQuoteCommentAndCdataIsUnderstood) {
  const char* variants[] = {
      "<vmt:host-access xmlns:vmt='urn:virt-macvtap:host-access:1'><vmt:nic "
      "mac='52:54:00:12:34:56'><vmt:address>192.0.2.61</vmt:address></vmt:nic></vmt:host-access>",
      "<x:host-access xmlns:x=\"urn:virt-macvtap:host-access:1\"><x:nic mac=\"52:54:00:12:34:56\"><x:address>\n "
      "192.0.2.61 </x:address></x:nic></x:host-access>",
      "<host-access xmlns='urn:virt-macvtap:host-access:1'><nic "
      "mac='52:54:00:12:34:56'><address><![CDATA[192.0.2.61]]></address></nic></host-access>",
      "<!-- ours --><a:b xmlns:a='urn:other'/><vmt:host-access xmlns:vmt='urn:virt-macvtap:host-access:1'><!-- c "
      "--><vmt:nic mac='52:54:00:12:34:56'><vmt:address>192.0.2<!-- split "
      "-->.61</vmt:address></vmt:nic></vmt:host-access>",
  };
  for (const char* variant : variants) {
    const auto parsed = parse_domain(domain("<metadata>" + std::string(variant) + "</metadata>" + kNic));
    ASSERT_TRUE(parsed);
    EXPECT_THAT(parsed->notes, IsEmpty()) << variant;
    ASSERT_EQ(parsed->guest.given.size(), 1U) << variant;
    EXPECT_THAT(texts(parsed->guest.given[0].addresses), ElementsAre("192.0.2.61")) << variant;
  }
}

TEST(DomainMetadataTest, ADeclarationOnAnAncestorCounts) {
  const auto parsed = parse_domain(domain("<metadata><v:host-access enabled='no'/></metadata>" + kNic,
                                          "<domain xmlns:v='urn:virt-macvtap:host-access:1'>"));
  ASSERT_TRUE(parsed);
  EXPECT_FALSE(parsed->guest.host_access);
}

TEST(DomainMetadataTest, SomebodyElsesElementOfTheSameNameIsNotOurs) {
  for (const char* other :
       {"<vmt:host-access xmlns:vmt='urn:other' enabled='no'/>", "<host-access enabled='no'/>",
        "<vmt:host-access enabled='no'/>",
        "<a:x xmlns:a='urn:other'><vmt:host-access xmlns:vmt='urn:virt-macvtap:host-access:1' enabled='no'/></a:x>"}) {
    const auto parsed = parse_domain(domain("<metadata>" + std::string(other) + "</metadata>" + kNic));
    ASSERT_TRUE(parsed);
    EXPECT_TRUE(parsed->guest.host_access) << other;
  }
}

TEST(DomainMetadataTest, WhatMakesNoSenseIsLeftOutWithANoteAndTheRestCounts) {
  const auto parsed = parse_domain(domain(
      "<metadata><v:host-access xmlns:v='urn:virt-macvtap:host-access:1' enabled='perhaps'><v:nic mac='nonsense'/>"
      "<v:nic mac='52:54:00:12:34:56'><v:address>192.0.2.300</v:address><v:address>192.0.2.61</v:address></v:nic>"
      "<v:nic mac='52:54:00:99:99:99'><v:address>192.0.2.62</v:address></v:nic></v:host-access></metadata>" +
      kNic));
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->guest.host_access);
  EXPECT_THAT(parsed->notes, ElementsAre(HasSubstr("'perhaps'"), HasSubstr("'nonsense'"), HasSubstr("'192.0.2.300'"),
                                         HasSubstr("no direct interface has the MAC 52:54:00:99:99:99")));
  EXPECT_THAT(texts(parsed->guest.given.at(0).addresses), ElementsAre("192.0.2.61"));
}

// A guest with one pre-made and one direct NIC, and the inside of our <nic> for the former.
std::expected<ParsedDomain, Error> with_direct(const std::string& direct, const char* nic_mac = "52:54:00:12:34:56") {
  return parse_domain(domain(
      "<metadata><v:host-access xmlns:v='urn:virt-macvtap:host-access:1'><v:nic mac='" + std::string(nic_mac) + "'>" +
      direct +
      "<v:address>192.0.2.61</v:address></v:nic></v:host-access></metadata><devices>"
      "<interface type='ethernet'><mac address='52:54:00:12:34:56'/><target dev='web0' managed='no'/></interface>"
      "<interface type='direct'><mac address='52:54:00:12:34:57'/><source dev='eth0' mode='bridge'/></interface>"
      "</devices>"));
}

TEST(DomainMetadataTest, DirectSaysWhereAPremadeDeviceIsToBe) {
  const struct {
    const char* direct;
    const char* parent;
    MacvlanMode mode;
  } kRows[] = {{"<v:direct dev='eth0'/>", "eth0", MacvlanMode::kBridge},
               {"<v:direct dev='eth1' mode='bridge'/>", "eth1", MacvlanMode::kBridge},
               {"<v:direct dev='eth0' mode='vepa'/>", "eth0", MacvlanMode::kVepa},
               {"<v:direct dev='eth0' mode='private'/>", "eth0", MacvlanMode::kPrivate},
               {"<v:direct dev='eth0' mode='passthru'/>", "eth0", MacvlanMode::kPassthru},
               {"<v:direct dev='eth0' mode='passthrough'/>", "eth0", MacvlanMode::kPassthru},
               {"<w:direct xmlns:w='urn:virt-macvtap:host-access:1' dev='eth0'/>", "eth0", MacvlanMode::kBridge}};
  for (const auto& row : kRows) {
    const auto parsed = with_direct(row.direct);
    ASSERT_TRUE(parsed);
    EXPECT_THAT(parsed->notes, IsEmpty()) << row.direct;
    const auto& source = std::get<PremadeSource>(parsed->guest.nics.at(0).source);
    ASSERT_TRUE(source.wanted) << row.direct;
    EXPECT_EQ(source.wanted->parent.str(), row.parent);
    EXPECT_EQ(source.wanted->mode, row.mode) << row.direct;
    EXPECT_THAT(texts(parsed->guest.given.at(0).addresses), ElementsAre("192.0.2.61"));
  }
}

TEST(DomainMetadataTest, ABadDirectIsLeftOutWithANoteAndTheAddressesCount) {
  const struct {
    const char* direct;
    const char* nic_mac;
    const char* why;
  } kRows[] = {{"<v:direct/>", "52:54:00:12:34:56", "direct of 52:54:00:12:34:56: interface name ''"},
               {"<v:direct dev='../eth0'/>", "52:54:00:12:34:56", "interface name '../eth0'"},
               {"<v:direct dev='eth0123456789abc'/>", "52:54:00:12:34:56", "interface name 'eth0123456789abc'"},
               {"<v:direct dev='eth0' mode='magic'/>", "52:54:00:12:34:56", "mode 'magic'"},
               {"<v:direct dev='eth0' mode='source'/>", "52:54:00:12:34:56", "mode 'source'"},
               {"<v:direct dev='eth0'/>", "52:54:00:12:34:57", "direct of 52:54:00:12:34:57: no <interface type='eth"}};
  for (const auto& row : kRows) {
    const auto parsed = with_direct(row.direct, row.nic_mac);
    ASSERT_TRUE(parsed);
    EXPECT_THAT(parsed->notes, ElementsAre(HasSubstr(row.why))) << row.direct;
    EXPECT_FALSE(std::get<PremadeSource>(parsed->guest.nics.at(0).source).wanted) << row.direct;
    EXPECT_THAT(texts(parsed->guest.given.at(0).addresses), ElementsAre("192.0.2.61"));
  }
}

TEST(DomainMetadataTest, TheFirstDirectCountsAndSomebodyElsesDoesNot) {
  auto parsed = with_direct("<v:direct dev='eth0'/><v:direct dev='eth1'/>");
  ASSERT_TRUE(parsed);
  EXPECT_THAT(parsed->notes, ElementsAre(HasSubstr("a second direct of 52:54:00:12:34:56")));
  EXPECT_EQ(placement_of(parsed->guest.nics.at(0))->parent.str(), "eth0");
  parsed = with_direct("<direct dev='eth0'/><o:direct xmlns:o='urn:other' dev='eth0'/>");
  ASSERT_TRUE(parsed);
  EXPECT_THAT(parsed->notes, IsEmpty());
  EXPECT_FALSE(placement_of(parsed->guest.nics.at(0)));
}

TEST(DomainTest, WhatIsNoDomainIsAnError) {
  for (const std::string& text :
       {std::string(), std::string("\0\1\2\3", 4), std::string("no xml"), std::string("<network/>"),
        domain(kNic).substr(0, 60), std::string(kMaxDomainXml + 1, ' ')})
    EXPECT_FALSE(parse_domain(text)) << text.substr(0, 20);
}

TEST(DomainTest, ABadNicIsLeftOutWithANoteAndTheOthersCount) {
  const auto parsed = parse_domain(
      domain("<devices>"
             "<interface type='direct'><source dev='eth0' mode='bridge'/></interface>"
             "<interface type='direct'><mac address='52:54:00:zz:34:56'/><source dev='eth0'/></interface>"
             "<interface type='direct'><mac address='52:54:00:12:34:01'/><source dev='../eth0'/></interface>"
             "<interface type='direct'><mac address='52:54:00:12:34:02'/><source dev='eth0' mode='magic'/></interface>"
             "<interface type='direct'><mac address='52:54:00:12:34:03'/><source dev='eth0'/></interface>"
             "</devices>"));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->notes.size(), 4U);
  ASSERT_EQ(parsed->guest.nics.size(), 1U);
  EXPECT_EQ(std::get<DirectSource>(parsed->guest.nics[0].source).mode, MacvlanMode::kVepa);
}

TEST(DomainTest, ThereIsABoundToEverything) {
  std::string nics, addresses;
  for (int i = 0; i < 3000; ++i) {
    nics += "<interface type='direct'><mac address='52:54:00:12:34:56'/><source dev='eth0' mode='bridge'/></interface>";
    addresses += "<v:address>2001:db8::" + std::to_string(i) + "</v:address>";
  }
  const auto parsed = parse_domain(
      domain("<metadata><v:host-access xmlns:v='urn:virt-macvtap:host-access:1'><v:nic mac='52:54:00:12:34:56'>" +
             addresses + "</v:nic></v:host-access></metadata><devices>" + nics + "</devices>"));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->guest.nics.size(), kMaxNics);
  EXPECT_EQ(parsed->guest.given.at(0).addresses.size(), kMaxAddresses);
  EXPECT_EQ(parsed->notes.size(), kMaxNotes + 1);
  EXPECT_THAT(parsed->notes.back(), HasSubstr("more of the kind"));
}

TEST(DomainTest, AnIdIsAWholeNumber) {
  EXPECT_EQ(parse_domain("<domain id='7'/>")->guest.id, 7);
  for (const char* id : {"", "-1", "7x", " 7", "99999999999"})
    EXPECT_FALSE(parse_domain("<domain id='" + std::string(id) + "'/>")->guest.id) << id;
}

TEST(DomainTest, ABadUuidAndADuplicateMacAreNoted) {
  const auto parsed = parse_domain(
      "<domain><name>a'b\n</name><uuid>zzz</uuid><devices>"
      "<interface type='direct'><mac address='52:54:00:12:34:03'/><source dev='eth0'/></interface>"
      "<interface type='direct'><mac address='52:54:00:12:34:03'/><source dev='eth1'/></interface>"
      "</devices></domain>");
  ASSERT_TRUE(parsed);
  EXPECT_THAT(parsed->notes, ElementsAre(HasSubstr("UUID 'zzz'"), HasSubstr("two interfaces")));
  for (const auto& note : parsed->notes) EXPECT_EQ(note.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace vmt
