// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/crash/netlink.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>

#include "tests/crash/child.h"

namespace vmt::crash {
namespace {

// Of links: IFLA_LINKINFO and in it IFLA_INFO_DATA, IFLA_AF_SPEC and in it both families, IFLA_PROP_LIST.
const std::set<std::string> kNested = {"18", "18.2", "26", "26.2", "26.10", "52"};

std::string printed(Bytes value) {
  const bool terminated = !value.empty() && value.back() == 0;
  const Bytes text = terminated ? value.first(value.size() - 1) : value;
  const auto is_print = [](std::uint8_t c) { return std::isprint(c) != 0; };
  if (terminated && !text.empty() && std::ranges::all_of(text, is_print)) return std::string(text.begin(), text.end());
  std::string result;
  for (const auto byte : value) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", byte);
    result += two;
  }
  return result;
}

}  // namespace

std::string hex(std::uint64_t number) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(number));
  return text;
}

void Attributes::each(const std::function<void(std::uint16_t, Bytes)>& visit) const {
  for (Bytes rest = bytes_; rest.size() >= sizeof(nlattr);) {
    nlattr header{};
    std::memcpy(&header, rest.data(), sizeof header);
    if (header.nla_len < sizeof header || header.nla_len > rest.size()) return;
    visit(header.nla_type & NLA_TYPE_MASK, rest.subspan(sizeof header, header.nla_len - sizeof header));
    rest = rest.subspan(std::min<std::size_t>(NLA_ALIGN(header.nla_len), rest.size()));
  }
}

Bytes Attributes::find(std::uint16_t type) const {
  Bytes found;
  each([&](std::uint16_t its, Bytes value) {
    if (its == type) found = value;
  });
  return found;
}

std::uint32_t Attributes::number(std::uint16_t type) const {
  const Bytes value = find(type);
  std::uint32_t number = 0;
  std::memcpy(&number, value.data(), std::min(value.size(), sizeof number));
  return number;
}

std::string Attributes::text(std::uint16_t type) const {
  const Bytes value = find(type);
  const std::string text(value.begin(), value.end());
  return text.c_str();
}

Attributes Message::attributes(std::size_t header) const {
  return Attributes(Bytes(payload).subspan(std::min<std::size_t>(NLMSG_ALIGN(header), payload.size())));
}

std::string render(const Attributes& attributes, const std::string& path, const std::set<std::string>& without,
                   const std::set<std::string>& links, const NameOf& name_of) {
  std::string text;
  attributes.each([&](std::uint16_t type, Bytes value) {
    const std::string name = path + std::to_string(type);
    if (without.contains(name)) return;
    if (kNested.contains(name)) {
      text += render(Attributes(value), name + ".", without, links, name_of);
      return;
    }
    std::uint32_t index = 0;
    std::memcpy(&index, value.data(), std::min(value.size(), sizeof index));
    text += " " + name + "=" + (links.contains(name) ? name_of(index) : printed(value));
  });
  return text;
}

std::string render(const Message& message, std::size_t header, const std::set<std::string>& without,
                   const std::set<std::string>& links, const NameOf& name_of) {
  return header == 0 ? " " + printed(message.payload) : render(message.attributes(header), "", without, links, name_of);
}

NetlinkSocket::NetlinkSocket() : socket_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)) {
  if (!socket_) die("open a netlink socket");
}

std::vector<Message> NetlinkSocket::dump(std::uint16_t type, Bytes header) {
  for (;;) {
    std::vector<std::uint8_t> request(NLMSG_SPACE(header.size()));
    const nlmsghdr head{.nlmsg_len = static_cast<std::uint32_t>(NLMSG_LENGTH(header.size())),
                        .nlmsg_type = type,
                        .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                        .nlmsg_seq = ++sequence_,
                        .nlmsg_pid = 0};
    std::memcpy(request.data(), &head, sizeof head);
    std::memcpy(request.data() + NLMSG_HDRLEN, header.data(), header.size());
    if (send(socket_.get(), request.data(), request.size(), 0) < 0) die("ask the kernel for a list");
    std::vector<Message> messages;
    bool again = false;
    while (take(messages, again)) continue;
    if (!again) return messages;
  }
}

// False at the end.
bool NetlinkSocket::take(std::vector<Message>& messages, bool& again) {
  thread_local std::array<std::uint8_t, 64 * 1024> buffer;
  const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
  if (got < 0) die("read a list of the kernel's");
  for (Bytes rest = Bytes(buffer).first(static_cast<std::size_t>(got)); rest.size() >= sizeof(nlmsghdr);) {
    nlmsghdr head{};
    std::memcpy(&head, rest.data(), sizeof head);
    if (head.nlmsg_flags & NLM_F_DUMP_INTR) again = true;
    if (head.nlmsg_type == NLMSG_DONE || head.nlmsg_type == NLMSG_ERROR) return false;
    const Bytes payload = rest.subspan(NLMSG_HDRLEN, head.nlmsg_len - NLMSG_HDRLEN);
    messages.push_back({{payload.begin(), payload.end()}});
    rest = rest.subspan(std::min<std::size_t>(NLMSG_ALIGN(head.nlmsg_len), rest.size()));
  }
  return true;
}

}  // namespace vmt::crash
