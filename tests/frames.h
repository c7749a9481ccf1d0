// SPDX-License-Identifier: LGPL-2.1-or-later
// Frames that a guest with the MAC 52:54:00:12:34:56 sends, in hex, and changes to them.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <vector>

namespace vmt {

using Frame = std::vector<std::uint8_t>;

// Hex digits, with blanks where they help.
inline Frame hex(std::string text) {
  std::erase(text, ' ');
  Frame bytes(text.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    std::from_chars(text.data() + 2 * i, text.data() + 2 * i + 2, bytes[i], 16);
  return bytes;
}

inline constexpr const char* kMac = "52:54:00:12:34:56";

inline const Frame kArpRequest =
    hex("ffffffffffff 525400123456 0806 0001 0800 06 04 0001"
        "525400123456 c000023d 000000000000 c000020a");
inline const Frame kSolicitation =
    hex("525400ee0010 525400123456 86dd 60000000 0020 3a ff 20010db8000100000000000000000061 "
        "20010db8000100000000000000000010"
        "87 00 0000 00000000 20010db8000100000000000000000010 0101 525400123456");
// Linux sends a nonce with it (RFC 7527).
inline const Frame kDetection =
    hex("3333ff000061 525400123456 86dd 60000000 0020 3a ff 00000000000000000000000000000000 "
        "ff0200000000000000000001ff000061"
        "87 00 0000 00000000 20010db8000100000000000000000061 0e01 010203040506");
inline const Frame kAdvertisement =
    hex("333300000001 525400123456 86dd 60000000 0020 3a ff 20010db8000100000000000000000061 "
        "ff020000000000000000000000000001"
        "88 00 0000 20000000 20010db8000100000000000000000061 0201 525400123456");

inline constexpr std::size_t kUdp = 14 + 20;
inline constexpr std::size_t kBootp = kUdp + 8;
inline constexpr std::size_t kOptions = kBootp + 240;

inline void put_be16(Frame& frame, std::size_t at, std::size_t value) {
  frame[at] = static_cast<std::uint8_t>(value >> 8);
  frame[at + 1] = static_cast<std::uint8_t>(value);
}

inline Frame dhcp(const std::string& options, const std::string& renewed = "00000000") {
  Frame frame =
      hex("ffffffffffff 525400123456 0800 45 00 0000 0000 0000 40 11 0000 00000000 ffffffff 0044 0043 0000 0000"
          "01 01 06 00 12345678 0000 0000" +
          renewed + "00000000 00000000 00000000 525400123456");
  frame.resize(kBootp + 236);
  for (const Frame& part : {hex("63825363"), hex(options)}) frame.insert(frame.end(), part.begin(), part.end());
  put_be16(frame, 16, frame.size() - 14);
  put_be16(frame, kUdp + 4, frame.size() - kUdp);
  return frame;
}

inline const Frame kRequest = dhcp("350103 0c0361626300 3204c000023d ff");

struct Patch {
  std::size_t at;
  const char* bytes;
};

inline Frame patched(Frame frame, const std::vector<Patch>& patches) {
  for (const Patch& patch : patches) {
    const Frame bytes = hex(patch.bytes);
    if (frame.size() < patch.at + bytes.size()) frame.resize(patch.at + bytes.size());
    std::ranges::copy(bytes, frame.begin() + static_cast<std::ptrdiff_t>(patch.at));
  }
  return frame;
}

}  // namespace vmt
