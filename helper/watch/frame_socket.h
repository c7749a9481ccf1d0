// SPDX-License-Identifier: LGPL-2.1-or-later
// A packet socket on one link: the frames that we hear, and those that we send.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <expected>
#include <span>
#include <vector>

#include "helper/watch/frame_filter.h"
#include "lib/error.h"
#include "lib/fd.h"

namespace vmt {

// Room for what one receive() gives; one serves all sockets. 100 KB.
class FrameBatch {
 public:
  static constexpr std::size_t kFrames = 64;

  FrameBatch();
  FrameBatch(const FrameBatch&) = delete;
  FrameBatch& operator=(const FrameBatch&) = delete;

 private:
  friend class FrameSocket;

  std::array<std::array<std::uint8_t, kFrameBytes>, kFrames> buffers_;
  std::array<iovec, kFrames> vectors_;
  std::array<mmsghdr, kFrames> messages_;
  std::array<std::span<const std::uint8_t>, kFrames> frames_;
};

class FrameSocket {
 public:
  // Non-blocking, close-on-exec, in the caller's network namespace; the link may be down. Needs CAP_NET_RAW.
  //
  // Hears what filter_program(rules) passes of the frames that arrive on the link, for whomever they are, from the
  // first on: none that another filter, or none, would have let through. While it is open the link takes all multicast
  // frames, as duplicate detection goes to groups that nobody on a shim has joined; the kernel makes a macvlan's parent
  // do so, too. What the host itself sends through the link is not heard: it would be copied for us, frame by frame.
  static std::expected<FrameSocket, Error> open(unsigned ifindex, const FilterRules& rules);

  // For the parent: hears ARP replies (kArp) or neighbour advertisements (kNdp), no others. Of the frames that arrive
  // on the link this costs only those of ARP, or of IPv6, a look; IPv4 data never comes by.
  enum class Answers { kArp, kNdp };
  static std::expected<FrameSocket, Error> open_for_answers(unsigned ifindex, Answers answers);

  // To wait for frames with. Level-triggered.
  int fd() const { return fd_.get(); }

  // In place of the rules so far. No frame is lost in between; where the kernel has no room for both (before 6.8, with
  // many MACs) a few may come that neither lets through. On an error the old rules hold (kInvalid: too many MACs), or,
  // out of memory, FilterRules{}.
  Status set_rules(const FilterRules& rules);

  // What there is, FrameBatch::kFrames frames at most, in the order of their arrival; fewer than that: there are no
  // more. They lie in `batch` until its next use. A link that is down has no frames, which is no error; the socket
  // hears again when it is up.
  std::expected<std::span<const std::span<const std::uint8_t>>, Error> receive(FrameBatch& batch);

  // Its link has been deleted: it hears nothing any more, not even of a new link with the same ifindex.
  bool link_is_gone() const;

  // How many frames the filter has passed and the socket had no room for, since the last call.
  std::uint32_t take_dropped();

  // `frame` starts with the Ethernet header. An error: the link is down, say, or its queue full; nothing is tried
  // again.
  Status send(std::span<const std::uint8_t> frame);

 private:
  struct Ears;

  explicit FrameSocket(Fd fd, unsigned ifindex) : fd_(std::move(fd)), ifindex_(ifindex) {}

  static std::expected<FrameSocket, Error> open_with(const Ears& ears, unsigned ifindex);

  Fd fd_;
  unsigned ifindex_;
};

}  // namespace vmt
