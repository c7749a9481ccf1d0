// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/ip_address.h"

#include <arpa/inet.h>
#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "lib/text.h"

namespace vmt {
namespace {

std::string_view why_not_v4(std::span<const std::uint8_t> b) {
  if (std::ranges::all_of(b, [](std::uint8_t x) { return x == 0; })) return "is the unspecified address";
  if (b[0] == 0) return "is in 0.0.0.0/8";
  if (b[0] == 127) return "is a loopback address";
  if (b[0] >= 224 && b[0] < 240) return "is a multicast address";
  if (b[0] >= 240) return "is a broadcast or reserved address";
  if (b[0] == 169 && b[1] == 254) return "is a link-local address";
  return {};
}

std::string_view why_not_v6(std::span<const std::uint8_t> b) {
  const bool zeros = std::ranges::all_of(b.first(10), [](std::uint8_t x) { return x == 0; });
  if (zeros && b[10] == 0xff && b[11] == 0xff) return "is an IPv4-mapped address";
  if (zeros && std::ranges::all_of(b.subspan(10, 5), [](std::uint8_t x) { return x == 0; })) {
    if (b[15] == 0) return "is the unspecified address";
    if (b[15] == 1) return "is a loopback address";
  }
  if (b[0] == 0xff) return "is a multicast address";
  if (b[0] == 0xfe && (b[1] & 0xc0) == 0x80) return "is a link-local address";
  return {};
}

bool bit(std::span<const std::uint8_t> bytes, unsigned index) {
  return bytes[index / 8] & (0x80U >> (index % 8));
}

}  // namespace

std::expected<IpAddress, Error> IpAddress::parse(std::string_view text) {
  const std::string copy(text);
  IpAddress address;
  if (copy.size() == std::char_traits<char>::length(copy.c_str())) {
    if (inet_pton(AF_INET, copy.c_str(), address.bytes_.data()) == 1) return address;
    address.size_ = 16;
    if (inet_pton(AF_INET6, copy.c_str(), address.bytes_.data()) == 1) return address;
  }
  return fail(invalid(fmt::format("address {}: neither IPv4 nor IPv6", quoted(text))));
}

std::expected<IpAddress, Error> IpAddress::from_bytes(std::span<const std::uint8_t> bytes) {
  if (bytes.size() != 4 && bytes.size() != 16)
    return fail(invalid(fmt::format("IP address of {} bytes: it has 4 or 16", bytes.size())));
  IpAddress address;
  address.size_ = static_cast<std::uint8_t>(bytes.size());
  std::ranges::copy(bytes, address.bytes_.begin());
  return address;
}

int IpAddress::family() const {
  return is_v4() ? AF_INET : AF_INET6;
}

std::string IpAddress::str() const {
  char text[INET6_ADDRSTRLEN];
  return inet_ntop(family(), bytes_.data(), text, sizeof text);
}

std::string_view IpAddress::why_not_a_guests() const {
  return is_v4() ? why_not_v4(bytes()) : why_not_v6(bytes());
}

std::expected<IpPrefix, Error> IpPrefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return fail(address.error());
  IpPrefix prefix{*address, address->bits()};
  if (slash == std::string_view::npos) return prefix;
  const std::string_view digits = text.substr(slash + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix.length);
  if (error != std::errc{} || end != digits.data() + digits.size() || prefix.length > address->bits())
    return fail(invalid(fmt::format("prefix {}: the length is not 0 to {}", quoted(text), address->bits())));
  return prefix;
}

bool IpPrefix::contains(const IpAddress& other) const {
  if (other.bits() != address.bits()) return false;
  for (unsigned i = 0; i < length; ++i)
    if (bit(address.bytes(), i) != bit(other.bytes(), i)) return false;
  return true;
}

bool IpPrefix::is_reserved(const IpAddress& other) const {
  if (!contains(other) || length + 1 >= address.bits()) return false;
  unsigned ones = 0;
  for (unsigned i = length; i < address.bits(); ++i) ones += bit(other.bytes(), i);
  return ones == 0 || (address.is_v4() && ones == address.bits() - length);
}

std::string IpPrefix::str() const {
  return fmt::format("{}/{}", address.str(), length);
}

}  // namespace vmt
