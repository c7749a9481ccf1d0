// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/lookup/accounts.h"

#include <fmt/core.h>
#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "lib/text.h"

namespace vmt::lookup {
namespace {

std::optional<std::uint32_t> id_of(const std::string& text) {
  std::uint32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  // The last one means "leave as it is" to chown and setresuid.
  if (error != std::errc{} || end != text.data() + text.size() || id == ~0U) return std::nullopt;
  return id;
}

std::expected<gid_t, Error> group_of(const std::string& text) {
  if (const group* entry = getgrnam(text.c_str())) return entry->gr_gid;
  if (const auto id = id_of(text)) return *id;
  return fail(Error{ErrorKind::kNotFound, fmt::format("there is no group {}", quoted(text))});
}

// As initgroups(3) would set them; the first is `first`.
std::vector<gid_t> groups_with(const std::string& name, gid_t first) {
  std::vector<gid_t> groups(64);
  int count = static_cast<int>(groups.size());
  while (getgrouplist(name.c_str(), first, groups.data(), &count) < 0) {
    groups.resize(std::max(static_cast<std::size_t>(count), 2 * groups.size()));
    count = static_cast<int>(groups.size());
  }
  groups.resize(static_cast<std::size_t>(count));
  return groups;
}

}  // namespace

std::expected<std::vector<std::string>, Error> account(const std::string& text) {
  const auto colon = text.find(':');
  const std::string user = text.substr(0, colon);
  const auto id = id_of(user);
  const passwd* entry = getpwnam(user.c_str());
  if (entry == nullptr && id) entry = getpwuid(*id);
  if (entry == nullptr && !id)
    return fail(Error{ErrorKind::kNotFound, fmt::format("there is no user {}", quoted(user))});
  std::string name, login;
  const uid_t number = entry == nullptr ? *id : entry->pw_uid;
  std::optional<gid_t> group;
  if (entry != nullptr) {
    name = entry->pw_name;
    group = entry->pw_gid;
    login = fmt::format("{}", entry->pw_gid);
  }
  std::string said;
  if (colon != std::string::npos) {
    const auto found = group_of(text.substr(colon + 1));
    if (!found) return fail(found.error());
    group = *found;
    said = fmt::format("{}", *found);
  }
  std::vector<std::string> answer{name, fmt::format("{}", number), said, login};
  if (!name.empty())
    for (const gid_t other : groups_with(name, *group)) answer.push_back(fmt::format("{}", other));
  return answer;
}

std::string name_of(uid_t user) {
  const passwd* entry = getpwuid(user);
  return entry == nullptr ? std::string{} : entry->pw_name;
}

}  // namespace vmt::lookup
