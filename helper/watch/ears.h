// SPDX-License-Identifier: LGPL-2.1-or-later
// Listening on shims and asking: the packet sockets of all parents in one event loop, and the patience with floods.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "helper/watch/frame_socket.h"
#include "lib/frame.h"
#include "lib/learning.h"

namespace vmt::watch {

// Where to listen: a shim and what is around it.
struct Place {
  unsigned parent = 0;  // ifindex
  MacAddress parent_mac;
  unsigned shim = 0;  // ifindex
  MacAddress shim_mac;
  std::vector<MacAddress> guests;
};

class Ears {
 public:
  // After each batch of frames that said something.
  using OnHeard = std::function<void(unsigned parent, std::span<const Heard>)>;
  // Its frames are dropped for so long, from now on.
  using OnMuted = std::function<void(unsigned parent, const MacAddress& mac, std::chrono::seconds length)>;
  using Log = std::function<void(std::string_view)>;

  Ears(boost::asio::io_context& io, OnHeard on_heard, OnMuted on_muted, Log log);
  ~Ears();

  // Listens at these places, and at no others. False: not at all of them; what cannot be opened is logged and tried
  // again by the next call. A shim that is not there, which is told elsewhere, does not count.
  bool listen(std::span<const Place> places);
  // From the shim to a guest, or from the parent to its LAN. What cannot be sent is as if it had got no answer.
  void ask(const Learning::Question& question);
  // From the shim to a guest; lost when it cannot be sent.
  void answer(const Learning::Answer& answer);

 private:
  class Ear;
  struct Post;

  bool open(const Place& place);
  // Gives the socket the rules that the flood gate wants now.
  void settle(Post& post);
  void hear(Post& post, std::span<const std::span<const std::uint8_t>> frames, bool on_shim);

  boost::asio::io_context& io_;
  OnHeard on_heard_;
  OnMuted on_muted_;
  Log log_;
  FrameBatch batch_;
  std::map<unsigned, std::unique_ptr<Post>> posts_;  // by parent
};

}  // namespace vmt::watch
