// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/tap/privileges.h"

#include <fmt/core.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <type_traits>

namespace vmt::tap {
namespace {

struct CapFree {
  void operator()(void* capabilities) const { cap_free(capabilities); }
};
using Capabilities = std::unique_ptr<std::remove_pointer_t<cap_t>, CapFree>;

Status set(std::span<const cap_value_t> permitted, std::span<const cap_value_t> effective) {
  const Capabilities wanted(cap_init());
  const auto fill = [&](cap_flag_t flag, std::span<const cap_value_t> values) {
    return values.empty() ||
           cap_set_flag(wanted.get(), flag, static_cast<int>(values.size()), values.data(), CAP_SET) == 0;
  };
  if (!wanted || !fill(CAP_PERMITTED, permitted) || !fill(CAP_EFFECTIVE, effective) || cap_set_proc(wanted.get()) < 0)
    return fail(errno_error(errno, "set capabilities"));
  return {};
}

Status check_permitted(std::span<const cap_value_t> capabilities) {
  const Capabilities mine(cap_get_proc());
  for (const cap_value_t capability : capabilities) {
    cap_flag_value_t has = CAP_CLEAR;
    if (!mine || cap_get_flag(mine.get(), capability, CAP_PERMITTED, &has) < 0 || has == CAP_CLEAR)
      return fail(errno_error(EPERM, fmt::format("use capability {} (it has to be installed setuid root or with file "
                                                 "capabilities, and not to be started under no_new_privs, which "
                                                 "QEMU's -sandbox sets)",
                                                 capability)));
  }
  return {};
}

std::span<const cap_value_t> g_permitted;  // those of become_caller(), for raise()

}  // namespace

Status become_caller(std::span<const cap_value_t> capabilities) {
  if (auto status = check_permitted(capabilities); !status) return status;
  const uid_t user = getuid();
  const gid_t group = getgid();
  // Supplementary groups are the caller's: neither the setuid bit nor capabilities change them.
  if (prctl(PR_SET_KEEPCAPS, 1) < 0 || setresgid(group, group, group) < 0 || setresuid(user, user, user) < 0 ||
      prctl(PR_SET_KEEPCAPS, 0) < 0)
    return fail(errno_error(errno, "become the calling user"));
  if (auto status = set(capabilities, {}); !status) return status;
  g_permitted = capabilities;
  if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
    return fail(errno_error(errno, "harden the process"));
  return {};
}

Status raise(std::span<const cap_value_t> capabilities) {
  return set(g_permitted, capabilities);
}

Status drop_all() {
  g_permitted = {};
  return set({}, {});
}

}  // namespace vmt::tap
