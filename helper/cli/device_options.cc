// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/cli/device_options.h"

#include <fmt/core.h>

#include <charconv>

#include "helper/cli/account.h"
#include "lib/text.h"

namespace po = boost::program_options;

namespace vmt::cli {
namespace {

std::optional<std::uint32_t> number_of(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

}  // namespace

po::typed_value<std::string>* text_option(const char* name) {
  return po::value<std::string>()->value_name(name);
}

po::typed_value<Words>* list_option(const char* name) {
  return po::value<Words>()->value_name(name);
}

std::optional<std::string> text_of(const Arguments& arguments, const char* option) {
  if (!arguments.options.count(option)) return std::nullopt;
  return arguments.options[option].as<std::string>();
}

std::expected<std::optional<std::uint32_t>, Error> number_option(const Arguments& arguments, const char* name) {
  const auto text = text_of(arguments, name);
  if (!text) return std::nullopt;
  const auto number = number_of(*text);
  if (!number) return fail(invalid(fmt::format("{} {}: not a number from 0 to {}", name, quoted(*text), UINT32_MAX)));
  return number;
}

std::expected<std::optional<MacvlanMode>, Error> mode_option(const Arguments& arguments) {
  const auto text = text_of(arguments, "mode");
  if (!text) return std::nullopt;
  const auto mode = parse_mode(*text);
  if (!mode) return fail(mode.error());
  return *mode;
}

std::expected<std::optional<bool>, Error> choice_option(const Arguments& arguments, const char* name,
                                                        std::string_view yes, std::string_view no) {
  const auto text = text_of(arguments, name);
  if (!text) return std::nullopt;
  if (*text == yes) return true;
  if (*text == no) return false;
  return fail(invalid(fmt::format("{} {}: neither {} nor {}", name, quoted(*text), yes, no)));
}

std::expected<std::optional<NodeOwner>, Error> owner_option(const Arguments& arguments) {
  const auto text = text_of(arguments, "owner");
  if (!text) return std::nullopt;
  const auto account = Account::parse(*text);
  if (!account) return fail(Error{account.error().kind, "owner: " + account.error().message});
  return NodeOwner{.user = account->user, .group = account->group};
}

std::expected<std::vector<IfName>, Error> names_of(const Arguments& arguments) {
  std::vector<IfName> names;
  for (const auto& word : arguments.rest) {
    auto name = IfName::parse(word);
    if (!name) return fail(name.error());
    names.push_back(std::move(*name));
  }
  return names;
}

int refused(const Command& command, const Error& error) {
  return error.kind == ErrorKind::kInvalid ? misused(command.name, error.message) : report(error);
}

}  // namespace vmt::cli
