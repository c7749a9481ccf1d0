// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/watch/ears.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <optional>
#include <set>

#include "helper/watch/flood.h"
#include "lib/algorithm.h"

namespace vmt::watch {
namespace {

using Clock = std::chrono::steady_clock;

// The first frame after a silence is read at once, the next ones together: a busy LAN wakes us fifty times a
// second at most.
constexpr std::chrono::milliseconds kPause{20};
constexpr std::chrono::milliseconds kRetry{1000};  // when the event loop does not take the socket
// So many at once are a flood. The gate has to see enough of it to stop it before the socket overflows, as who is
// innocent loses frames then, too: it is read again as soon as everything else has had its turn.
constexpr std::size_t kMany = 128;
// What is read in one go; a flood must not keep the rest of the program from its work.
constexpr std::size_t kMostFrames = 512;
constexpr std::size_t kMostAnswers = FrameBatch::kFrames;  // of the LAN to the parent

std::optional<MacAddress> source_of(std::span<const std::uint8_t> frame) {
  constexpr std::size_t kSource = 6;
  if (frame.size() < kSource + MacAddress::kSize) return std::nullopt;
  const auto mac = MacAddress::from_bytes(frame.subspan(kSource, MacAddress::kSize));
  return mac ? std::optional(*mac) : std::nullopt;
}

}  // namespace

// A socket in the event loop.
class Ears::Ear {
 public:
  using OnFrames = std::function<void(std::span<const std::span<const std::uint8_t>>)>;

  // `most`: frames read in one go. Where floods are not muted it is what bounds our work.
  Ear(boost::asio::io_context& io, FrameSocket socket, FrameBatch& batch, std::size_t most, OnFrames on_frames)
      : socket_(std::move(socket)),
        batch_(batch),
        most_(most),
        on_frames_(std::move(on_frames)),
        ready_(io),
        pause_(io) {
    wait();
  }
  ~Ear() {
    if (ready_.is_open()) ready_.release();  // the socket is socket_'s
  }
  Ear(const Ear&) = delete;
  Ear& operator=(const Ear&) = delete;

  FrameSocket& socket() { return socket_; }

 private:
  // A timer that has run out is beyond recall: its handler may be called when its owner is gone.
  std::weak_ptr<const bool> life() const { return life_; }

  // The event loop wakes up for each frame that arrives on a socket it knows, whether anybody waits for one or not. So
  // it knows ours only while we wait.
  void wait() {
    ready_.assign(socket_.fd());
    ready_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this, alive = life()](const auto& error) {
      if (alive.expired() || error == boost::asio::error::operation_aborted) return;
      ready_.release();
      if (error)
        rest(kRetry);
      else if (!read())
        wait();
    });
  }

  // False: there was nothing. Else, and after an error, the next reading is in a while.
  bool read() {
    std::size_t total = 0;
    for (std::size_t count = FrameBatch::kFrames; count == FrameBatch::kFrames && total < most_; total += count) {
      const auto frames = socket_.receive(batch_);
      if (frames && frames->empty() && total == 0) return false;
      count = frames ? frames->size() : 0;
      if (count > 0) on_frames_(*frames);
    }
    rest(total < kMany ? kPause : std::chrono::milliseconds(0));
    return true;
  }

  void rest(std::chrono::milliseconds length) {
    pause_.expires_after(length);
    pause_.async_wait([this, alive = life()](const auto& error) {
      if (!error && !alive.expired() && !read()) wait();
    });
  }

  FrameSocket socket_;
  FrameBatch& batch_;
  std::size_t most_;
  OnFrames on_frames_;
  boost::asio::posix::stream_descriptor ready_;
  boost::asio::steady_timer pause_;
  std::shared_ptr<const bool> life_ = std::make_shared<const bool>();
};

// A parent that is listened on.
struct Ears::Post {
  Post(boost::asio::io_context& io, Place at) : place(std::move(at)), mute_timer(io) {}

  Place place;
  FloodGate gate;
  boost::asio::steady_timer mute_timer;
  std::optional<Ear> shim;
  std::optional<Ear> arp, ndp;  // answers to the parent; opened when it asks for the first time
  std::shared_ptr<const bool> life = std::make_shared<const bool>();
};

