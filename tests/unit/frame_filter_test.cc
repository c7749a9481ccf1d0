// SPDX-License-Identifier: LGPL-2.1-or-later
// The programs run in the kernel, attached to a datagram socket whose datagrams are the frames.
#include "helper/watch/frame_filter.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <random>

#include "lib/fd.h"
#include "lib/frame.h"
#include "lib/hash.h"
#include "tests/frames.h"

namespace vmt {
namespace {

class FilterTest : public testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    from_ = Fd(ends[0]);
    to_ = Fd(ends[1]);
  }

  void attach(std::vector<sock_filter> program) {
    ASSERT_LE(program.size(), static_cast<std::size_t>(BPF_MAXINSNS));
    const sock_fprog all{static_cast<unsigned short>(program.size()), program.data()};
    ASSERT_EQ(setsockopt(to_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &all, sizeof all), 0) << errno;
  }
  void attach(const FilterRules& rules) {
    auto program = filter_program(rules);
    ASSERT_TRUE(program) << program.error().message;
    attach(*program);
  }

  // How many bytes of it came through.
  std::size_t passed(const Frame& frame) {
    EXPECT_EQ(send(from_.get(), frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()));
    std::array<std::uint8_t, 9000> buffer;
    const ssize_t size = recv(to_.get(), buffer.data(), buffer.size(), 0);
    return size < 0 ? 0 : static_cast<std::size_t>(size);
  }
  bool passes(const Frame& frame) { return passed(frame) > 0; }

