// SPDX-License-Identifier: LGPL-2.1-or-later
// Putting a request together, attribute by attribute. Only rtnl_*request.cc include this.
#pragma once

#include <linux/rtnetlink.h>
#include <netlink/msg.h>

#include <new>
#include <string>
#include <string_view>

#include "lib/ip_address.h"
#include "lib/mac_address.h"
#include "lib/rtnl_request.h"

namespace vmt::request {

inline constexpr int kCreate = NLM_F_CREATE | NLM_F_EXCL;

// A message being written. nla_put fails only when the message is full, which none of ours can be: 4 KiB for at most
// a dozen small attributes.
class Writer {
 public:
  template <typename Header>
  Writer(int type, int flags, const Header& header) : message_(nlmsg_alloc_simple(type, NLM_F_REQUEST | flags)) {
    if (!message_ || nlmsg_append(message_.get(), const_cast<Header*>(&header), sizeof header, NLMSG_ALIGNTO) < 0)
      throw std::bad_alloc();
  }

  Writer& u8(int type, std::uint8_t value) { return raw(type, &value, sizeof value); }
  Writer& u16(int type, std::uint16_t value) { return raw(type, &value, sizeof value); }
  Writer& u32(int type, std::uint32_t value) { return raw(type, &value, sizeof value); }
  Writer& text(int type, std::string_view value) { return raw(type, std::string(value).c_str(), value.size() + 1); }
  Writer& address(int type, const IpAddress& value) { return raw(type, value.bytes().data(), value.bytes().size()); }
  Writer& mac(int type, const MacAddress& value) { return raw(type, value.bytes().data(), value.bytes().size()); }
  Writer& raw(int type, const void* data, std::size_t size) {
    if (nla_put(message_.get(), type, static_cast<int>(size), data) < 0) throw std::bad_alloc();
    return *this;
  }
  template <typename Body>
  Writer& nest(int type, Body body) {
    nlattr* start = nla_nest_start(message_.get(), type);
    if (start == nullptr) throw std::bad_alloc();
    body(*this);
    nla_nest_end(message_.get(), start);
    return *this;
  }
  NlMsg take() { return std::move(message_); }

 private:
  NlMsg message_;
};

inline ifinfomsg link_header(unsigned index) {
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  return header;
}

}  // namespace vmt::request
