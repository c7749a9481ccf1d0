// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/if_name.h"

#include <fmt/core.h>
#include <net/if.h>

#include <algorithm>

#include "lib/text.h"

namespace vmt {

std::expected<IfName, Error> IfName::parse(std::string_view text) {
  // Control characters are legal for the kernel, but no distribution makes such names and they would forge log lines.
  const auto is_bad = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    // 0xa0: the kernel's isspace() counts Latin-1's no-break space.
    // '%': the kernel takes "%d" for a request to number the link itself, and refuses all else with it.
    return byte <= 0x20 || byte == 0x7f || byte == 0xa0 || c == '/' || c == ':' || c == '%';
  };
  if (text.empty() || text.size() >= IFNAMSIZ || text == "." || text == ".." || std::ranges::any_of(text, is_bad))
    return fail(invalid(
        fmt::format("interface name {}: not 1 to 15 bytes without blanks, '/', ':' and '%', nor a dot", quoted(text))));
  return IfName(text);
}

}  // namespace vmt
