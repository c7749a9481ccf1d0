// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace vmt {
namespace {

std::expected<Fd, Error> current() {
  Fd fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(errno_error(errno, "open the current network namespace"));
  return fd;
}

}  // namespace

Status in_netns(int netns, const std::function<Status()>& what) {
  const auto before = current();
  if (!before) return fail(before.error());
  if (setns(netns, CLONE_NEWNET) < 0) return fail(errno_error(errno, "enter a network namespace"));
  auto status = what();
  if (setns(before->get(), CLONE_NEWNET) < 0) std::abort();
  return status;
}

std::expected<NewNetns, Error> NewNetns::enter(Fd outside) {
  // Who may not come back, as with CAP_SYS_ADMIN in a user namespace only, must not go.
  if (setns(outside.get(), CLONE_NEWNET) < 0 || unshare(CLONE_NEWNET) < 0)
    return fail(errno_error(errno, "make a network namespace"));
  return NewNetns(std::move(outside));
}

pid_t NewNetns::thread() {
  return gettid();
}

Status NewNetns::leave() {
  if (!outside_) return {};
  if (setns(outside_.get(), CLONE_NEWNET) < 0) return fail(errno_error(errno, "go back to the network namespace"));
  outside_ = Fd();
  return {};
}

NewNetns::~NewNetns() {
  if (!leave()) std::abort();
}

}  // namespace vmt
