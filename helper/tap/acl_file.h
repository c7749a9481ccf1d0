// SPDX-License-Identifier: LGPL-2.1-or-later
// Reads the access control list that the administrator has written down for qemu-macvtap-helper.
//
//   # Whatever is not allowed is refused, and a deny beats every allow, in whatever order they stand.
//   allow eth0 group=kvm max=4
//   allow eth1 user=alice mode=bridge,passthru mac=52:54:00
//   deny  all  mac=52:54:00:00:00
//   include /etc/qemu/macvtap.d/lab.conf
//
// mac= is about the device as it is made, and no wall against a hostile VMM: whoever holds the tap fd may give the
// device another MAC, in passthru mode its parent as well (kernel_facts_test).
//
// '#' starts a comment at the start of a line only. Whatever is wrong with it, in whichever file, denies everything:
// there is an Error instead of an Acl.
#pragma once

#include <cstddef>
#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "helper/tap/acl.h"
#include "lib/error.h"

namespace vmt::tap {

inline constexpr const char* kAclPath = "/etc/qemu/macvtap.conf";

inline constexpr std::size_t kMaxAclLine = 4096;
// Of one list with all its includes; a file that is included twice counts twice.
inline constexpr std::size_t kMaxAclFiles = 64;
inline constexpr std::size_t kMaxAclText = 1024 * 1024;

// The rules of an included file, whose path is absolute.
using Includer = std::function<std::expected<std::vector<AclRule>, Error>(const std::string& path)>;

// The rules in the order of their lines, an include's where it stands. Errors are "FILE:LINE: what is wrong", where an
// include puts the line that includes before what is wrong inside.
std::expected<std::vector<AclRule>, Error> parse_acl(std::string_view text, const std::string& file,
                                                     const Accounts& accounts, const Includer& include);

// The two files themselves and no NSS, whose modules a static program cannot load and a privileged one should not:
// accounts from elsewhere (LDAP, systemd-homed) go by number.
Accounts system_accounts(std::string passwd = "/etc/passwd", std::string group = "/etc/group");

// Every file must be a regular one that root owns and nobody else can write, and readable with the rights at hand: an
// include that the user may not read is an error, not a rule less (group= is for what qemu-bridge-helper does with the
// modes of includes). What is decided on was the list at one moment: when a file changes meanwhile it is read again.
std::expected<Acl, Error> read_acl(const char* path = kAclPath);

}  // namespace vmt::tap
