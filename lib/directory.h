// SPDX-License-Identifier: LGPL-2.1-or-later
// What is in a folder: all of it, or an error. readdir(3) by itself ends alike at the end and at an error.
#pragma once

#include <dirent.h>

#include <expected>
#include <memory>
#include <string>
#include <vector>

namespace vmt {

class Directory {
 public:
  // The error is an errno. `at`: a folder's, or AT_FDCWD.
  static std::expected<Directory, int> open(int at, const char* path);

  int fd() const { return fd_; }
  // "." and ".." left out, in no order; once. The error is an errno.
  std::expected<std::vector<std::string>, int> names();

 private:
  struct Close {
    void operator()(DIR* stream) const { closedir(stream); }
  };
  Directory(DIR* stream, int fd) : stream_(stream), fd_(fd) {}

  std::unique_ptr<DIR, Close> stream_;
  int fd_;  // the stream's
};

}  // namespace vmt
