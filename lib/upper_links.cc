// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/upper_links.h"

#include <dirent.h>
#include <fmt/format.h>

#include <memory>
#include <string_view>

#include "lib/algorithm.h"

namespace vmt {

std::optional<std::vector<IfName>> upper_links(const IfName& link, const IfName& known) {
  constexpr std::string_view kPrefix = "upper_";
  struct Close {
    void operator()(DIR* folder) const { closedir(folder); }
  };
  const std::unique_ptr<DIR, Close> folder(opendir(fmt::format("/sys/class/net/{}", link.str()).c_str()));
  if (!folder) return std::nullopt;
  std::vector<IfName> names;
  while (const dirent* entry = readdir(folder.get())) {
    const std::string_view text = entry->d_name;
    if (!text.starts_with(kPrefix)) continue;
    const auto name = IfName::parse(text.substr(kPrefix.size()));
    if (!name) return std::nullopt;
    names.push_back(*name);
  }
  if (!contains(names, known)) return std::nullopt;
  return names;
}

}  // namespace vmt
