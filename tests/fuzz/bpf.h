// SPDX-License-Identifier: LGPL-2.1-or-later
// What would the kernel make of a classic BPF program? Runs those of helper/watch/frame_filter.h, without a socket.
#pragma once

#include <linux/filter.h>

#include "helper/watch/frame_filter.h"
#include "tests/fuzz/property.h"

namespace vmt::fuzz {

// Of an untagged frame that came from elsewhere: what the kernel knows besides the bytes (SKF_AD_*) is 0. A load from
// behind the frame's end drops it, as in the kernel.
inline bool passes(const std::vector<sock_filter>& program, std::span<const std::uint8_t> frame) {
  std::uint32_t a = 0, x = 0;
  for (std::size_t at = 0;; ++at) {
    require(at < program.size(), "the program ends with a return");
    const auto& [code, yes, no, k] = program[at];
    const auto jump = [&](bool condition) { at += condition ? yes : no; };
    const std::size_t from = BPF_MODE(code) == BPF_IND ? x + std::size_t{k} : k;
    const std::size_t bytes = BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;
    const bool ancillary = BPF_CLASS(code) == BPF_LD && k >= static_cast<std::uint32_t>(SKF_AD_OFF);
    const bool loads = BPF_CLASS(code) == BPF_LD || BPF_CLASS(code) == BPF_LDX;
    if (loads && !ancillary && from + bytes > frame.size()) return false;
    std::uint32_t value = 0;
    for (std::size_t i = 0; loads && !ancillary && i < bytes; ++i) value = value << 8 | frame[from + i];
    switch (code) {
      case BPF_LD | BPF_W | BPF_ABS:
      case BPF_LD | BPF_H | BPF_ABS:
      case BPF_LD | BPF_B | BPF_ABS:
      case BPF_LD | BPF_H | BPF_IND:
        a = value;
        break;
      case BPF_LDX | BPF_B | BPF_MSH:
        x = 4 * (value & 0xf);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        a &= k;
        break;
      case BPF_ALU | BPF_MUL | BPF_K:
        a *= k;
        break;
      case BPF_ALU | BPF_ADD | BPF_X:
        a += x;
        break;
      case BPF_ALU | BPF_RSH | BPF_K:
        a >>= k;
        break;
      case BPF_MISC | BPF_TAX:
        x = a;
        break;
      case BPF_JMP | BPF_JA:
        at += k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        jump(a == k);
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        jump(a >= k);
        break;
      case BPF_RET | BPF_K:
        return k > 0;
      default:
        require(false, "the interpreter knows the instruction");
    }
  }
}

}  // namespace vmt::fuzz
