// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace vmt {

std::expected<Directory, int> Directory::open(int at, const char* path) {
  const int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return std::unexpected(errno);
  DIR* const stream = fdopendir(fd);
  if (stream != nullptr) return Directory(stream, fd);
  const int error = errno;
  close(fd);
  return std::unexpected(error);
}

std::expected<std::vector<std::string>, int> Directory::names() {
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(stream_.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0) return std::unexpected(errno);
  return names;
}

}  // namespace vmt
