// SPDX-License-Identifier: LGPL-2.1-or-later
// The kernel's lists over a bare netlink socket, and their attributes as text: a witness that shares no code with the
// program that is tried.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "lib/fd.h"

namespace vmt::crash {

using Bytes = std::span<const std::uint8_t>;

inline constexpr std::uint16_t kAllMulticast = 61;  // IFLA_ALLMULTI; Debian 12's headers do not have it

std::string hex(std::uint64_t number);

class Attributes {
 public:
  explicit Attributes(Bytes bytes) : bytes_(bytes) {}

  // Empty where there is none.
  Bytes find(std::uint16_t type) const;
  bool has(std::uint16_t type) const { return find(type).data() != nullptr; }
  std::uint32_t number(std::uint16_t type) const;  // 0 where there is none
  std::string text(std::uint16_t type) const;
  Attributes nested(std::uint16_t type) const { return Attributes(find(type)); }
  void each(const std::function<void(std::uint16_t type, Bytes value)>& visit) const;

 private:
  Bytes bytes_;
};

struct Message {
  std::vector<std::uint8_t> payload;

  template <typename Header>
  Header header() const {
    Header header{};
    std::memcpy(&header, payload.data(), std::min(payload.size(), sizeof header));
    return header;
  }
  Attributes attributes(std::size_t header) const;
};

// " 3=eth0 26.10.2=...": without the types in `without`; those in `links` are ifindices. Types as paths: "18.2.1".
using NameOf = std::function<std::string(std::uint32_t)>;
std::string render(const Message& message, std::size_t header, const std::set<std::string>& without,
                   const std::set<std::string>& links, const NameOf& name_of);
std::string render(const Attributes& attributes, const std::string& path, const std::set<std::string>& without,
                   const std::set<std::string>& links, const NameOf& name_of);

class NetlinkSocket {
 public:
  NetlinkSocket();

  // All messages that the request lists, once more when the kernel says that they changed meanwhile.
  template <typename Header>
  std::vector<Message> dump(std::uint16_t type, const Header& header) {
    return dump(type, Bytes(reinterpret_cast<const std::uint8_t*>(&header), sizeof header));
  }

 private:
  std::vector<Message> dump(std::uint16_t type, Bytes header);
  bool take(std::vector<Message>& messages, bool& again);

  Fd socket_;
  std::uint32_t sequence_ = 0;
};

}  // namespace vmt::crash
