// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/cli/account.h"

#include <fmt/core.h>
#include <grp.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "helper/cli/lookup.h"
#include "lib/text.h"

namespace vmt::cli {
namespace {

// A directory may be asked over the network.
constexpr std::chrono::seconds kPatience{15};

std::optional<std::uint32_t> number_of(const std::string& text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

}  // namespace

std::expected<Account, Error> Account::parse(const std::string& text) {
  const auto answer = look_up({"account", text}, kPatience);
  if (!answer && answer.error().kind == ErrorKind::kNotFound) return fail(answer.error());
  const auto user = answer && answer->size() >= 4 ? number_of((*answer)[1]) : std::nullopt;
  if (!user)
    return fail(Error{ErrorKind::kFailed,
                      fmt::format("look up user {}: {}", quoted(text), answer ? "no answer" : answer.error().message)});
  Account account{.user = *user,
                  .group = number_of((*answer)[2]),
                  .name = (*answer)[0],
                  .login_group = number_of((*answer)[3]),
                  .groups = {}};
  for (std::size_t i = 4; i < answer->size(); ++i)
    if (const auto group = number_of((*answer)[i])) account.groups.push_back(*group);
  return account;
}

Status become(const Account& account) {
  const auto group = account.group ? account.group : account.login_group;
  if (!group)
    return fail(
        invalid(fmt::format("user {} has no group of their own; say which: {}:GROUP", account.user, account.user)));
  if (setgroups(account.groups.size(), account.groups.data()) < 0 || setresgid(*group, *group, *group) < 0 ||
      setresuid(account.user, account.user, account.user) < 0)
    return fail(errno_error(errno, fmt::format("become user {}", account.user)));
  return {};
}

std::map<uid_t, std::string> names_of(const std::set<uid_t>& users) {
  std::map<uid_t, std::string> names;
  if (users.empty()) return names;
  std::vector<std::string> question{"names"};
  for (const uid_t user : users) question.push_back(fmt::format("{}", user));
  const auto answer = look_up(std::move(question), kPatience);
  if (!answer || answer->size() != users.size()) return names;
  auto user = users.begin();
  for (const auto& name : *answer) {
    if (!name.empty()) names.emplace(*user, name);
    ++user;
  }
  return names;
}

}  // namespace vmt::cli
