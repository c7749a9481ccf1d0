// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/upper_links.h"

#include <fcntl.h>
#include <fmt/core.h>

#include <string_view>

#include "lib/algorithm.h"
#include "lib/directory.h"

namespace vmt {

std::optional<std::vector<IfName>> upper_links(const IfName& link, const IfName& known) {
  constexpr std::string_view kPrefix = "upper_";
  auto folder = Directory::open(AT_FDCWD, fmt::format("/sys/class/net/{}", link.str()).c_str());
  const auto entries = folder ? folder->names() : std::unexpected(folder.error());
  if (!entries) return std::nullopt;
  std::vector<IfName> names;
  for (const std::string_view entry : *entries) {
    if (!entry.starts_with(kPrefix)) continue;
    const auto name = IfName::parse(entry.substr(kPrefix.size()));
    if (!name) return std::nullopt;
    names.push_back(*name);
  }
  if (!contains(names, known)) return std::nullopt;
  return names;
}

}  // namespace vmt
