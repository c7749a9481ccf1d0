// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/sysctl.h"

#include <fcntl.h>
#include <fmt/core.h>

#include <cerrno>
#include <string_view>

#include "lib/fd.h"

namespace vmt {
namespace {

struct Sysctl {
  const char* path;  // {} is the link's name
  std::string_view value;
};

constexpr Sysctl kShimSysctls[] = {
    // Routers of the LAN are the parent's business, whatever conf/default says.
    {"/proc/sys/net/ipv6/conf/{}/accept_ra", "0"},
    // proxy_ndp does nothing without it. all/forwarding stays 0, so the host forwards nothing.
    {"/proc/sys/net/ipv6/conf/{}/forwarding", "1"},
    {"/proc/sys/net/ipv6/conf/{}/proxy_ndp", "1"},
    // Else the kernel waits up to 0.8 s, at random, before it answers.
    {"/proc/sys/net/ipv6/neigh/{}/proxy_delay", "0"},
};

// False when there is no such file, as on a host without IPv6. Nothing else means that.
std::expected<bool, Error> write(const Sysctl& sysctl, std::string_view link) {
  const std::string path = fmt::format(fmt::runtime(sysctl.path), link);
  const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file && errno == ENOENT) return false;
  if (!file || ::write(file.get(), sysctl.value.data(), sysctl.value.size()) < 0)
    return fail(errno_error(errno, fmt::format("write {} to {}", sysctl.value, path)));
  return true;
}

Status disable_ipv6_on(std::string_view link) {
  const auto written = write({"/proc/sys/net/ipv6/conf/{}/disable_ipv6", "1"}, link);
  if (!written) return fail(written.error());
  return {};
}

}  // namespace

Status disable_ipv6(const IfName& link) {
  return disable_ipv6_on(link.str());
}

Status disable_ipv6_by_default() {
  return disable_ipv6_on("default");
}

std::expected<bool, Error> write_shim_sysctls(const IfName& link) {
  for (const auto& sysctl : kShimSysctls) {
    const auto written = write(sysctl, link.str());
    if (!written || !*written) return written;
  }
  return true;
}

}  // namespace vmt
