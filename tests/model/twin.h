// SPDX-License-Identifier: LGPL-2.1-or-later
// Do the fake and the kernel agree? A twin is the fake as a copy of this host; what the program does to the host, the
// library does to the twin, and both are to end in the same state.
#pragma once

#include <expected>
#include <set>
#include <string>

#include "lib/rtnl_kernel.h"
#include "tests/fake_kernel.h"

namespace vmt::model {

// Permanent neighbours on our shims that are not ours.
using OnShim = std::pair<unsigned, IpAddress>;  // ifindex of the shim
std::set<OnShim> strangers_on_shims(const Owned& owned);

class Twin {
 public:
  // `addresses`: all that may be asked for.
  static std::expected<Twin, Error> of(RtnlKernel& real, const std::set<IpAddress>& addresses);

  FakeKernel& fake() { return fake_; }
  // What is ours in one and not in the other, a line each; empty when they agree.
  std::expected<std::string, Error> difference(RtnlKernel& real);

 private:
  FakeKernel fake_;
};

}  // namespace vmt::model
