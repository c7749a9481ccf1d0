// SPDX-License-Identifier: LGPL-2.1-or-later
// Whose macvtap is it, without a connection to libvirt? Its daemon keeps the XML of each running guest in a file, so
// that it finds its guests after a restart, hot-plugged NICs and changed metadata included.
//
// The files are the daemon's own affair: where they are missing, or look otherwise one day, guests have no names and
// are nobody's in particular, which is how QEMU started by hand is seen, too.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <ctime>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "lib/guest.h"

namespace vmt {

inline constexpr const char* kStatusDirectory = "/run/libvirt/qemu";

class StatusFiles {
 public:
  using Clock = std::chrono::steady_clock;

  explicit StatusFiles(std::string directory = kStatusDirectory) : directory_(std::move(directory)) {}

  // Reads what is new or has changed, and forgets what is gone. Costs a stat a guest. False: all is as it was.
  bool refresh();
  // The last refresh() could not read everything: of what it could not read, what was known before is kept.
  bool incomplete() const { return incomplete_; }
  // Valid until the next refresh(); nullptr: no guest in the files has such a NIC.
  const Guest* guest_with(const MacAddress& mac) const;
  // libvirt writes down whose a hot-plugged NIC is some time after it has made the macvtap, and nothing tells of the
  // file. Of the NICs that there are now: whether one that no guest in the files has was first among them five seconds
  // ago at most.
  bool may_be_written_yet(std::span<const MacAddress> nics, Clock::time_point now);

 private:
  // What tells two states of a file apart: libvirt writes a new one and renames it.
  struct Stamp {
    ino_t inode = 0;
    off_t size = 0;
    time_t seconds = 0;
    long nanoseconds = 0;

    bool operator==(const Stamp&) const = default;
  };
  struct Entry {
    Stamp stamp;
    Guest guest;
  };

  void keep(const std::string& name, std::map<std::string, Entry>& now);
  void look_through(int directory, const std::string& name, std::map<std::string, Entry>& now, bool& changed);

  std::string directory_;
  bool incomplete_ = false;
  std::map<std::string, Entry> entries_;  // by file name
  std::map<MacAddress, const Guest*> by_mac_;
  std::map<MacAddress, Clock::time_point> unwritten_;  // NICs that no guest in the files has, and since when
};

}  // namespace vmt
