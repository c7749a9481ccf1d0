// SPDX-License-Identifier: LGPL-2.1-or-later
// Whom does USER[:GROUP] on the command line name? The name service knows, which helper/cli/lookup.h asks.
#pragma once

#include <sys/types.h>

#include <expected>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/error.h"

namespace vmt::cli {

struct Account {
  uid_t user = 0;
  std::optional<gid_t> group;  // when it was said
  std::string name;            // empty: a number that nobody is known by
  std::optional<gid_t> login_group;
  std::vector<gid_t> groups;  // of a process of theirs, the one above among them

  // By name or number. kNotFound: nobody is called so.
  static std::expected<Account, Error> parse(const std::string& text);
};

// This process becomes the user, with the group said or else the user's own, and the user's other groups.
Status become(const Account& account);

// The users' names; those that have none are left out.
std::map<uid_t, std::string> names_of(const std::set<uid_t>& users);

}  // namespace vmt::cli
