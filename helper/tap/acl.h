// SPDX-License-Identifier: LGPL-2.1-or-later
// Who may have a macvtap on which parent: the rules, how one is spelled, and what they decide. Pure; acl_file.h reads.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/error.h"
#include "lib/if_name.h"
#include "lib/mac_address.h"
#include "lib/macvlan_mode.h"

namespace vmt::tap {

struct AclRequest {
  // The kernel's own name of the link that will be the parent. Not what the user typed, lest "deny eth0" is got round:
  // the kernel also answers to a link's alternative names, and puts a macvtap on a macvlan onto the macvlan's parent.
  IfName parent;
  // The real user and the real and supplementary groups of whoever started us.
  uid_t uid;
  std::span<const gid_t> gids;
  MacvlanMode mode;
  // None: it will be the one of the guest's first frame, so any.
  std::optional<MacAddress> mac;
};

struct Allowed {
  // The most macvtaps; none is no limit. Counting is the caller's.
  std::optional<std::uint16_t> max;
};

// The first 1 to 6 bytes of a MAC address: "52:54:00", "52:54:00:12:34:56".
class MacPrefix {
 public:
  static std::expected<MacPrefix, Error> parse(std::string_view text);

  bool covers(const MacAddress& mac) const;

 private:
  MacPrefix(const MacAddress& padded, std::size_t size) : padded_(padded), size_(size) {}

  MacAddress padded_;
  std::size_t size_;
};

// A condition that is not set holds for every request; all of them have to hold. `mac` is about what we make, and no
// wall: who holds the tap fd may change the device's MAC (kernel_facts_test), and send from any.
struct AclRule {
  enum class Verdict { kDeny, kAllow };

  Verdict verdict = Verdict::kDeny;
  std::optional<IfName> parent;  // none: "all"
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  // Bits of MacvlanMode. None means every mode to a deny, but bridge, vepa and private to an allow: passthru takes over
  // the parent and its MAC, and source is for who knows it, so these two have to be named.
  std::optional<std::uint32_t> modes;
  std::optional<MacPrefix> mac;
  std::optional<std::uint16_t> max;  // allow only

  // Where it stands, for the refusal.
  std::string file;
  int line = 0;
};

// How names become numbers, so that reading a rule stays pure. Asked for names only: a number is itself.
struct Accounts {
  std::function<std::optional<uid_t>(std::string_view name)> uid;
  std::function<std::optional<gid_t>(std::string_view name)> gid;
};

// The words of "allow|deny PARENT|all [user=NAME|UID] [group=NAME|GID] [mode=MODE,...] [mac=MAC|PREFIX] [max=N]".
// Strict: whatever else there is, and a condition given twice, is an error. `file` and `line` are left to the caller.
std::expected<AclRule, Error> parse_rule(std::span<const std::string_view> words, const Accounts& accounts);

// Any deny that matches wins, in whatever order; else any allow that matches; else it is refused. Of a request without
// a MAC the worst is assumed: a deny with mac= matches it, an allow with mac= does not.
class Acl {
 public:
  // `file` is named when no rule allows a request.
  Acl(std::string file, std::vector<AclRule> rules) : file_(std::move(file)), rules_(std::move(rules)) {}

  // The most generous limit of the allows that match; else a kPermission error that says who, what and why.
  std::expected<Allowed, Error> authorise(const AclRequest& request) const;

 private:
  std::string file_;
  std::vector<AclRule> rules_;
};

}  // namespace vmt::tap