  static Frame from(const MacAddress& mac, Frame frame = kArpRequest) {
    std::ranges::copy(mac.bytes(), frame.begin() + 6);
    return frame;
  }
  static std::vector<MacAddress> macs(std::size_t count, std::uint64_t seed = 0) {
    std::vector<MacAddress> result;
    for (std::size_t i = 0; i < count; ++i) result.push_back(mac_of_hash(fnv1a(std::to_string(seed * 10'000 + i))));
    return result;
  }

 private:
  Fd from_;
  Fd to_;
};

TEST_F(FilterTest, PassesWhatCanBeHeardAndNothingElse) {
  attach(FilterRules{});
  for (const Frame* frame : {&kArpRequest, &kSolicitation, &kDetection, &kAdvertisement, &kRequest})
    EXPECT_EQ(passed(*frame), frame->size());
  const struct {
    const char* what;
    const Frame* frame;
    std::vector<Patch> patches;
    bool passes;
  } rows[] = {
      {"ARP reply", &kArpRequest, {{20, "0002"}}, true},
      {"Ethernet alone", &kArpRequest, {{12, "88cc"}}, false},
      {"a tag inside the frame", &kArpRequest, {{12, "8100"}}, false},
      {"router advertisement", &kAdvertisement, {{54, "86"}}, false},
      {"redirect", &kAdvertisement, {{54, "89"}}, false},
      {"IPv6 TCP", &kAdvertisement, {{20, "06"}}, false},
      {"IPv6 with extension header", &kAdvertisement, {{20, "00"}}, false},
      {"TCP", &kRequest, {{23, "06"}}, false},
      {"UDP to another port", &kRequest, {{36, "0045"}}, false},
      {"first fragment", &kRequest, {{20, "2000"}}, true},
      {"later fragment", &kRequest, {{20, "2001"}}, false},
      {"not to be fragmented", &kRequest, {{20, "4000"}}, true},
      {"IPv4 options before the port", &kRequest, {{14, "46"}, {40, "0043"}}, true},
      {"IPv4 options where the port was", &kRequest, {{14, "46"}}, false},
  };
  for (const auto& row : rows) EXPECT_EQ(passes(patched(*row.frame, row.patches)), row.passes) << row.what;
}

TEST_F(FilterTest, CutsFramesButNoneOfEthernetsOwnSize) {
  attach(FilterRules{});
  Frame frame = kArpRequest;
  frame.resize(kFrameBytes);
  EXPECT_EQ(passed(frame), kFrameBytes);
  frame.resize(9000);
  EXPECT_EQ(passed(frame), kFrameBytes);
}

TEST_F(FilterTest, DropsNothingThatCanBeHeard) {
  attach(FilterRules{});
  std::mt19937 random(1);
  std::size_t heard = 0;
  for (int i = 0; i < 100'000; ++i) {
    const Frame* const bases[] = {&kArpRequest, &kSolicitation, &kDetection, &kAdvertisement, &kRequest};
    Frame frame = *bases[random() % std::size(bases)];
    for (auto changes = random() % 4; changes > 0; --changes)
      frame[random() % 64 % frame.size()] = static_cast<std::uint8_t>(random());
    if (!hear(frame)) continue;
    ++heard;
    ASSERT_TRUE(passes(frame));
  }
  EXPECT_GT(heard, 10'000U);
}

TEST_F(FilterTest, OnlyTheMutedAreNotHeard) {
  for (const std::size_t count : {1, 2, 64, 65, 500, 2000}) {
    const auto muted = macs(count);
    attach(FilterRules{.muted = muted, .only = {}});
    for (const auto& mac : muted) ASSERT_FALSE(passes(from(mac))) << count;
    for (const auto& mac : macs(2000, 1)) ASSERT_TRUE(passes(from(mac))) << count;
    EXPECT_FALSE(passes(from(muted.front(), kRequest)));
    EXPECT_FALSE(passes(from(muted.front(), kDetection)));
  }
}

TEST_F(FilterTest, OnlyThoseThatAreToBeHeardAre) {
  for (const std::size_t count : {0, 1, 2, 64, 65, 500, 2000}) {
    const auto only = macs(count);
    attach(FilterRules{.muted = {}, .only = only});
    for (const auto& mac : only) ASSERT_TRUE(passes(from(mac))) << count;
    for (const auto& mac : macs(2000, 1)) ASSERT_FALSE(passes(from(mac))) << count;
    if (count == 0) continue;
    EXPECT_TRUE(passes(from(only.back(), kRequest)));
    EXPECT_FALSE(passes(patched(from(only.back(), kRequest), {{36, "0045"}})));
  }
}

TEST_F(FilterTest, MutedBeatsOnly) {
  const auto all = macs(500);
  attach(FilterRules{.muted = {all[0], all[499]}, .only = all});
  EXPECT_FALSE(passes(from(all[0])));
  EXPECT_FALSE(passes(from(all[499])));
  for (std::size_t i = 1; i < 499; ++i) EXPECT_TRUE(passes(from(all[i])));
}

TEST_F(FilterTest, NeighboursInAnyByteOfAMacAreToldApart) {
  for (std::size_t at = 0; at < MacAddress::kSize; ++at)
    for (unsigned flip = at == 0 ? 2 : 1; flip < 256; flip *= 2) {
      const auto mac = *MacAddress::parse("52:54:00:12:34:56");
      std::array<std::uint8_t, 6> other;
      std::ranges::copy(mac.bytes(), other.begin());
      other[at] ^= static_cast<std::uint8_t>(flip);
      attach(FilterRules{.muted = {*MacAddress::from_bytes(other)}, .only = {}});
      EXPECT_TRUE(passes(from(mac))) << at << " " << flip;
    }
}

TEST_F(FilterTest, RefusesMoreThanFit) {
  EXPECT_EQ(filter_program({.muted = macs(2001), .only = {}}).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(filter_program({.muted = {}, .only = macs(2001)}).error().kind, ErrorKind::kInvalid);
}

TEST_F(FilterTest, OnTheParentsSideOnlyAnswersPass) {
  attach(answer_filter_program());
  EXPECT_TRUE(passes(patched(kArpRequest, {{20, "0002"}})));
  EXPECT_TRUE(passes(kAdvertisement));
  EXPECT_FALSE(passes(kArpRequest));
  EXPECT_FALSE(passes(kSolicitation));
  EXPECT_FALSE(passes(kRequest));
  EXPECT_FALSE(passes(patched(kAdvertisement, {{20, "06"}})));
  EXPECT_FALSE(passes(patched(kAdvertisement, {{12, "8100"}})));
}

}  // namespace
}  // namespace vmt
