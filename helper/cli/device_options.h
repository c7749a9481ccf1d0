// SPDX-License-Identifier: LGPL-2.1-or-later
// What do the options of the device commands mean? Words in, typed values out; nullopt: the option was not given.
#pragma once

#include <boost/program_options/value_semantic.hpp>
#include <expected>
#include <limits>
#include <optional>
#include <vector>

#include "helper/cli/command.h"
#include "lib/device.h"

namespace vmt::cli {

inline constexpr std::size_t kManyNames = std::numeric_limits<std::size_t>::max();

// As text, whose reader says what is wrong with it: Boost takes "-1" for a number without a sign.
boost::program_options::typed_value<std::string>* text_option(const char* name);
boost::program_options::typed_value<Words>* list_option(const char* name);

std::optional<std::string> text_of(const Arguments& arguments, const char* option);

template <typename T>
std::expected<std::optional<T>, Error> option(const Arguments& arguments, const char* name) {
  const auto text = text_of(arguments, name);
  if (!text) return std::nullopt;
  auto value = T::parse(*text);
  if (!value) return fail(value.error());
  return std::move(*value);
}

std::expected<std::optional<std::uint32_t>, Error> number_option(const Arguments& arguments, const char* name);
std::expected<std::optional<MacvlanMode>, Error> mode_option(const Arguments& arguments);
// One of two words; true: the first.
std::expected<std::optional<bool>, Error> choice_option(const Arguments& arguments, const char* name,
                                                        std::string_view yes, std::string_view no);
// --owner USER[:GROUP], by name or number. kNotFound: nobody is called so.
std::expected<std::optional<NodeOwner>, Error> owner_option(const Arguments& arguments);
// The arguments that are no options.
std::expected<std::vector<IfName>, Error> names_of(const Arguments& arguments);

// Of values read above.
template <typename... Values>
std::optional<Error> first_error(const Values&... values) {
  std::optional<Error> error;
  ((values || error ? void() : void(error = values.error())), ...);
  return error;
}

// The words make no sense (kUsage), or name something that is not there (kFailed).
int refused(const Command& command, const Error& error);

}  // namespace vmt::cli
