// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/watch/frame_socket.h"

#include <gmock/gmock.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "lib/hash.h"
#include "lib/tag.h"
#include "tests/netns/frame_fixture.h"

namespace vmt {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FrameSocketTest : public FrameLanTest {
 protected:
  static Frame arp_from(const MacAddress& mac, const char* address = "192.0.2.99") {
    return question({mac, *IpAddress::parse(address)}, *IpAddress::parse("192.0.2.200"), {});
  }
  static std::vector<MacAddress> macs(std::size_t count, std::uint64_t seed = 0) {
    std::vector<MacAddress> result;
    for (std::size_t i = 0; i < count; ++i) result.push_back(mac_of_hash(fnv1a(std::to_string(seed * 10'000 + i))));
    return result;
  }
  // Sent after what must not be heard: it comes alone, then.
  static constexpr const char* kMark = "52:54:00:12:34:56 192.0.2.250";
  static void mark(FrameSocket& from) { send(from, arp_from(*MacAddress::parse(kMac), "192.0.2.250")); }
  // Hears "web", and of that only what the test sends: neither its own stack nor anyone else on the LAN.
  static FrameSocket listen_to_the_test_alone() {
    sh("ip netns exec web sysctl -qw net.ipv6.conf.g0.disable_ipv6=1");
    return listen("", "vmt-1", {.muted = {}, .only = std::vector{*MacAddress::parse(kMac)}});
  }
};

TEST_F(FrameSocketTest, HearsAGuestsArpDuplicateDetectionAndDhcp) {
  auto shim = listen("", "vmt-1");
  auto web = listen("web", "g0");
  for (const Frame* frame : {&kArpRequest, &kDetection, &kAdvertisement, &kRequest}) send(web, *frame);
  mark(web);
  EXPECT_THAT(heard(shim, kMark), ElementsAre(kWeb4, kWeb6, kWeb6, kWeb4, kMark));
}

// The kernel hands a broadcast to each sibling at once, and its queue has room for a thousand (net.core.
// netdev_max_backlog).
TEST_F(FrameSocketTest, AShimIsAmongTheFirstThatHearAGuest) {
  sh("sysctl -qw net.ipv6.conf.default.disable_ipv6=1 && ip link del vmt-1 && seq 2500 | "
     "sed 's/.*/link add link eth0 name s& up type macvlan mode bridge/' | ip -batch -");
  auto web = listen("web", "g0");
  for (const char* parent : {"52:54:00:ee:00:10", "52:54:00:ee:00:11", "02:00:5e:10:20:30", "00:1b:21:0a:0b:0c"}) {
    sh("ip link add link eth0 name vmt-1 up address " + shim_mac(*MacAddress::parse(parent)).str() +
       " type macvlan mode bridge");
    auto shim = listen("", "vmt-1");
    // An error tells that for the LAN, which comes last, there was no room.
    [[maybe_unused]] const auto sent = web.send(arp_from(*MacAddress::parse(kMac), "192.0.2.250"));
    EXPECT_TRUE(hears(shim, kMark)) << "of the parent with " << parent;
    sh("ip link del vmt-1");
  }
}

TEST_F(FrameSocketTest, HearsNoData) {
  auto shim = listen("", "vmt-1");
  auto web = listen("web", "g0");
  const std::string to_shim = "525400ee0020";
  send(web, patched(kRequest, {{36, "0045"}}));
  send(web, patched(kRequest, {{0, to_shim.c_str()}, {36, "0045"}}));
  send(web, patched(kRequest, {{0, to_shim.c_str()}, {23, "06"}}));
  send(web, patched(kSolicitation, {{0, to_shim.c_str()}, {20, "11"}}));
  mark(web);
  FrameBatch batch;
  pollfd waiting{.fd = shim.fd(), .events = POLLIN};
  ASSERT_EQ(poll(&waiting, 1, 2000), 1);
  const auto frames = shim.receive(batch);
  ASSERT_TRUE(frames);
  ASSERT_EQ(frames->size(), 1U);
  EXPECT_TRUE(std::ranges::equal(frames->front(), arp_from(*MacAddress::parse(kMac), "192.0.2.250")));
}

// The kernel takes a tag out of the frame before we see it. One of ID 0 is a priority only.
TEST_F(FrameSocketTest, HearsNothingOfOtherVlans) {
  const auto tagged = [](Frame frame, const char* tag) {
    const Frame bytes = hex(tag);
    frame.insert(frame.begin() + 12, bytes.begin(), bytes.end());
    return frame;
  };
  auto shim = listen("", "vmt-1");
  auto web = listen("web", "g0");
  send(web, tagged(kArpRequest, "81000005"));
  send(web, tagged(kArpRequest, "88a80005"));
  send(web, tagged(kArpRequest, "8100000081000000"));
  send(web, tagged(kAdvertisement, "8100e000"));
  mark(web);
  EXPECT_THAT(heard(shim, kMark), ElementsAre(kWeb6, kMark));
}

TEST_F(FrameSocketTest, DoesNotHearWhatTheHostSends) {
  auto shim = listen("", "vmt-1");
  auto sender = listen("", "vmt-1");
  auto web = listen("web", "g0");
  send(sender, arp_from(*MacAddress::parse("52:54:00:ee:00:20"), "192.0.2.10"));
  EXPECT_TRUE(hears(web, "52:54:00:ee:00:20 192.0.2.10"));
  mark(web);
  EXPECT_THAT(heard(shim, kMark), ElementsAre(kMark));
  EXPECT_THAT(heard(sender, kMark), ElementsAre(kMark));
}

// A macvlan takes a multicast frame by a hash of 256 values, so a few groups may pass by chance, but never all.
TEST_F(FrameSocketTest, HearsGroupsThatNobodyJoinedWhileItIsOpen) {
  auto without = *FrameSocket::open_for_answers(if_nametoindex("vmt-1"), FrameSocket::Answers::kNdp);
  auto web = listen("web", "g0");
  const auto all_multicast = [](const char* link) {
    return output_of(std::string("ip -d link show ") + link + " | grep -o 'allmulti [0-9]*'");
  };
  const std::string parent_before = all_multicast("eth0");
  const auto send_groups = [&] {
    for (const char* group : {"ff1001", "ff1002", "ff1003", "ff1004", "ff1005", "ff1006", "ff1007", "ff1008"})
      send(web, patched(kAdvertisement, {{3, group}}));
    send(web, patched(kAdvertisement, {{0, "525400ee0020"}, {62, "20010db8000100000000000000000099"}}));
    return heard(without, "52:54:00:12:34:56 2001:db8:1::99").size() - 1;
  };
  EXPECT_LT(send_groups(), 8U);
  EXPECT_EQ(all_multicast("vmt-1"), "allmulti 0\n");
  {
    auto shim = listen("", "vmt-1");
    EXPECT_EQ(all_multicast("vmt-1"), "allmulti 1\n");
    EXPECT_NE(all_multicast("eth0"), parent_before);
    EXPECT_EQ(send_groups(), 8U);
  }
  EXPECT_EQ(all_multicast("vmt-1"), "allmulti 0\n");
  EXPECT_EQ(all_multicast("eth0"), parent_before);
  EXPECT_LT(send_groups(), 8U);
}

TEST_F(FrameSocketTest, MutedOnesAreNotHeard) {
  const auto all = macs(3);
  auto shim = listen("", "vmt-1", {.muted = {all[0]}, .only = {}});
  auto web = listen("web", "g0");
  for (const auto& mac : all) send(web, arp_from(mac));
  mark(web);
  EXPECT_THAT(heard(shim, kMark), ElementsAre(all[1].str() + " 192.0.2.99", all[2].str() + " 192.0.2.99", kMark));
  ASSERT_TRUE(shim.set_rules({.muted = {all[1], all[2]}, .only = {}}));
  for (const auto& mac : all) send(web, arp_from(mac));
  mark(web);
  EXPECT_THAT(heard(shim, kMark), ElementsAre(all[0].str() + " 192.0.2.99", kMark));
}

// With as much memory as kernels before 6.8 give; later ones have six times as much, and a setting for each namespace.
TEST_F(FrameSocketTest, HearsOnlyThoseThatItShallHoweverMany) {
  const bool can_be_set = status_of("echo 20480 >/proc/sys/net/core/optmem_max") == 0;
  EXPECT_TRUE(can_be_set || output_of("cat /proc/sys/net/core/optmem_max") == "20480\n");
  auto shim = listen("", "vmt-1");
  auto web = listen("web", "g0");
  const auto strangers = macs(20, 2);
  for (const std::size_t count : {500, 2000, 2000}) {
    for (const std::uint64_t seed : {0, 1}) {
      auto only = macs(count, seed);
      only.push_back(*MacAddress::parse(kMac));
      only.erase(only.begin());
      const auto status = shim.set_rules({.muted = {}, .only = only});
      ASSERT_TRUE(status) << status.error().message;
      for (const auto& mac : strangers) send(web, arp_from(mac));
      const auto& [first, middle, last] = std::tie(only[0], only[count / 2], only[count - 2]);
      for (const auto& mac : {first, middle, last}) send(web, arp_from(mac));
      mark(web);
      EXPECT_THAT(heard(shim, kMark), ElementsAre(first.str() + " 192.0.2.99", middle.str() + " 192.0.2.99",
                                                  last.str() + " 192.0.2.99", kMark));
    }
  }
  EXPECT_EQ(shim.set_rules({.muted = {}, .only = macs(2001)}).error().kind, ErrorKind::kInvalid);
  send(web, arp_from(strangers[0]));
  mark(web);
  EXPECT_THAT(heard(shim, kMark), ElementsAre(kMark)) << "the old rules hold";
}

TEST_F(FrameSocketTest, ItsRulesHoldFromTheFirstFrameOn) {
  auto web = listen("web", "g0");
  auto control = listen("", "vmt-1");
  std::atomic<bool> done = false;
  std::thread sender([&] {
    while (!done) send(web, kArpRequest);
  });
  FrameBatch batch;
  std::size_t heard_at_all = 0;
  for (int i = 0; i < 200; ++i) {
    auto shim = listen("", "vmt-1", {.muted = {*MacAddress::parse(kMac)}, .only = {}});
    EXPECT_THAT(*shim.receive(batch), IsEmpty());
    heard_at_all += control.receive(batch)->size();
  }
  done = true;
  sender.join();
  EXPECT_GT(heard_at_all, 0U);
}

TEST_F(FrameSocketTest, CountsWhatItHadNoRoomFor) {
  auto shim = listen_to_the_test_alone();
  auto web = listen("web", "g0");
  constexpr std::size_t kSent = 6000;
  for (std::size_t i = 0; i < kSent; ++i) send(web, kArpRequest);
  FrameBatch batch;
  std::size_t received = 0;
  for (std::size_t size = batch.kFrames; size == batch.kFrames;) {
    size = shim.receive(batch)->size();
    received += size;
  }
  EXPECT_GE(received, 200U);
  EXPECT_LE(received, 4000U);
  EXPECT_EQ(shim.take_dropped(), kSent - received);
  EXPECT_EQ(shim.take_dropped(), 0U);
}

TEST_F(FrameSocketTest, OutlivesItsLinkBeingDownAndHearsAgain) {
  sh("ip link set vmt-1 down");
  auto shim = listen_to_the_test_alone();
  auto web = listen("web", "g0");
  FrameBatch batch;
  for (int i = 0; i < 2; ++i) {
    const auto none = shim.receive(batch);
    ASSERT_TRUE(none) << none.error().message;
    EXPECT_THAT(*none, IsEmpty());
    EXPECT_FALSE(shim.send(kArpRequest));
    sh("ip link set vmt-1 up");
    mark(web);
    EXPECT_TRUE(hears(shim, kMark));
    send(web, kDetection);
    EXPECT_TRUE(hears(shim, kWeb6));
    sh("ip link set vmt-1 down");
  }
  sh("ip link del vmt-1");
  const auto none = shim.receive(batch);
  ASSERT_TRUE(none) << none.error().message;
  EXPECT_THAT(*none, IsEmpty());
}

TEST_F(FrameSocketTest, SaysWhichLinkIsNotThere) {
  const auto none = FrameSocket::open(4242, {});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::kNotFound);
  EXPECT_THAT(none.error().message, HasSubstr("link 4242"));
}

// Of a LAN that floods, or of the guests among each other: it could drown what is for the host.
TEST_F(FrameSocketTest, DoesNotHearAtTheParentWhatOthersAnswerEachOther) {
  add_guest("db", "52:54:00:12:34:57", "192.0.2.62", "2001:db8:1::62");
  auto parent = *FrameSocket::open_for_answers(if_nametoindex("eth0"), FrameSocket::Answers::kArp);
  auto web = listen("web", "g0");
  auto db = listen("db", "g0");
  auto peer = listen("peer", "eth0");
  const auto answer = [](const char* to, const char* from, const char* address) {
    return patched(kArpRequest, {{0, to}, {6, from}, {20, "0002"}, {22, from}, {28, address}});
  };
  send(web, answer("525400123457", "525400123456", "c000023d"));
  EXPECT_TRUE(hears(db, kWeb4));
  send(peer, answer("525400999999", "525400ee0001", "c0000202"));
  send(peer, answer("525400ee0010", "525400ee0001", "c0000203"));
  EXPECT_THAT(heard(parent, "52:54:00:ee:00:01 192.0.2.3"), ElementsAre("52:54:00:ee:00:01 192.0.2.3"));
}

TEST_F(FrameSocketTest, HearsAnswersAtTheParentAndNothingElse) {
  using enum FrameSocket::Answers;
  const unsigned parent = if_nametoindex("eth0");
  auto arp = *FrameSocket::open_for_answers(parent, kArp);
  auto ndp = *FrameSocket::open_for_answers(parent, kNdp);
  auto peer = listen("peer", "eth0");
  const auto mac = *MacAddress::parse("52:54:00:ee:00:10");
  send(peer, arp_from(*MacAddress::parse("52:54:00:ee:00:01"), "192.0.2.1"));
  send(arp, question({mac, *IpAddress::parse("192.0.2.10")}, *IpAddress::parse("192.0.2.1"), {}));
  EXPECT_THAT(heard(arp, "52:54:00:ee:00:01 192.0.2.1"), ElementsAre("52:54:00:ee:00:01 192.0.2.1"));
  send(peer, kSolicitation);
  // The peer's own IPv6 starts up to a second after its link; this asks until it answers.
  ASSERT_EQ(status_of("ping -c 1 -w 5 2001:db8:1::1 >/dev/null"), 0);
  FrameBatch batch;
  const auto answers = ndp.receive(batch);
  for (const auto& frame : answers.value())
    EXPECT_EQ(hear(frame).value().address, *IpAddress::parse("2001:db8:1::1")) << "the solicitation's is another";
  send(ndp, question({mac, *IpAddress::parse("2001:db8:1::10")}, *IpAddress::parse("2001:db8:1::1"), {}));
  EXPECT_THAT(heard(ndp, "52:54:00:ee:00:01 2001:db8:1::1"), ElementsAre("52:54:00:ee:00:01 2001:db8:1::1"));
  EXPECT_THAT(*arp.receive(batch), IsEmpty());
  EXPECT_THAT(*ndp.receive(batch), IsEmpty());
}

}  // namespace
}  // namespace vmt
