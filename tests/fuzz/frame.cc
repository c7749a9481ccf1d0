// SPDX-License-Identifier: LGPL-2.1-or-later
// Frames from the wire: what is heard is the sender's, can be a guest's, and comes through the kernel's filter.
#include "lib/frame.h"

#include "tests/fuzz/bpf.h"
#include "tests/fuzz/property.h"

namespace {

using namespace vmt;

// Whoever asks is heard with its own address, if that can be a guest's.
void check_question(const Heard& heard, const MacAddress& to) {
  for (const auto& target : {"192.0.2.10", "2001:db8::10"}) {
    const auto address = *IpAddress::parse(target);
    if (address.family() != heard.address.family()) continue;
    for (const auto& whom : {std::optional<MacAddress>{}, std::optional(to)}) {
      const auto frame = question({heard.mac, heard.address}, address, whom);
      fuzz::require(frame.size() == (address.is_v4() ? 42 : 86), "a question has its size");
      fuzz::require(hear(frame) == Heard{Heard::Kind::kClaim, heard.mac, heard.address}, "a question is a claim");
      fuzz::require(fuzz::passes(*filter_program({}), frame), "a question passes the filter");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::uint8_t> frame(data, data + size);
  const auto heard = hear(frame);
  if (!heard) return 0;
  fuzz::require(heard->address.why_not_a_guests().empty(), "the address can be a guest's");
  fuzz::require(heard->asker.has_value() == (heard->kind == Heard::Kind::kQuestion), "who asks is known of questions");
  fuzz::require(std::ranges::equal(heard->mac.bytes(), std::span(frame).subspan(6, 6)), "the MAC is the sender's");
  auto padded = frame;
  padded.resize(size + 18, 0x55);
  fuzz::require(hear(padded) == heard, "padding does not matter");
  for (std::size_t cut = 0; cut < size; cut += 1 + size / 64)
    if (const auto part = hear(std::span(frame).first(cut)))
      fuzz::require(part == heard, "a part says the same or nothing");
  fuzz::require(fuzz::passes(*filter_program({}), frame), "what can be heard passes the filter");
  fuzz::require(!fuzz::passes(*filter_program({.muted = {heard->mac}, .only = {}}), frame), "the muted are not heard");
  const std::vector only{heard->mac};
  fuzz::require(fuzz::passes(*filter_program({.muted = {}, .only = only}), frame), "who alone is heard is heard");
  check_question(*heard, *MacAddress::parse("52:54:00:00:00:02"));
  return 0;
}
