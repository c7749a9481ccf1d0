// SPDX-License-Identifier: LGPL-2.1-or-later
#include "xml/status_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <optional>

#include "lib/fd.h"
#include "xml/domain.h"

namespace vmt {
namespace {

struct CloseDir {
  void operator()(DIR* dir) const { closedir(dir); }
};

std::optional<std::string> read_file(int directory, const char* name, std::size_t size) {
  const Fd file(openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file || size > kMaxDomainXml) return std::nullopt;
  std::string text(size, '\0');
  const ssize_t got = read(file.get(), text.data(), text.size());
  if (got < 0) return std::nullopt;
  text.resize(static_cast<std::size_t>(got));
  return text;
}

// The rest of the XML is nobody's business here, and there may be thousands of guests.
Guest without_the_unneeded(Guest guest) {
  for (auto& nic : guest.nics) nic.model.clear();
  guest.nics.shrink_to_fit();
  return guest;
}

}  // namespace

bool StatusFiles::refresh() {
  std::map<std::string, Entry> now;
  bool changed = false;
  const std::unique_ptr<DIR, CloseDir> dir(opendir(directory_.c_str()));
  while (const dirent* entry = dir ? readdir(dir.get()) : nullptr) {
    const std::string name = entry->d_name;
    struct stat status {};
    if (!name.ends_with(".xml") || fstatat(dirfd(dir.get()), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(status.st_mode))
      continue;
    const Stamp stamp{status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
    if (const auto known = entries_.find(name); known != entries_.end() && known->second.stamp == stamp) {
      now.insert(entries_.extract(known));
      continue;
    }
    auto text = read_file(dirfd(dir.get()), name.c_str(), static_cast<std::size_t>(status.st_size));
    if (!text) continue;
    if (auto domain = parse_domain(std::move(*text)))
      now.insert_or_assign(name, Entry{stamp, without_the_unneeded(std::move(domain->guest))});
    changed = true;
  }
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

}  // namespace vmt
