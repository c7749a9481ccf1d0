// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/sysctl.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <string_view>

#include "lib/fd.h"

namespace vmt {
namespace {

struct Sysctl {
  const char* path;  // {} is the link's name
  std::string_view value;
};

// Routers of the LAN are the parent's business.
constexpr Sysctl kNoRouterAdvertisements = {"/proc/sys/net/ipv6/conf/{}/accept_ra", "0"};

constexpr Sysctl kShimSysctls[] = {
    // proxy_ndp does nothing without it. all/forwarding stays 0, so the host forwards nothing.
    {"/proc/sys/net/ipv6/conf/{}/forwarding", "1"},
    {"/proc/sys/net/ipv6/conf/{}/proxy_ndp", "1"},
    // Else the kernel waits up to 0.8 s, at random, before it answers.
    {"/proc/sys/net/ipv6/neigh/{}/proxy_delay", "0"},
};

Status write(const Sysctl& sysctl, const IfName& link) {
  const std::string path = fmt::format(fmt::runtime(sysctl.path), link.str());
  const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), sysctl.value.data(), sysctl.value.size()) < 0)
    return fail(errno_error(errno, fmt::format("write {} to {}", sysctl.value, path)));
  return {};
}

}  // namespace

Status write_shim_sysctls(const IfName& link, bool takes_ra) {
  if (takes_ra)
    if (auto status = write(kNoRouterAdvertisements, link); !status) return status;
  for (const auto& sysctl : kShimSysctls)
    if (auto status = write(sysctl, link); !status) return status;
  return {};
}

}  // namespace vmt
