// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/standard_fds.h"

#include <fcntl.h>
#include <unistd.h>

namespace vmt {

bool fill_standard_fds() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
    if (fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDWR | O_CLOEXEC) != fd) return false;
  return true;
}

}  // namespace vmt
