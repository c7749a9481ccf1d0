// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/frame.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/frames.h"

namespace vmt {
namespace {

std::string told(const Frame& frame) {
  // In a block of its own size, so that the sanitizer sees a read behind its end.
  const Frame exact(frame.begin(), frame.end());
  const auto result = hear(exact);
  if (!result) return result.error() == Unheard::kNothing ? "nothing" : "malformed";
  const std::string who = result->mac.str() + " ", what = result->address.str();
  switch (result->kind) {
    case Heard::Kind::kClaim:
      return "claim " + who + what;
    case Heard::Kind::kLease:
      return "lease " + who + what;
    case Heard::Kind::kQuestion:
      return "question " + who + what + " from " + result->asker->str();
  }
  return "unknown kind";
}

struct Row {
  const char* what;
  const Frame* frame;
  std::vector<Patch> patches;
  const char* expected;
};

void expect(std::initializer_list<Row> rows) {
  for (const Row& row : rows) EXPECT_EQ(told(patched(*row.frame, row.patches)), row.expected) << row.what;
}

constexpr const char* kClaim4 = "claim 52:54:00:12:34:56 192.0.2.61";
constexpr const char* kClaim6 = "claim 52:54:00:12:34:56 2001:db8:1::61";
constexpr const char* kQuestion = "question 52:54:00:12:34:56 2001:db8:1::10 from fe80:db8:1::61";
constexpr const char* kLease = "lease 52:54:00:12:34:56 192.0.2.61";

TEST(FrameTest, HearsArp) {
  const Frame& arp = kArpRequest;
  expect({
      {"request", &arp, {}, kClaim4},
      {"reply", &arp, {{20, "0002"}}, kClaim4},
      {"gratuitous", &arp, {{38, "c000023d"}}, kClaim4},
      {"padded", &arp, {{42, "000000000000000000000000000000000000"}}, kClaim4},
      {"probe", &arp, {{28, "00000000"}, {38, "c000023d"}}, kClaim4},
      {"reply from nobody", &arp, {{20, "0002"}, {28, "00000000"}}, "malformed"},
      {"another operation", &arp, {{20, "0008"}}, "nothing"},
      {"not for Ethernet", &arp, {{14, "0006"}}, "malformed"},
      {"not for IPv4", &arp, {{16, "86dd"}}, "malformed"},
      {"other hardware length", &arp, {{18, "08"}}, "malformed"},
      {"other protocol length", &arp, {{19, "10"}}, "malformed"},
      {"sent for another MAC", &arp, {{22, "525400123457"}}, "malformed"},
      {"from a group", &arp, {{6, "535400123456"}, {22, "535400123456"}}, "malformed"},
      {"from MAC zero", &arp, {{6, "000000000000"}, {22, "000000000000"}}, "malformed"},
      {"VLAN tag", &arp, {{12, "8100"}}, "nothing"},
      {"another protocol", &arp, {{12, "88cc"}}, "nothing"},
      {"loopback", &arp, {{28, "7f000001"}}, "nothing"},
      {"multicast", &arp, {{28, "e0000001"}}, "nothing"},
      {"broadcast", &arp, {{28, "ffffffff"}}, "nothing"},
      {"link-local", &arp, {{28, "a9fe0101"}}, "nothing"},
      {"probe for nothing", &arp, {{28, "00000000"}, {38, "00000000"}}, "nothing"},
  });
}

TEST(FrameTest, HearsNeighbourSolicitations) {
  const Frame& ns = kSolicitation;
  const Frame& dad = kDetection;
  const Frame bare(ns.begin(), ns.end() - 8);
  expect({
      {"solicitation", &ns, {}, kClaim6},
      {"padded", &ns, {{86, "0000"}}, kClaim6},
      {"without option", &bare, {{18, "0018"}}, kClaim6},
      {"with another option", &ns, {{78, "0e01"}}, kClaim6},
      {"from a link-local address", &ns, {{22, "fe80"}}, kQuestion},
      {"from a link-local address of another prefix",
       &ns,
       {{22, "febf"}},
       "question 52:54:00:12:34:56 2001:db8:1::10 from febf:db8:1::61"},
      {"from an address that is none any more", &ns, {{22, "fec0"}}, "claim 52:54:00:12:34:56 fec0:db8:1::61"},
      {"from a link-local address for one", &ns, {{22, "fe80"}, {62, "fe80"}}, "nothing"},
      {"for another MAC", &ns, {{80, "525400123457"}}, "malformed"},
      {"option of a longer address", &ns, {{18, "0028"}, {79, "02"}, {86, "0000000000000000"}}, "malformed"},
      {"option of length 0", &ns, {{79, "00"}}, "malformed"},
      {"option past the end", &ns, {{79, "02"}}, "malformed"},
      {"option past the end, within the padding", &ns, {{79, "02"}, {86, "0000000000000000"}}, "malformed"},
      {"half an option", &ns, {{18, "0019"}}, "malformed"},
      {"a second option", &ns, {{18, "0028"}, {86, "0e01010203040506"}}, kClaim6},
      {"a second option of another MAC", &ns, {{18, "0028"}, {86, "0101525400123457"}}, "malformed"},
      {"payload past the end", &ns, {{18, "0028"}}, "malformed"},
      {"payload too short", &ns, {{18, "0017"}}, "malformed"},
      {"forwarded", &ns, {{21, "fe"}}, "malformed"},
      {"code", &ns, {{55, "01"}}, "malformed"},
      {"for a multicast target", &ns, {{62, "ff02"}}, "malformed"},
      {"from a multicast address", &ns, {{22, "ff02"}}, "malformed"},
      {"IP version", &ns, {{14, "40"}}, "malformed"},
      {"behind an extension header", &ns, {{20, "00"}}, "nothing"},
      {"router solicitation", &ns, {{54, "85"}}, "nothing"},
      {"echo request", &ns, {{54, "80"}}, "nothing"},
      {"duplicate detection", &dad, {}, kClaim6},
      {"duplicate detection with a link-layer address", &dad, {{78, "0101525400123456"}}, "malformed"},
      {"duplicate detection, not to its group", &dad, {{38, "20010db8"}}, "malformed"},
      {"duplicate detection, to all nodes", &dad, {{50, "00000001"}}, "malformed"},
      {"duplicate detection of a link-local address", &dad, {{62, "fe80"}}, "nothing"},
      {"duplicate detection of the loopback address", &dad, {{62, "00000000000000000000000000000001"}}, "nothing"},
  });
}

TEST(FrameTest, HearsNeighbourAdvertisements) {
  const Frame& na = kAdvertisement;
  const Frame bare(na.begin(), na.end() - 8);
  expect({
      {"advertisement", &na, {}, kClaim6},
      {"from another of its addresses", &na, {{22, "fe80"}}, kClaim6},
      {"to one, solicited", &na, {{38, "20010db8"}, {58, "60"}}, kClaim6},
      {"to all, solicited", &na, {{58, "60"}}, "malformed"},
      {"without option", &bare, {{18, "0018"}}, kClaim6},
      {"source link-layer option", &na, {{78, "0101525400123457"}}, kClaim6},
      {"for another MAC", &na, {{80, "525400123457"}}, "malformed"},
      {"option of length 0", &na, {{79, "00"}}, "malformed"},
      {"for a multicast target", &na, {{62, "ff02"}}, "malformed"},
      {"for a link-local target", &na, {{62, "fe80"}}, "nothing"},
      {"for an IPv4-mapped target", &na, {{62, "00000000000000000000ffffc000023d"}}, "nothing"},
      {"forwarded", &na, {{21, "40"}}, "malformed"},
      {"code", &na, {{55, "01"}}, "malformed"},
  });
}

TEST(FrameTest, HearsDhcpRequests) {
  const Frame& request = kRequest;
  const Frame renew = dhcp("350103ff", "c000023d");
  const Frame both = dhcp("3204c000023d 350103 ff", "c000023e");
  const Frame padded = dhcp("00 350103 0000 3204c000023d ff 0000000000");
  const Frame endless = dhcp("350103 3204c000023d");
  const Frame cut = dhcp("350103 3204c00002");
  const Frame past_end = dhcp("350103 3204c000023d 0cff");
  const Frame lone_code = dhcp("350103 3204c000023d 0c");
  const Frame long_type = dhcp("35020303 3204c000023d ff");
  const Frame long_address = dhcp("350103 3206c000023d0000 ff");
  const Frame discover = dhcp("350101 3204c000023d ff");
  const Frame untyped = dhcp("3204c000023d ff");
  const Frame no_address = dhcp("350103 ff");
  const Frame link_local = dhcp("350103 3204a9fe0101 ff");
  const Frame inner_end = dhcp("350103 ff 3204c000023d ff");
  expect({
      {"request", &request, {}, kLease},
      {"renewal", &renew, {}, kLease},
      {"both addresses: the requested one", &both, {}, kLease},
      {"pads", &padded, {}, kLease},
      {"Ethernet padding", &request, {{request.size(), "00000000"}}, kLease},
      {"an IPv4 option", &request, {{14, "46"}}, "nothing"},  // moves the ports away
      {"no end", &endless, {}, "malformed"},
      {"option cut off", &cut, {}, "malformed"},
      {"option past the end", &past_end, {}, "malformed"},
      {"option without length", &lone_code, {}, "malformed"},
      {"two message types in one", &long_type, {}, "malformed"},
      {"six bytes of address", &long_address, {}, "malformed"},
      {"discover", &discover, {}, "nothing"},
      {"BOOTP with options", &untyped, {}, "nothing"},
      {"no address", &no_address, {}, "nothing"},
      {"link-local address", &link_local, {}, "nothing"},
      {"nothing counts after the end", &inner_end, {}, "nothing"},
      {"no cookie", &request, {{kBootp + 236, "63825364"}}, "nothing"},
      {"reply", &request, {{kBootp, "02"}}, "malformed"},
      {"not Ethernet", &request, {{kBootp + 1, "06"}}, "malformed"},
      {"hardware length", &request, {{kBootp + 2, "10"}}, "malformed"},
      {"for another MAC", &request, {{kBootp + 28, "525400123457"}}, "malformed"},
      {"from a relay", &request, {{kUdp, "0043"}}, "nothing"},
      {"to a client", &request, {{kUdp + 2, "0044"}}, "nothing"},
      {"UDP length past the end", &request, {{kUdp + 4, "ffff"}}, "malformed"},
      {"UDP length too short", &request, {{kUdp + 4, "0007"}}, "malformed"},
      {"UDP without BOOTP", &request, {{kUdp + 4, "0008"}}, "malformed"},
      {"TCP", &request, {{23, "06"}}, "nothing"},
      {"first fragment", &request, {{20, "2000"}}, "nothing"},
      {"later fragment", &request, {{20, "0001"}}, "nothing"},
      {"not to be fragmented", &request, {{20, "4000"}}, kLease},
      {"IPv4 length past the end", &request, {{16, "ffff"}}, "malformed"},
      {"IPv4 length too short", &request, {{16, "001b"}}, "malformed"},
      {"IPv4 header too short", &request, {{14, "44"}}, "malformed"},
      {"IP version", &request, {{14, "65"}}, "malformed"},
  });
}

TEST(FrameTest, FindsDhcpBehindIpv4Options) {
  Frame frame = kRequest;
  frame[14] = 0x46;
  frame.insert(frame.begin() + kUdp, 4, 1);
  put_be16(frame, 16, frame.size() - 14);
  EXPECT_EQ(told(frame), kLease);
}

TEST(FrameTest, AFrameThatWasCutOffSaysNothing) {
  for (const Frame* frame : {&kArpRequest, &kSolicitation, &kDetection, &kAdvertisement, &kRequest}) {
    ASSERT_TRUE(hear(*frame));
    for (std::size_t size = 0; size < frame->size(); ++size)
      EXPECT_EQ(told(Frame(frame->begin(), frame->begin() + static_cast<std::ptrdiff_t>(size))), "malformed") << size;
  }
}

TEST(FrameTest, OutOfRandomBytesComesNothingThatAGuestCannotHave) {
  std::mt19937 random(1);
  std::size_t heard = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    // A valid frame with some bytes changed and its end moved gets further than noise does.
    const Frame* const bases[] = {&kArpRequest, &kSolicitation, &kDetection, &kAdvertisement, &kRequest};
    Frame frame = *bases[random() % std::size(bases)];
    if (i % 4 == 0)
      for (auto& byte : frame) byte = static_cast<std::uint8_t>(random());
    for (auto changes = random() % 4; changes > 0; --changes)
      frame[random() % frame.size()] = static_cast<std::uint8_t>(random());
    if (i % 3 == 0) frame.resize(random() % (frame.size() + 8));
    frame.shrink_to_fit();
    const auto result = hear(frame);
    if (!result) continue;
    ++heard;
    ASSERT_EQ(result->address.why_not_a_guests(), "");
    ASSERT_TRUE(std::ranges::equal(result->mac.bytes(), std::span(frame).subspan(6, 6)));
  }
  EXPECT_GT(heard, 100'000U);  // else the loop has tested nothing
  EXPECT_LT(heard, 900'000U);
}

TEST(FrameTest, AQuestionIsOneForTheTargetFromTheAsker) {
  const Asker four{*MacAddress::parse(kMac), *IpAddress::parse("192.0.2.61")};
  const Asker six{*MacAddress::parse(kMac), *IpAddress::parse("2001:db8:1::61")};
  const auto target4 = *IpAddress::parse("192.0.2.10");
  const auto target6 = *IpAddress::parse("2001:db8:1::10");
  const auto to = *MacAddress::parse("52:54:00:ee:00:10");
  EXPECT_EQ(question(four, target4, {}), kArpRequest);
  EXPECT_EQ(question(four, target4, to), patched(kArpRequest, {{0, "525400ee0010"}}));
  // The checksums come from another implementation; that the kernel takes them is netns/frame_test.
  EXPECT_EQ(question(six, target6, to), patched(kSolicitation, {{56, "6738"}}));
  EXPECT_EQ(question(six, target6, {}),
            patched(kSolicitation, {{0, "3333ff000010"}, {38, "ff0200000000000000000001ff000010"}, {56, "96ed"}}));
  for (const auto& asker : {four, six})
    for (const auto& alone : {std::optional(to), std::optional<MacAddress>()}) {
      const auto& target = asker.address.is_v4() ? target4 : target6;
      EXPECT_EQ(told(question(asker, target, alone)), asker.address.is_v4() ? kClaim4 : kClaim6);
    }
}

TEST(FrameTest, AnAnswerIsASolicitedAdvertisementThatOverridesNothing) {
  const Asker host{*MacAddress::parse("52:54:00:ee:00:10"), *IpAddress::parse("2001:db8:1::10")};
  EXPECT_EQ(answer(host, *MacAddress::parse(kMac), *IpAddress::parse("fe80::5054:ff:fe12:3456")),
            patched(kAdvertisement, {{0, "525400123456 525400ee0010"},
                                     {22, "20010db8000100000000000000000010 fe80000000000000505400fffe123456"},
                                     {56, "0480"},
                                     {58, "40"},
                                     {62, "20010db8000100000000000000000010 0201 525400ee0010"}}));
}

}  // namespace
}  // namespace vmt
