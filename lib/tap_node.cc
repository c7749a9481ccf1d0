// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/tap_node.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace vmt {
namespace {

std::string opening(const IfName& name, std::string_view what) {
  return fmt::format("open the tap of {}: {}", name.str(), what);
}

// A file system of its own, mounted nowhere: gone with the fd.
std::expected<Fd, Error> detached_mount(const char* type) {
  const Fd context(fsopen(type, FSOPEN_CLOEXEC));
  if (!context || fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0)
    return fail(errno_error(errno, fmt::format("make a {} of our own", type)));
  Fd mount(fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
  if (!mount) return fail(errno_error(errno, fmt::format("mount a {} of our own", type)));
  return mount;
}

// A node in a file system of our own, where /dev has none.
std::expected<Fd, Error> open_own_node(const IfName& name, unsigned index) {
  const auto number = tap_number(name, index);
  if (!number) return fail(number.error());
  const auto mount = detached_mount("tmpfs");
  if (!mount) return fail(mount.error());
  const std::string node = fmt::format("tap{}", index);
  if (mknodat(mount->get(), node.c_str(), S_IFCHR | 0600, *number) < 0)
    return fail(errno_error(errno, opening(name, "make a node (there is none in /dev)")));
  Fd tap(openat(mount->get(), node.c_str(), O_RDWR | O_CLOEXEC));
  if (!tap) return fail(errno_error(errno, opening(name, "a node of our own")));
  return tap;
}

// kNotFound: there is no node, or it has gone with another namespace's device; kExists: it is another device's.
std::expected<Fd, Error> open_dev_node(const IfName& name, unsigned index) {
  const std::string path = tap_path(index);
  Fd tap(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!tap) return fail(errno_error(errno == ENXIO ? ENOENT : errno, opening(name, path)));
  ifreq request{};
  // A regular file that a shell's redirection left there knows no such request (ENOTTY).
  if (ioctl(tap.get(), TUNGETIFF, &request) < 0 || name.str() != request.ifr_name)
    return fail(Error{ErrorKind::kExists, opening(name, path + " is another device's")});
  return tap;
}

Status give_to(const std::string& path, const NodeOwner& owner) {
  constexpr gid_t kAsItIs = static_cast<gid_t>(-1);
  if (lchown(path.c_str(), owner.user, owner.group.value_or(kAsItIs)) < 0 ||
      (owner.group && chmod(path.c_str(), 0660) < 0))
    return fail(errno_error(errno, fmt::format("give {} to user {}", path, owner.user)));
  return {};
}

Status set_flags(int tap, const IfName& name, const TapOptions& options) {
  ifreq request{};
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | (options.vnet_header ? IFF_VNET_HDR : 0) |
                                         (options.queues > 1 ? IFF_MULTI_QUEUE : 0));
  if (ioctl(tap, TUNSETIFF, &request) < 0) return fail(errno_error(errno, opening(name, "set its flags")));
  return {};
}

}  // namespace

std::string tap_path(unsigned index) {
  return fmt::format("/dev/tap{}", index);
}

std::expected<Fd, Error> own_sysfs() {
  return detached_mount("sysfs");
}

std::expected<dev_t, Error> tap_number(const IfName& name, unsigned index) {
  // It may be another namespace's, but unique_index() is in one namespace only: found there, it is found.
  const Fd common(::open("/sys", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (common)
    if (const auto number = tap_number(common, name, index)) return number;
  const auto sysfs = own_sysfs();
  if (!sysfs) return fail(sysfs.error());
  return tap_number(*sysfs, name, index);
}

std::expected<dev_t, Error> tap_number(const Fd& sysfs, const IfName& name, unsigned index) {
  const std::string path = fmt::format("class/net/{}/tap{}/dev", name.str(), index);
  const Fd file(openat(sysfs.get(), path.c_str(), O_RDONLY | O_CLOEXEC));
  char text[32] = {};
  unsigned major_number = 0;
  unsigned minor_number = 0;
  if (!file || ::read(file.get(), text, sizeof text - 1) <= 0 ||
      std::sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
    return fail(errno_error(file ? EIO : errno, fmt::format("read the tap number of {} in sysfs", name.str())));
  return makedev(major_number, minor_number);
}

bool has_tap_node(unsigned index) {
  struct stat found {};
  return lstat(tap_path(index).c_str(), &found) == 0 || errno != ENOENT;
}

Status prepare_tap_node(const IfName& name, unsigned index, const std::optional<NodeOwner>& owner, bool was_there) {
  const std::string path = tap_path(index);
  struct stat found {};
  const bool there = lstat(path.c_str(), &found) == 0;
  if (!there && errno != ENOENT) return fail(errno_error(errno, fmt::format("look at {}", path)));
  if (!there || was_there) {
    const auto number = tap_number(name, index);
    if (!number) return fail(number.error());
    if (!there && mknod(path.c_str(), S_IFCHR | 0600, *number) < 0)
      return fail(errno_error(errno, fmt::format("make {}", path)));
    if (there && (!S_ISCHR(found.st_mode) || found.st_rdev != *number))
      return fail(Error{ErrorKind::kExists, fmt::format("{} is not the tap of {}", path, name.str())});
  }
  return owner ? give_to(path, *owner) : Status{};
}

void remove_tap_node(unsigned index) {
  if (!is_unique_index(index)) return;
  const std::string path = tap_path(index);
  struct stat found {};
  if (lstat(path.c_str(), &found) == 0 && S_ISCHR(found.st_mode)) ::unlink(path.c_str());
}

std::expected<std::vector<Fd>, Error> open_queues(const IfName& name, unsigned index, const TapOptions& options) {
  if (options.queues < 1 || options.queues > kMaxQueues)
    return fail(invalid(opening(name, fmt::format("{} queues: not 1 to {}", options.queues, kMaxQueues))));
  std::vector<Fd> queues;
  while (queues.size() < options.queues) {
    auto tap = open_dev_node(name, index);
    if (!tap && (tap.error().kind == ErrorKind::kNotFound || tap.error().kind == ErrorKind::kExists))
      tap = open_own_node(name, index);
    if (!tap) return fail(tap.error());
    if (auto status = set_flags(tap->get(), name, options); !status) return fail(status.error());
    queues.push_back(std::move(*tap));
  }
  return queues;
}

}  // namespace vmt
