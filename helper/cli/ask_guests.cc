// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/cli/ask_guests.h"

#include <poll.h>

#include <chrono>
#include <set>

#include "helper/watch/frame_socket.h"
#include "lib/frame.h"

namespace vmt::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kAsks = 2;
constexpr milliseconds kAnswer{200};  // the lock is held meanwhile

using Answers = std::map<IpAddress, MacAddress>;

void send_questions(FrameSocket& socket, const GuestQuestions& questions, const Answers& answers) {
  for (const auto& [address, source] : questions.wanted)
    for (const auto& guest : questions.guests)
      if (!answers.contains(address))
        (void)socket.send(question({questions.shim_mac, source}, address, guest));  // lost is unanswered
}

// Until all are answered, or there is no frame for so long.
Status listen(FrameSocket& socket, const GuestQuestions& questions, Clock::time_point end, Answers& answers) {
  const std::set<MacAddress> guests(questions.guests.begin(), questions.guests.end());
  FrameBatch batch;
  while (answers.size() < questions.wanted.size()) {
    const auto left = std::chrono::ceil<milliseconds>(end - Clock::now());
    pollfd waiting{.fd = socket.fd(), .events = POLLIN, .revents = 0};
    if (left <= milliseconds(0) || poll(&waiting, 1, static_cast<int>(left.count())) <= 0) return {};
    const auto frames = socket.receive(batch);
    if (!frames) return fail(frames.error());
    for (const auto& frame : *frames)
      if (const auto heard = hear(frame); heard && heard->kind == Heard::Kind::kClaim &&
                                          questions.wanted.contains(heard->address) && guests.contains(heard->mac))
        answers.emplace(heard->address, heard->mac);
  }
  return {};
}

}  // namespace

std::expected<Answers, Error> ask_guests(const GuestQuestions& questions) {
  Answers answers;
  if (questions.wanted.empty() || questions.guests.empty()) return answers;
  auto socket = FrameSocket::open(questions.shim, {.muted = {}, .only = questions.guests});
  if (!socket) return fail(socket.error());
  for (int i = 0; i < kAsks && answers.size() < questions.wanted.size(); ++i) {
    send_questions(*socket, questions, answers);
    if (auto status = listen(*socket, questions, Clock::now() + kAnswer, answers); !status) return fail(status.error());
  }
  return answers;
}

}  // namespace vmt::cli
