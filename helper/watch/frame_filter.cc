// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/watch/frame_filter.h"

#include <fmt/core.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include <algorithm>
#include <cstdint>
#include <span>

namespace vmt {
namespace {

using Program = std::vector<sock_filter>;

constexpr std::uint32_t kPass = kFrameBytes;
constexpr std::uint32_t kDrop = 0;

constexpr sock_filter load_byte(std::uint32_t at) {
  return BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at);
}
constexpr sock_filter load_half(std::uint32_t at) {
  return BPF_STMT(BPF_LD | BPF_H | BPF_ABS, at);
}
constexpr sock_filter load_word(std::uint32_t at) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at);
}
constexpr sock_filter mask(std::uint32_t bits) {
  return BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits);
}
constexpr sock_filter result(std::uint32_t value) {
  return BPF_STMT(BPF_RET | BPF_K, value);
}
// `yes` and `no` are how many instructions to step over.
constexpr sock_filter equal(std::uint32_t value, std::uint8_t yes, std::uint8_t no) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no);
}

void append(Program& program, std::initializer_list<sock_filter> instructions) {
  program.insert(program.end(), instructions);
}

// Where the fields are, from the Ethernet header on.
constexpr std::uint32_t kSource = 6;
constexpr std::uint32_t kType = 12;
constexpr std::uint32_t kArpOperation = 20;
constexpr std::uint32_t kIpv6Next = 20;
constexpr std::uint32_t kIcmpv6Type = 54;
constexpr std::uint32_t kIpv4Start = 14;
constexpr std::uint32_t kIpv4Fragment = 20;
constexpr std::uint32_t kIpv4Protocol = 23;
constexpr std::uint32_t kUdpDestinationAfterHeader = kIpv4Start + 2;

constexpr std::uint32_t kArpReply = 2;
constexpr std::uint32_t kIcmpv6 = 58;
constexpr std::uint32_t kSolicitation = 135;
constexpr std::uint32_t kAdvertisement = 136;
constexpr std::uint32_t kUdp = 17;
constexpr std::uint32_t kDhcpServer = 67;

// The tag's ID is looked at only when there is a tag: kernels before 6.2 leave an old one behind.
void drop_tagged(Program& program) {
  append(program, {load_half(static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT)), equal(0, 4, 0),
                   load_half(static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_VLAN_TAG)), mask(0xfff), equal(0, 1, 0),
                   result(kDrop)});
}

// First the test that a host's data fails: each of its frames from a guest comes by here.
void drop_other_protocols(Program& program) {
  append(program, {load_half(kType), equal(ETH_P_ARP, 16, 0), equal(ETH_P_IPV6, 9, 0), equal(ETH_P_IP, 0, 13),
                   // IPv4
                   load_byte(kIpv4Protocol), equal(kUdp, 0, 11), load_half(kIpv4Fragment), mask(0x1fff), equal(0, 0, 8),
                   BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, kIpv4Start),
                   BPF_STMT(BPF_LD | BPF_H | BPF_IND, kUdpDestinationAfterHeader), equal(kDhcpServer, 6, 5),
                   // IPv6
                   load_byte(kIpv6Next), equal(kIcmpv6, 0, 3), load_byte(kIcmpv6Type), equal(kSolicitation, 2, 0),
                   equal(kAdvertisement, 1, 0), result(kDrop)});
}

constexpr std::uint32_t kSpread = 0x9e3779b1;  // an odd number without a pattern

// 31 bits, as the kernel makes two instructions of a comparison with a constant of 32 (its own are signed). Multiplied,
// so that MACs which differ in one byte or two, as people number them, never share one.
std::uint32_t key_of(const MacAddress& mac) {
  const auto b = mac.bytes();
  const std::uint32_t high = static_cast<std::uint32_t>(b[0]) << 8 | b[1];
  const std::uint32_t low = static_cast<std::uint32_t>(b[2]) << 24 | static_cast<std::uint32_t>(b[3]) << 16 |
                            static_cast<std::uint32_t>(b[4]) << 8 | b[5];
  return (high * kSpread + low) * kSpread >> 1;
}

void load_key(Program& program) {
  append(program, {load_half(kSource), BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, kSpread), BPF_STMT(BPF_MISC | BPF_TAX, 0),
                   load_word(kSource + 2), BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
                   BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, kSpread), BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 1)});
}

// A search tree: a flood of frames from strangers costs a dozen or two comparisons each, not 2,000. Its leaves are as
// long as an 8-bit step allows to keep the program small (kMaxFilteredMacs says why); the steps to the right half are
// not bounded, as they are by BPF_JA. `keys` are sorted.
void search(Program& program, std::span<const std::uint32_t> keys, std::uint32_t found, std::uint32_t missed) {
  constexpr std::size_t kLeaf = 64;
  if (keys.size() <= kLeaf) {
    for (std::size_t i = 0; i < keys.size(); ++i)
      program.push_back(equal(keys[i], static_cast<std::uint8_t>(keys.size() - i), 0));
    append(program, {result(missed), result(found)});
    return;
  }
  const std::size_t half = keys.size() / 2;
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, keys[half], 0, 1));
  const std::size_t to_the_right = program.size();
  program.push_back(BPF_STMT(BPF_JMP | BPF_JA, 0));
  search(program, keys.first(half), found, missed);
  program[to_the_right].k = static_cast<std::uint32_t>(program.size() - to_the_right - 1);
  search(program, keys.subspan(half), found, missed);
}

std::vector<std::uint32_t> keys_of(std::span<const MacAddress> macs) {
  std::vector<std::uint32_t> keys;
  for (const auto& mac : macs) keys.push_back(key_of(mac));
  std::ranges::sort(keys);
  const auto doubles = std::ranges::unique(keys);
  keys.erase(doubles.begin(), doubles.end());
  return keys;
}

}  // namespace

std::expected<std::vector<sock_filter>, Error> filter_program(const FilterRules& rules) {
  const std::size_t most = std::max(rules.muted.size(), rules.only ? rules.only->size() : 0);
  if (most > kMaxFilteredMacs)
    return fail(invalid(fmt::format("filter for {} MAC addresses: {} at most", most, kMaxFilteredMacs)));
  Program program;
  drop_other_protocols(program);
  drop_tagged(program);
  const auto muted = keys_of(rules.muted);
  if (rules.only) {
    auto keys = keys_of(*rules.only);
    std::erase_if(keys, [&](std::uint32_t key) { return std::ranges::binary_search(muted, key); });
    load_key(program);
    search(program, keys, kPass, kDrop);
  } else if (!muted.empty()) {
    load_key(program);
    search(program, muted, kDrop, kPass);
  } else {
    program.push_back(result(kPass));
  }
  return program;
}

std::vector<sock_filter> answer_filter_program() {
  // The kernel shows frames from one macvlan to another to the parent's listeners, too: a guest could drown the
  // answers.
  Program program{load_word(static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_PKTTYPE)),
                  equal(PACKET_OTHERHOST, 0, 1),
                  result(kDrop),
                  load_half(kType),
                  equal(ETH_P_ARP, 0, 2),
                  load_half(kArpOperation),
                  equal(kArpReply, 6, 5),
                  equal(ETH_P_IPV6, 0, 4),
                  load_byte(kIpv6Next),
                  equal(kIcmpv6, 0, 2),
                  load_byte(kIcmpv6Type),
                  equal(kAdvertisement, 1, 0),
                  result(kDrop)};
  drop_tagged(program);
  program.push_back(result(kPass));
  return program;
}

}  // namespace vmt
