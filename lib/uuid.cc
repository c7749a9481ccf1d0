// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/uuid.h"

#include <fmt/core.h>

#include "lib/text.h"

namespace vmt {

std::expected<Uuid, Error> Uuid::parse(std::string_view text) {
  constexpr std::string_view kShape = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  constexpr std::string_view kDigits = "0123456789abcdef";
  const auto malformed = [&] { return fail(invalid(fmt::format("UUID {}: not 8-4-4-4-12 hex digits", quoted(text)))); };
  if (text.size() != kShape.size()) return malformed();
  std::string lower(text);
  for (std::size_t i = 0; i < lower.size(); ++i) {
    if (lower[i] >= 'A' && lower[i] <= 'F') lower[i] = static_cast<char>(lower[i] - 'A' + 'a');
    const bool fits = kShape[i] == '-' ? lower[i] == '-' : kDigits.contains(lower[i]);
    if (!fits) return malformed();
  }
  return Uuid(std::move(lower));
}

}  // namespace vmt
