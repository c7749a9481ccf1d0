// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/rtnl_socket.h"

#include <fmt/core.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <netlink/netlink.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <string>

namespace vmt {
namespace {

// The kernel cuts its dumps to what the reader takes; one link with all its attributes needs 2 KiB.
constexpr std::size_t kReceiveBuffer = 16 * 1024;

struct Conversation {
  const RtnlSocket::OnAnswer* on_answer = nullptr;
  std::uint32_t sequence = 0;
  bool one_answer = false;
  const bool* enough = nullptr;  // the rest of the list stays unread
  bool done = false;
  int error = 0;  // positive errno out of the kernel's answer
  std::string words;
};

// struct nlmsgerr is followed by the request (its header only when capped) and then by attributes.
std::string extended_ack(const nlmsghdr* header, nlmsgerr* error) {
  if (!(header->nlmsg_flags & NLM_F_ACK_TLVS)) return {};
  std::size_t offset = sizeof(nlmsgerr);
  if (!(header->nlmsg_flags & NLM_F_CAPPED)) offset += error->msg.nlmsg_len - sizeof(nlmsghdr);
  const std::size_t size = header->nlmsg_len - NLMSG_HDRLEN;
  if (offset >= size) return {};
  auto* attributes = reinterpret_cast<nlattr*>(reinterpret_cast<char*>(error) + offset);
  const nlattr* words = nla_find(attributes, static_cast<int>(size - offset), NLMSGERR_ATTR_MSG);
  return words == nullptr ? std::string{} : std::string(static_cast<const char*>(nla_data(words)));
}

// Without it libnl would take the answer to an earlier request, whose reading failed, for the one to this request.
int on_sequence(nl_msg* message, void* arg) {
  return nlmsg_hdr(message)->nlmsg_seq == static_cast<Conversation*>(arg)->sequence ? NL_OK : NL_SKIP;
}

int on_valid(nl_msg* message, void* arg) {
  auto* conversation = static_cast<Conversation*>(arg);
  if (*conversation->on_answer) (*conversation->on_answer)(nlmsg_hdr(message));
  if (conversation->one_answer) conversation->done = true;
  if (conversation->enough == nullptr || !*conversation->enough) return NL_OK;
  conversation->done = true;
  return NL_STOP;
}

// A question for one object: the answer says it all, an acknowledgement behind it would cost another receive.
bool is_one_question(const nlmsghdr* header) {
  return header->nlmsg_type % 4 == 2 && !(header->nlmsg_flags & NLM_F_DUMP);  // RTM_GET* are the third of each four
}

int on_error(sockaddr_nl*, nlmsgerr* error, void* arg) {
  auto* conversation = static_cast<Conversation*>(arg);
  // The one place where netlink's sign is turned round: nlmsgerr.error is a negative errno.
  conversation->error = -error->error;
  const auto* header = reinterpret_cast<const nlmsghdr*>(reinterpret_cast<const char*>(error) - NLMSG_HDRLEN);
  conversation->words = extended_ack(header, error);
  return NL_STOP;
}

int on_ack(nl_msg*, void* arg) {
  static_cast<Conversation*>(arg)->done = true;
  return NL_STOP;
}

// A dump that fails does so in the payload of NLMSG_DONE, which libnl 3.7 does not look at.
int on_finish(nl_msg* message, void* arg) {
  auto* conversation = static_cast<Conversation*>(arg);
  conversation->done = true;
  const nlmsghdr* header = nlmsg_hdr(message);
  int code = 0;
  if (header->nlmsg_len >= NLMSG_LENGTH(sizeof code)) std::memcpy(&code, NLMSG_DATA(header), sizeof code);
  if (code < 0) conversation->error = -code;
  return NL_STOP;
}

struct CallbackFree {
  void operator()(nl_cb* callbacks) const { nl_cb_put(callbacks); }
};
using Callbacks = std::unique_ptr<nl_cb, CallbackFree>;

Callbacks callbacks_for(Conversation& conversation) {
  Callbacks callbacks(nl_cb_alloc(NL_CB_DEFAULT));
  if (!callbacks) throw std::bad_alloc();
  nl_cb_set(callbacks.get(), NL_CB_SEQ_CHECK, NL_CB_CUSTOM, on_sequence, &conversation);
  nl_cb_set(callbacks.get(), NL_CB_VALID, NL_CB_CUSTOM, on_valid, &conversation);
  nl_cb_set(callbacks.get(), NL_CB_ACK, NL_CB_CUSTOM, on_ack, &conversation);
  nl_cb_set(callbacks.get(), NL_CB_FINISH, NL_CB_CUSTOM, on_finish, &conversation);
  nl_cb_err(callbacks.get(), NL_CB_CUSTOM, on_error, &conversation);
  return callbacks;
}

// What is still to come of a conversation that was broken off. The kernel goes on with a dump as its parts are read,
// and starts no other one on this socket before (EBUSY). Ends when nothing is left, or at an error: then after the next
// one.
void discard_answers(nl_sock* socket) {
  char byte = 0;
  while (recv(nl_socket_get_fd(socket), &byte, sizeof byte, MSG_DONTWAIT) >= 0) {
  }
}

}  // namespace

std::expected<RtnlSocket, Error> RtnlSocket::open() {
  std::unique_ptr<nl_sock, Free> socket(nl_socket_alloc());
  if (!socket) return fail(errno_error(ENOMEM, "open rtnetlink socket"));
  nl_socket_disable_msg_peek(socket.get());
  nl_socket_disable_auto_ack(socket.get());
  nl_socket_set_msg_buf_size(socket.get(), kReceiveBuffer);
  if (const int code = nl_connect(socket.get(), NETLINK_ROUTE); code < 0)
    return fail(Error{ErrorKind::kFailed, fmt::format("open rtnetlink socket: {}", nl_geterror(code))});
  const int on = 1;
  for (const int option : {NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK})
    if (setsockopt(nl_socket_get_fd(socket.get()), SOL_NETLINK, option, &on, sizeof on) < 0)
      return fail(errno_error(errno, "open rtnetlink socket: set option"));
  return RtnlSocket(std::move(socket));
}

std::expected<Fd, Error> RtnlSocket::netns() const {
  Fd fd(ioctl(nl_socket_get_fd(socket_.get()), SIOCGSKNS));
  if (!fd) return fail(errno_error(errno, "open the network namespace of the rtnetlink socket"));
  return fd;
}

Status RtnlSocket::exchange(const NlMsg& message, std::string_view operation, const OnAnswer& on_answer,
                            const std::function<void()>& on_restart, const bool* enough) {
  const auto libnl_error = [&](int code) {
    return fail(Error{ErrorKind::kNotNow, fmt::format("{}: {}", operation, nl_geterror(code))});
  };
  const bool one_answer = is_one_question(nlmsg_hdr(message.get()));
  for (int tries = 0; tries < kDumpTries; ++tries) {
    if (tries > 0 && on_restart) on_restart();
    nlmsg_hdr(message.get())->nlmsg_seq = NL_AUTO_SEQ;
    if (!one_answer) nlmsg_hdr(message.get())->nlmsg_flags |= NLM_F_ACK;
    if (const int code = nl_send_auto(socket_.get(), message.get()); code < 0) return libnl_error(code);
    Conversation conversation;
    conversation.on_answer = &on_answer;
    conversation.sequence = nlmsg_hdr(message.get())->nlmsg_seq;
    conversation.one_answer = one_answer;
    conversation.enough = enough;
    const auto callbacks = callbacks_for(conversation);
    int code = 0;
    while (!conversation.done && conversation.error == 0 && code >= 0)
      code = nl_recvmsgs(socket_.get(), callbacks.get());
    // An error that the kernel tells is the whole answer, but for that of a dump which waits for an earlier one's end.
    const bool broken_off = code < 0 && code != -NLE_DUMP_INTR && conversation.error == 0;
    if (broken_off || conversation.error == EBUSY) discard_answers(socket_.get());
    if (conversation.error != 0) {
      Error error = errno_error(conversation.error, operation);
      if (!conversation.words.empty()) error.message += fmt::format(" ({})", conversation.words);
      return fail(std::move(error));
    }
    if (enough != nullptr && *enough) return {};
    if (code == -NLE_DUMP_INTR) continue;
    if (code < 0) return libnl_error(code);
    return {};
  }
  return fail(
      Error{ErrorKind::kNotNow, fmt::format("{}: the kernel's list kept changing while it was read", operation)});
}

}  // namespace vmt
