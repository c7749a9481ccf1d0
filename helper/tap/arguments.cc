// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/tap/arguments.h"

#include <fmt/core.h>

#include <charconv>

#include "lib/text.h"

namespace vmt::tap {
namespace {

std::expected<int, Error> parse_fd(std::string_view text) {
  int fd = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), fd);
  if (error != std::errc{} || end != text.data() + text.size() || fd < 0)
    return fail(invalid(fmt::format("--fd {}: not the number of a file descriptor", quoted(text))));
  return fd;
}

// Takes "--NAME=VALUE", or "--NAME" and the word behind it.
std::optional<std::string_view> value_of(std::string_view name, std::span<const char* const>& words) {
  std::string_view word = words.front();
  if (!word.starts_with(name)) return std::nullopt;
  word.remove_prefix(name.size());
  if (word.starts_with('=')) return word.substr(1);
  if (!word.empty() || words.size() < 2) return std::nullopt;
  words = words.subspan(1);
  return words.front();
}

Status take(std::span<const char* const>& words, Arguments& arguments) {
  const std::string_view word = words.front();
  if (word == "--use-vnet") {
    arguments.vnet_header = true;
  } else if (word == "--help") {
    arguments.help = true;
  } else if (word == "--version") {
    arguments.version = true;
  } else if (const auto br = value_of("--br", words); br && !arguments.request) {
    auto request = parse_request(*br);
    if (!request) return fail(request.error());
    arguments.request = std::move(*request);
  } else if (const auto number = value_of("--fd", words); number && arguments.fd < 0) {
    const auto fd = parse_fd(*number);
    if (!fd) return fail(fd.error());
    arguments.fd = *fd;
  } else {
    return fail(invalid(fmt::format("{}: unknown, incomplete or given twice (try --help)", quoted(word))));
  }
  return {};
}

}  // namespace

std::expected<Request, Error> parse_request(std::string_view text) {
  const auto refuse = [&](const Error& why) {
    return fail(invalid(fmt::format("--br {}: {}", quoted(text), why.message)));
  };
  auto slash = text.find('/');
  auto parent = IfName::parse(text.substr(0, slash));
  if (!parent) return refuse(parent.error());
  Request request{.parent = std::move(*parent), .mac = {}};
  bool has_mode = false;
  while (slash != std::string_view::npos) {
    const auto next = text.find('/', slash + 1);
    const std::string_view part = text.substr(slash + 1, next - slash - 1);
    slash = next;
    const auto mac = MacAddress::parse(part);
    if (mac && !request.mac) {
      request.mac = *mac;
    } else if (!mac && part.find(':') != std::string_view::npos) {
      return refuse(mac.error());
    } else if (const auto mode = parse_mode(part); mode && !has_mode) {
      request.mode = *mode;
      has_mode = true;
    } else {
      return refuse(invalid(fmt::format("{} is neither a MAC nor a mode, or the second", quoted(part))));
    }
  }
  if (request.mode == MacvlanMode::kPassthru && request.mac)
    return refuse(invalid("a passthru device takes its parent's MAC; leave it out"));
  return request;
}

std::expected<Arguments, Error> parse_arguments(std::span<const char* const> words) {
  Arguments arguments;
  for (; !words.empty(); words = words.subspan(1))
    if (auto status = take(words, arguments); !status) return fail(status.error());
  if (arguments.help || arguments.version) return arguments;
  if (!arguments.request) return fail(invalid("--br=PARENT is missing (try --help)"));
  if (arguments.fd < 0) return fail(invalid("--fd=N is missing (try --help)"));
  return arguments;
}

}  // namespace vmt::tap
