// SPDX-License-Identifier: LGPL-2.1-or-later
#include "xml/status_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <expected>
#include <memory>
#include <utility>

#include "lib/directory.h"
#include "lib/fd.h"
#include "xml/domain.h"

namespace vmt {
namespace {

// The error is an errno.
std::expected<std::string, int> read_file(int directory, const char* name, std::size_t size) {
  if (size > kMaxDomainXml) return std::unexpected(EFBIG);
  const Fd file(openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return std::unexpected(errno);
  std::string text(size, '\0');
  const ssize_t got = read(file.get(), text.data(), text.size());
  if (got < 0) return std::unexpected(errno);
  text.resize(static_cast<std::size_t>(got));
  return text;
}

// What is not there, is not for us, or is not libvirt's (its files are smaller), is so the next time as well.
bool may_be_read_later(int error) {
  return error != ENOENT && error != ENOTDIR && error != ELOOP && error != EACCES && error != EPERM && error != EFBIG;
}

// The rest of the XML is nobody's business here, and there may be thousands of guests.
Guest without_the_unneeded(Guest guest) {
  for (auto& nic : guest.nics) nic.model.clear();
  guest.nics.shrink_to_fit();
  return guest;
}

}  // namespace

void StatusFiles::keep(const std::string& name, std::map<std::string, Entry>& now) {
  if (auto known = entries_.extract(name)) now.insert(std::move(known));
}

void StatusFiles::look_through(int directory, const std::string& name, std::map<std::string, Entry>& now,
                               bool& changed) {
  const auto unreadable = [&](int error) {
    if (!may_be_read_later(error)) return;
    incomplete_ = true;
    keep(name, now);
  };
  struct stat status {};
  if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return unreadable(errno);
  if (!S_ISREG(status.st_mode)) return;
  const Stamp stamp{status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
  if (const auto known = entries_.find(name); known != entries_.end() && known->second.stamp == stamp)
    return keep(name, now);
  auto text = read_file(directory, name.c_str(), static_cast<std::size_t>(status.st_size));
  if (!text) return unreadable(text.error());
  if (auto domain = parse_domain(std::move(*text)))
    now.insert_or_assign(name, Entry{stamp, without_the_unneeded(std::move(domain->guest))});
  changed = true;
}

bool StatusFiles::refresh() {
  std::map<std::string, Entry> now;
  bool changed = false;
  auto folder = Directory::open(AT_FDCWD, directory_.c_str());
  const auto names = folder ? folder->names() : std::unexpected(folder.error());
  incomplete_ = !names && may_be_read_later(names.error());
  if (incomplete_) return false;
  for (const auto& name : names.value_or(std::vector<std::string>{}))
    if (name.ends_with(".xml")) look_through(folder->fd(), name, now, changed);
  // Those that are left were not found again.
  changed = changed || !entries_.empty();
  entries_ = std::move(now);
  by_mac_.clear();
  for (const auto& [name, entry] : entries_)
    for (const auto& nic : entry.guest.nics) by_mac_.emplace(nic.mac, &entry.guest);
  return changed;
}

const Guest* StatusFiles::guest_with(const MacAddress& mac) const {
  const auto it = by_mac_.find(mac);
  return it == by_mac_.end() ? nullptr : it->second;
}

bool StatusFiles::may_be_written_yet(std::span<const MacAddress> nics, Clock::time_point now) {
  static constexpr std::chrono::seconds kUntilWritten{5};
  std::map<MacAddress, Clock::time_point> unwritten;
  for (const auto& mac : nics) {
    if (guest_with(mac) != nullptr) continue;
    const auto known = unwritten_.find(mac);
    unwritten.emplace(mac, known == unwritten_.end() ? now : known->second);
  }
  unwritten_ = std::move(unwritten);
  return std::ranges::any_of(unwritten_, [&](const auto& one) { return now - one.second < kUntilWritten; });
}

}  // namespace vmt