Ears::Ears(boost::asio::io_context& io, OnHeard on_heard, OnMuted on_muted, Log log)
    : io_(io), on_heard_(std::move(on_heard)), on_muted_(std::move(on_muted)), log_(std::move(log)) {}

Ears::~Ears() = default;

bool Ears::listen(std::span<const Place> places) {
  std::erase_if(posts_, [&](const auto& entry) {
    return std::ranges::none_of(places, [&](const Place& p) { return p.parent == entry.first; });
  });
  bool everywhere = true;
  for (const auto& place : places) {
    const auto it = posts_.find(place.parent);
    if (it == posts_.end() || !it->second->shim || it->second->shim->socket().link_is_gone()) {
      everywhere = open(place) && everywhere;
      continue;
    }
    Post& post = *it->second;
    if (post.place.guests != place.guests) {
      post.gate.set_guests(place.guests);
      settle(post);
    }
    post.place = place;
  }
  return everywhere;
}

bool Ears::open(const Place& place) {
  auto& post = posts_[place.parent];
  post = std::make_unique<Post>(io_, place);
  post->gate.set_guests(place.guests);
  auto socket = FrameSocket::open(place.shim, post->gate.rules());
  if (!socket) {
    // Whoever could not make the shim has said why.
    if (socket.error().kind == ErrorKind::kNotFound) return true;
    log_(socket.error().message);
    return false;
  }
  post->shim.emplace(io_, std::move(*socket), batch_, kMostFrames,
                     [this, at = post.get()](auto frames) { hear(*at, frames, true); });
  return true;
}

void Ears::hear(Post& post, std::span<const std::span<const std::uint8_t>> frames, bool on_shim) {
  std::vector<Heard> all;
  const auto now = Clock::now();
  for (const auto frame : frames) {
    if (const auto source = source_of(frame); on_shim && source) post.gate.count(*source, 1, now);
    if (const auto heard = vmt::hear(frame)) all.push_back(*heard);
  }
  if (on_shim) settle(post);
  if (!all.empty()) on_heard_(post.place.parent, all);
}

void Ears::settle(Post& post) {
  const auto settled = post.gate.settle(Clock::now());
  for (const auto& mute : settled.mutes) {
    // Less and less often while it goes on.
    if (std::has_single_bit(mute.times)) log_(mute.str());
    if (mute.mac) on_muted_(post.place.parent, *mute.mac, mute.length);
  }
  if (!settled.rules_changed) return;
  if (const auto status = post.shim->socket().set_rules(post.gate.rules()); !status) log_(status.error().message);
  post.mute_timer.cancel();
  const auto end = post.gate.next_end();
  if (!end) return;
  post.mute_timer.expires_at(*end);
  post.mute_timer.async_wait([this, &post, alive = std::weak_ptr(post.life)](const auto& error) {
    if (!error && !alive.expired()) settle(post);
  });
}

void Ears::ask(const Learning::Question& question) {
  const auto it = posts_.find(question.parent);
  if (it == posts_.end() || !it->second->shim) return;
  Post& post = *it->second;
  if (question.guest) {
    const auto frame = vmt::question({post.place.shim_mac, question.source}, question.address, question.guest);
    [[maybe_unused]] const auto status = post.shim->socket().send(frame);
    return;
  }
  const bool v4 = question.address.is_v4();
  auto& ear = v4 ? post.arp : post.ndp;
  if (!ear) {
    auto socket =
        FrameSocket::open_for_answers(post.place.parent, v4 ? FrameSocket::Answers::kArp : FrameSocket::Answers::kNdp);
    if (!socket) return log_(socket.error().message);
    ear.emplace(io_, std::move(*socket), batch_, kMostAnswers,
                [this, &post](auto frames) { hear(post, frames, false); });
  }
  const auto frame = vmt::question({post.place.parent_mac, question.source}, question.address, std::nullopt);
  [[maybe_unused]] const auto status = ear->socket().send(frame);
}

void Ears::answer(const Learning::Answer& answer) {
  const auto it = posts_.find(answer.parent);
  if (it == posts_.end() || !it->second->shim) return;
  Post& post = *it->second;
  const auto frame = vmt::answer({post.place.shim_mac, answer.address}, answer.guest, answer.asker);
  [[maybe_unused]] const auto status = post.shim->socket().send(frame);
}

}  // namespace vmt::watch
