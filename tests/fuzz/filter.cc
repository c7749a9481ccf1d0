// SPDX-License-Identifier: LGPL-2.1-or-later
// The kernel's filter for lists of any MACs: the muted are not heard, the named are, and the program fits.
#include "tests/frames.h"
#include "tests/fuzz/bpf.h"
#include "tests/fuzz/property.h"

namespace {

using namespace vmt;

std::vector<MacAddress> macs(fuzz::Bytes& bytes, std::size_t count) {
  std::vector<MacAddress> result;
  while (result.size() < count && !bytes.empty())
    if (const auto mac = MacAddress::from_bytes(bytes.take(MacAddress::kSize))) result.push_back(*mac);
  return result;
}

bool hears(const std::vector<sock_filter>& program, const MacAddress& mac) {
  Frame frame = kArpRequest;
  std::ranges::copy(mac.bytes(), frame.begin() + 6);
  return fuzz::passes(program, frame);
}

}  // namespace

// A byte that says how many are muted, and MACs.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  const std::size_t count = bytes.byte() * 8U;
  const auto muted = macs(bytes, count);
  const auto named = macs(bytes, kMaxFilteredMacs);
  const auto all_but = filter_program({.muted = muted, .only = {}});
  const auto only = filter_program({.muted = muted, .only = named});
  fuzz::require(all_but && only && only->size() <= BPF_MAXINSNS, "lists of that size fit");
  for (const auto& mac : muted) fuzz::require(!hears(*all_but, mac) && !hears(*only, mac), "the muted are not heard");
  // Others may share a hash with a muted one.
  for (const auto& mac : named) fuzz::require(hears(*only, mac) || !hears(*all_but, mac), "the named are heard");
  return 0;
}
