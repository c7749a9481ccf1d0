// SPDX-License-Identifier: LGPL-2.1-or-later
// A guest whose MAC nobody has told: its first frame says it.
//
// A macvtap gets only frames for its own MAC, and neither QEMU nor libvirt tells a helper the guest's. So a child stays
// behind for a while, without any privilege: it holds the tap, whose holder may set the device's MAC (SIOCSIFHWADDR
// asks for no capability), and a packet socket that shows it 14 bytes of each frame the guest sends.
#pragma once

#include <chrono>
#include <expected>
#include <utility>

#include "lib/error.h"
#include "lib/fd.h"

namespace vmt::tap {

// How long it waits for the first frame: a guest may sit in its boot menu. While it waits it keeps the device alive,
// unless the process at the other end of the socket is known to have died.
inline constexpr std::chrono::minutes kAdoptionPatience{5};

// Of the network namespace that the caller is in; needs CAP_NET_RAW. Sees only what the guest sends, and of that only
// the Ethernet header, by a filter that nobody can take off again.
std::expected<Fd, Error> guest_frames(unsigned index);

// A child that does it, once it has been told to start: session of its own, no other fd, not even the standard ones, so
// that nobody waits for it. Unless it is told, by an error or a kill of its parent, it goes with the Adoption.
class Adoption {
 public:
  // Forks it, and waits until it has come so far that it can only fail with the kernel. `owner` is a pidfd.
  static std::expected<Adoption, Error> prepare(const Fd& tap, const Fd& frames, const Fd& owner);
  Status start() const;

 private:
  explicit Adoption(Fd go) : go_(std::move(go)) {}

  Fd go_;  // a socket that the child reads from
};

// What the child does: returns when the MAC has been set, `owner` has died, or at `deadline`, however many frames come.
void adopt(const Fd& tap, const Fd& frames, const Fd& owner, std::chrono::steady_clock::time_point deadline);

}  // namespace vmt::tap
