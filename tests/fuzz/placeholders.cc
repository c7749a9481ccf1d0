// SPDX-License-Identifier: LGPL-2.1-or-later
// Placeholders of a command: text stays what it was, and any text can be written.
#include "helper/cli/placeholders.h"

#include "tests/fuzz/property.h"

namespace {

using namespace vmt::cli;

const Values kNics[] = {{.fds = {7, 8}, .vhost_fds = {9, 10}, .mac = "52:54:00:12:34:56", .ifname = "vmt0"},
                        {.fds = {11}, .vhost_fds = {}, .mac = "52:54:00:12:34:57", .ifname = "vmt1"}};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(vmt::fuzz::text_of(data, size));
  const auto expanded = expand(text, kNics);
  vmt::fuzz::require_sound(expanded);
  if (text.find('{') == text.npos) vmt::fuzz::require(expanded == text, "a text without braces is itself");
  std::string escaped;
  for (const char c : text) escaped += c == '{' ? "{{" : std::string(1, c);
  vmt::fuzz::require(expand(escaped, kNics) == text, "an escaped text is itself");
  const std::string command[] = {text};
  const auto found = placeholders_in(command);
  vmt::fuzz::require_sound(found);
  vmt::fuzz::require(found || !expanded, "what expands can be read");
  if (expanded)
    for (const auto& placeholder : *found) vmt::fuzz::require(placeholder.nic < 2, "there is such a --nic");
  if (found && found->empty()) vmt::fuzz::require(expanded.has_value(), "without placeholders nothing can be wrong");
  return 0;
}
