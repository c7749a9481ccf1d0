// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/tap_holders.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

#include "lib/directory.h"
#include "lib/tap_node.h"
#include "lib/text.h"

namespace vmt {
namespace {

struct FileClose {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileClose>;

std::unexpected<Error> failed(int error, std::string_view where) {
  return fail(errno_error(error, fmt::format("look for holders of taps in {}", where)));
}

// nullopt: the driver is not loaded, so there is no tap.
std::expected<std::optional<unsigned>, Error> macvtap_major() {
  constexpr const char* kPath = "/proc/devices";
  const File file(std::fopen(kPath, "re"));
  if (!file) return failed(errno, kPath);
  char line[128];
  while (std::fgets(line, sizeof line, file.get()) != nullptr) {
    unsigned number = 0;
    char name[64] = {};
    if (std::sscanf(line, "%u %63s", &number, name) == 2 && std::string_view(name) == "macvtap") return number;
  }
  if (std::ferror(file.get()) != 0) return failed(errno, kPath);
  return std::nullopt;
}

std::string command_of(int process) {
  const Fd file(openat(process, "comm", O_RDONLY | O_CLOEXEC));
  std::array<char, 64> text{};
  const ssize_t size = file ? ::read(file.get(), text.data(), text.size()) : 0;
  return std::string(trimmed(std::string_view(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0)));
}

// "tap7" of "/dev/tap7", or of "/tap7" where the file system is mounted nowhere.
std::string node_of(int fds, const char* fd) {
  std::array<char, 256> text{};
  const ssize_t size = readlinkat(fds, fd, text.data(), text.size());
  std::string_view path(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  constexpr std::string_view kDeleted = " (deleted)";
  if (path.ends_with(kDeleted)) path.remove_suffix(kDeleted.size());
  return std::string(path.substr(path.rfind('/') + 1));
}

void note(std::vector<TapHolder>& holders, pid_t pid, int process, dev_t number, std::string node) {
  const auto known =
      std::ranges::find_if(holders, [&](const TapHolder& h) { return h.pid == pid && h.number == number; });
  if (known != holders.end())
    ++known->fds;
  else
    holders.push_back(
        {.pid = pid, .command = command_of(process), .number = number, .node = std::move(node), .fds = 1});
}

// A process that is gone meanwhile, or is not ours to look into.
bool is_none_of_ours(int error) {
  return error == ENOENT || error == ESRCH || error == EACCES || error == EPERM;
}

// The error is an errno.
std::expected<void, int> scan_process(int proc, const char* pid, unsigned major_number,
                                      std::vector<TapHolder>& holders) {
  const Fd process(openat(proc, pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!process) return std::unexpected(errno);
  auto fds = Directory::open(process.get(), "fd");
  if (!fds) return std::unexpected(fds.error());
  const auto names = fds->names();
  if (!names) return std::unexpected(names.error());
  for (const auto& name : *names) {
    struct stat found {};
    if (fstatat(fds->fd(), name.c_str(), &found, 0) < 0) {
      if (is_none_of_ours(errno)) continue;
      return std::unexpected(errno);
    }
    if (S_ISCHR(found.st_mode) && major(found.st_rdev) == major_number)
      note(holders, static_cast<pid_t>(std::atoi(pid)), process.get(), found.st_rdev, node_of(fds->fd(), name.c_str()));
  }
  return {};
}

}  // namespace

std::expected<TapHolders, Error> TapHolders::scan() {
  constexpr const char* kProc = "/proc";
  std::vector<TapHolder> holders;
  const auto major_number = macvtap_major();
  if (!major_number) return fail(major_number.error());
  if (!*major_number) return TapHolders({}, Fd());
  auto proc = Directory::open(AT_FDCWD, kProc);
  if (!proc) return failed(proc.error(), kProc);
  const auto names = proc->names();
  if (!names) return failed(names.error(), kProc);
  const std::string self = fmt::format("{}", getpid());
  for (const auto& name : *names) {
    if (name[0] < '1' || name[0] > '9' || name == self) continue;
    if (const auto looked = scan_process(proc->fd(), name.c_str(), **major_number, holders);
        !looked && !is_none_of_ours(looked.error()))
      return failed(looked.error(), fmt::format("{}/{}/fd", kProc, name));
  }
  auto sysfs = own_sysfs();
  return TapHolders(std::move(holders), sysfs ? std::move(*sysfs) : Fd());
}

std::vector<TapHolder> TapHolders::of(const Child& device) const {
  std::vector<TapHolder> holders;
  if (all_.empty() || !device.macvtap || (device.nsid && !device.ours)) return holders;
  std::optional<dev_t> number;
  if (!device.nsid && sysfs_)
    if (const auto known = tap_number(sysfs_, device.name, device.index)) number = *known;
  // By name only where sysfs does not tell: a device of ours in another namespace has an ifindex that no other has.
  const std::string node = fmt::format("tap{}", device.index);
  std::ranges::copy_if(all_, std::back_inserter(holders),
                       [&](const TapHolder& h) { return number ? h.number == *number : h.node == node; });
  return holders;
}

std::string describe(const TapHolder& holder) {
  return fmt::format("PID {}, {}", holder.pid, quoted(holder.command));
}

}  // namespace vmt
