// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/frame.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace vmt {
namespace {

using Bytes = std::span<const std::uint8_t>;
using Result = std::expected<Heard, Unheard>;

constexpr std::unexpected kNothing(Unheard::kNothing);
constexpr std::unexpected kMalformed(Unheard::kMalformed);

constexpr std::size_t kEthernetHeader = 14;
constexpr std::uint16_t kTypeIpv4 = 0x0800;
constexpr std::uint16_t kTypeArp = 0x0806;
constexpr std::uint16_t kTypeIpv6 = 0x86dd;

constexpr std::size_t kArpBytes = 28;
constexpr std::array<std::uint8_t, 6> kArpForIpv4OnEthernet{0, 1, 8, 0, 6, 4};
constexpr std::uint16_t kArpRequest = 1;
constexpr std::uint16_t kArpReply = 2;

constexpr std::size_t kIpv6Header = 40;
constexpr std::uint8_t kIcmpv6 = 58;
constexpr std::uint8_t kSolicitation = 135;
constexpr std::uint8_t kAdvertisement = 136;
constexpr std::size_t kDiscoveryBytes = 24;  // of a solicitation or advertisement, its options left out
constexpr std::uint8_t kSourceLinkLayer = 1;
constexpr std::uint8_t kTargetLinkLayer = 2;
constexpr std::uint8_t kSolicitedFlag = 0x40;
constexpr std::uint8_t kNeverForwarded = 255;  // hop limit
constexpr std::array<std::uint8_t, 13> kSolicitedNodeGroup{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};

constexpr std::size_t kIpv4Header = 20;
constexpr std::size_t kUdpHeader = 8;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint16_t kClientPort = 68;
constexpr std::uint16_t kServerPort = 67;
constexpr std::size_t kBootpBytes = 236;
constexpr std::array<std::uint8_t, 4> kDhcpCookie{0x63, 0x82, 0x53, 0x63};
constexpr std::uint8_t kPad = 0;
constexpr std::uint8_t kRequestedAddress = 50;
constexpr std::uint8_t kMessageType = 53;
constexpr std::uint8_t kEnd = 255;
constexpr std::uint8_t kDhcpRequest = 3;

std::uint16_t be16(Bytes bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

bool all_zero(Bytes bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

bool starts_with(Bytes bytes, Bytes start) {
  return bytes.size() >= start.size() && std::ranges::equal(bytes.first(start.size()), start);
}

bool is_link_local(Bytes address) {
  return address.size() == 16 && address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}

Result heard(Heard::Kind kind, const MacAddress& mac, Bytes address) {
  const Heard result{.kind = kind, .mac = mac, .address = *IpAddress::from_bytes(address)};
  if (!result.address.why_not_a_guests().empty()) return kNothing;
  return result;
}

Result hear_arp(const MacAddress& mac, Bytes packet) {
  if (packet.size() < kArpBytes || !starts_with(packet, kArpForIpv4OnEthernet)) return kMalformed;
  const std::uint16_t operation = be16(packet, 6);
  if (operation != kArpRequest && operation != kArpReply) return kNothing;
  if (!std::ranges::equal(packet.subspan(8, 6), mac.bytes())) return kMalformed;
  const Bytes sender = packet.subspan(14, 4);
  if (!all_zero(sender)) return heard(Heard::Kind::kClaim, mac, sender);
  if (operation == kArpReply) return kMalformed;
  return heard(Heard::Kind::kClaim, mac, packet.subspan(24, 4));
}

// The link-layer address in the last option of this type, empty: there is none; nullopt: malformed options.
std::optional<Bytes> link_layer_option(Bytes options, std::uint8_t type) {
  Bytes found;
  while (!options.empty()) {
    if (options.size() < 2) return std::nullopt;
    const std::size_t size = 8U * options[1];
    if (size == 0 || size > options.size()) return std::nullopt;
    if (options[0] == type) found = options.subspan(2, size - 2);
    options = options.subspan(size);
  }
  return found;
}

struct Discovery {
  Bytes source;
  Bytes destination;
  std::uint8_t flags = 0;
  Bytes target;
  Bytes options;
};

Result hear_solicitation(const MacAddress& mac, const Discovery& said) {
  const auto link_layer = link_layer_option(said.options, kSourceLinkLayer);
  if (!link_layer) return kMalformed;
  if (all_zero(said.source)) {
    if (!link_layer->empty() || !starts_with(said.destination, kSolicitedNodeGroup)) return kMalformed;
    return heard(Heard::Kind::kClaim, mac, said.target);
  }
  if (!link_layer->empty() && !std::ranges::equal(*link_layer, mac.bytes())) return kMalformed;
  if (!is_link_local(said.source)) return heard(Heard::Kind::kClaim, mac, said.source);
  auto question = heard(Heard::Kind::kQuestion, mac, said.target);
  if (question) question->asker = *IpAddress::from_bytes(said.source);
  return question;
}

Result hear_advertisement(const MacAddress& mac, const Discovery& said) {
  const auto link_layer = link_layer_option(said.options, kTargetLinkLayer);
  if (!link_layer || (!link_layer->empty() && !std::ranges::equal(*link_layer, mac.bytes()))) return kMalformed;
  if (said.destination[0] == 0xff && said.flags & kSolicitedFlag) return kMalformed;
  return heard(Heard::Kind::kClaim, mac, said.target);
}

// The checks are those of RFC 4861, 7.1, but for the checksum.
Result hear_ipv6(const MacAddress& mac, Bytes packet) {
  if (packet.size() <= kIpv6Header || packet[0] >> 4 != 6) return kMalformed;
  const std::uint8_t type = packet[kIpv6Header];
  if (packet[6] != kIcmpv6 || (type != kSolicitation && type != kAdvertisement)) return kNothing;
  const std::size_t size = be16(packet, 4);
  if (size < kDiscoveryBytes || size > packet.size() - kIpv6Header || packet[7] != kNeverForwarded) return kMalformed;
  const Bytes message = packet.subspan(kIpv6Header, size);
  const Discovery said{.source = packet.subspan(8, 16),
                       .destination = packet.subspan(24, 16),
                       .flags = message[4],
                       .target = message.subspan(8, 16),
                       .options = message.subspan(kDiscoveryBytes)};
  constexpr std::uint8_t kMulticast = 0xff;
  if (message[1] != 0 || said.target[0] == kMulticast || said.source[0] == kMulticast) return kMalformed;
  return type == kSolicitation ? hear_solicitation(mac, said) : hear_advertisement(mac, said);
}

struct DhcpOptions {
  std::uint8_t message_type = 0;
  Bytes requested;
};

std::optional<DhcpOptions> parse_dhcp_options(Bytes options) {
  DhcpOptions found;
  while (!options.empty() && options[0] != kEnd) {
    if (options[0] == kPad) {
      options = options.subspan(1);
      continue;
    }
    if (options.size() < 2 || options.size() - 2 < options[1]) return std::nullopt;
    const Bytes value = options.subspan(2, options[1]);
    if (options[0] == kMessageType) {
      if (value.size() != 1) return std::nullopt;
      found.message_type = value[0];
    } else if (options[0] == kRequestedAddress) {
      if (value.size() != 4) return std::nullopt;
      found.requested = value;
    }
    options = options.subspan(2 + value.size());
  }
  if (options.empty()) return std::nullopt;  // no end option
  return found;
}

Result hear_dhcp(const MacAddress& mac, Bytes message) {
  constexpr std::array<std::uint8_t, 3> kRequestOnEthernet{1, 1, 6};
  if (message.size() < kBootpBytes + kDhcpCookie.size() || !starts_with(message, kRequestOnEthernet)) return kMalformed;
  if (!std::ranges::equal(message.subspan(28, 6), mac.bytes())) return kMalformed;
  if (!starts_with(message.subspan(kBootpBytes), kDhcpCookie)) return kNothing;
  const auto options = parse_dhcp_options(message.subspan(kBootpBytes + kDhcpCookie.size()));
  if (!options) return kMalformed;
  if (options->message_type != kDhcpRequest) return kNothing;
  const Bytes renewed = message.subspan(12, 4);
  return heard(Heard::Kind::kLease, mac, options->requested.empty() ? renewed : options->requested);
}

Result hear_ipv4(const MacAddress& mac, Bytes packet) {
  if (packet.size() < kIpv4Header || packet[0] >> 4 != 4) return kMalformed;
  constexpr unsigned kMoreFragmentsOrOffset = 0x3fff;
  if (packet[9] != kUdp || be16(packet, 6) & kMoreFragmentsOrOffset) return kNothing;
  const std::size_t header = 4U * (packet[0] & 0xf);
  const std::size_t size = be16(packet, 2);
  if (header < kIpv4Header || size < header + kUdpHeader || size > packet.size()) return kMalformed;
  const Bytes datagram = packet.subspan(header, size - header);
  if (be16(datagram, 0) != kClientPort || be16(datagram, 2) != kServerPort) return kNothing;
  const std::size_t datagram_size = be16(datagram, 4);
  if (datagram_size < kUdpHeader || datagram_size > datagram.size()) return kMalformed;
  return hear_dhcp(mac, datagram.subspan(kUdpHeader, datagram_size - kUdpHeader));
}

class Writer {
 public:
  Writer& byte(unsigned value) {
    bytes_.push_back(static_cast<std::uint8_t>(value));
    return *this;
  }
  Writer& be16(unsigned value) { return byte(value >> 8).byte(value & 0xff); }
  Writer& put(Bytes bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  Writer& zeros(std::size_t count) {
    bytes_.insert(bytes_.end(), count, 0);
    return *this;
  }
  std::vector<std::uint8_t> take() { return std::move(bytes_); }

 private:
  std::vector<std::uint8_t> bytes_;
};

std::vector<std::uint8_t> arp_request(const Asker& asker, const IpAddress& target,
                                      const std::optional<MacAddress>& to) {
  constexpr std::array<std::uint8_t, 6> kBroadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  Writer frame;
  frame.put(to ? Bytes(to->bytes()) : Bytes(kBroadcast)).put(asker.mac.bytes()).be16(kTypeArp);
  frame.put(kArpForIpv4OnEthernet).be16(kArpRequest).put(asker.mac.bytes()).put(asker.address.bytes());
  return frame.zeros(6).put(target.bytes()).take();
}

// Of the packet's addresses, message and pseudo header (RFC 8200, 8.1); the message's own field is still zero.
std::uint16_t icmpv6_checksum(Bytes packet) {
  std::uint32_t sum = be16(packet, 4) + kIcmpv6;
  for (std::size_t i = 8; i + 1 < packet.size(); i += 2) sum += be16(packet, i);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

struct Message {
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  const IpAddress& target;
  std::uint8_t option = 0;  // says the sender's MAC
};

// `to`: 16 bytes.
std::vector<std::uint8_t> discovery(const Asker& sender, Bytes to_mac, Bytes to, const Message& message) {
  constexpr unsigned kOption = 8;
  Writer writer;
  writer.put(to_mac).put(sender.mac.bytes()).be16(kTypeIpv6);
  writer.byte(0x60).zeros(3).be16(kDiscoveryBytes + kOption).byte(kIcmpv6).byte(kNeverForwarded);
  writer.put(sender.address.bytes()).put(to);
  writer.byte(message.type).zeros(3).byte(message.flags).zeros(3).put(message.target.bytes());
  writer.byte(message.option).byte(1).put(sender.mac.bytes());
  auto frame = writer.take();
  const std::uint16_t checksum = icmpv6_checksum(Bytes(frame).subspan(kEthernetHeader));
  constexpr std::size_t kChecksum = kEthernetHeader + kIpv6Header + 2;
  frame[kChecksum] = static_cast<std::uint8_t>(checksum >> 8);
  frame[kChecksum + 1] = static_cast<std::uint8_t>(checksum);
  return frame;
}

std::vector<std::uint8_t> solicitation(const Asker& asker, const IpAddress& target,
                                       const std::optional<MacAddress>& to) {
  const Message message{.type = kSolicitation, .target = target, .option = kSourceLinkLayer};
  if (to) return discovery(asker, to->bytes(), target.bytes(), message);
  const Bytes tail = target.bytes().last(3);
  Writer mac, group;
  mac.be16(0x3333).byte(0xff).put(tail);
  group.put(kSolicitedNodeGroup).put(tail);
  return discovery(asker, mac.take(), group.take(), message);
}

}  // namespace

std::expected<Heard, Unheard> hear(std::span<const std::uint8_t> frame) {
  if (frame.size() < kEthernetHeader) return kMalformed;
  const std::uint16_t type = be16(frame, 12);
  if (type != kTypeArp && type != kTypeIpv6 && type != kTypeIpv4) return kNothing;
  const auto mac = MacAddress::from_bytes(frame.subspan(6, 6));
  if (!mac) return kMalformed;
  const Bytes packet = frame.subspan(kEthernetHeader);
  if (type == kTypeArp) return hear_arp(*mac, packet);
  return type == kTypeIpv6 ? hear_ipv6(*mac, packet) : hear_ipv4(*mac, packet);
}

std::vector<std::uint8_t> question(const Asker& asker, const IpAddress& target, const std::optional<MacAddress>& to) {
  return target.is_v4() ? arp_request(asker, target, to) : solicitation(asker, target, to);
}

std::vector<std::uint8_t> answer(const Asker& own, const MacAddress& to, const IpAddress& asker) {
  return discovery(
      own, to.bytes(), asker.bytes(),
      {.type = kAdvertisement, .flags = kSolicitedFlag, .target = own.address, .option = kTargetLinkLayer});
}

}  // namespace vmt
