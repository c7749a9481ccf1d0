// SPDX-License-Identifier: LGPL-2.1-or-later
// Who asks for what, in the tests of the ACL.
#pragma once

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "helper/tap/acl_file.h"

namespace vmt::tap {

inline const Accounts kAccounts = {
    .uid = [](auto name) { return name == "alice" ? std::optional<uid_t>(1000) : std::nullopt; },
    .gid = [](auto name) { return name == "kvm" ? std::optional<gid_t>(100) : std::nullopt; },
};

inline std::expected<std::vector<AclRule>, Error> no_include(const std::string& path) {
  return fail(invalid("no include of " + path));
}

inline std::expected<std::vector<AclRule>, Error> parse(std::string_view text) {
  return parse_acl(text, "f", kAccounts, no_include);
}

// alice, of kvm and one more group, asks for a bridge.
struct Ask {
  const char* parent = "eth0";
  uid_t uid = 1000;
  std::vector<gid_t> gids = {27, 100};
  MacvlanMode mode = MacvlanMode::kBridge;
  const char* mac = "52:54:00:12:34:56";
};

inline std::expected<Allowed, Error> authorise(const Acl& acl, const Ask& ask) {
  const auto mac = ask.mac ? std::optional(*MacAddress::parse(ask.mac)) : std::nullopt;
  return acl.authorise({*IfName::parse(ask.parent), ask.uid, ask.gids, ask.mode, mac});
}

}  // namespace vmt::tap
