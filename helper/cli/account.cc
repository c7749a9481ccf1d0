// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/cli/account.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "lib/text.h"

namespace vmt::cli {
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

}  // namespace

std::expected<Account, Error> Account::parse(const std::string& text) {
  const auto colon = text.find(':');
  const std::string user = text.substr(0, colon);
  const auto id = id_of(user);
  const passwd* entry = getpwnam(user.c_str());
  if (entry == nullptr && id) entry = getpwuid(*id);
  if (entry == nullptr && !id)
    return fail(Error{ErrorKind::kNotFound, fmt::format("there is no user {}", quoted(user))});
  Account account{.user = entry ? entry->pw_uid : *id, .group = {}, .name = {}, .login_group = {}};
  if (entry != nullptr) {
    account.name = entry->pw_name;
    account.login_group = entry->pw_gid;
  }
  if (colon == std::string::npos) return account;
  const auto group = group_of(text.substr(colon + 1));
  if (!group) return fail(group.error());
  account.group = *group;
  return account;
}

Status become(const Account& account) {
  const auto group = account.group ? account.group : account.login_group;
  if (!group)
    return fail(
        invalid(fmt::format("user {} has no group of their own; say which: {}:GROUP", account.user, account.user)));
  const bool groups_set =
      account.name.empty() ? setgroups(0, nullptr) == 0 : initgroups(account.name.c_str(), *group) == 0;
  if (!groups_set || setresgid(*group, *group, *group) < 0 || setresuid(account.user, account.user, account.user) < 0)
    return fail(errno_error(errno, fmt::format("become user {}", account.user)));
  return {};
}

}  // namespace vmt::cli
