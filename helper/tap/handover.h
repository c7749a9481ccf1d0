// SPDX-License-Identifier: LGPL-2.1-or-later
// The other end: the socket that QEMU or libvirt waits at.
#pragma once

#include <sys/types.h>

#include <expected>

#include "lib/error.h"
#include "lib/fd.h"

namespace vmt::tap {

// The socket that --fd names: kInvalid unless it is a connected stream socket of the Unix domain.
std::expected<Fd, Error> peer_socket(int fd);
// Who made the socket pair: QEMU, or libvirt's session daemon. A pidfd, readable when that process has died.
std::expected<Fd, Error> peer_process(const Fd& socket);

// One byte with the fd beside it, as qemu-bridge-helper sends it. Never waits: the socket is empty.
Status send_tap(const Fd& socket, int tap);

}  // namespace vmt::tap
