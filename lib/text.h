// SPDX-License-Identifier: LGPL-2.1-or-later
// Untrusted text, made fit for one line of a log.
#pragma once

#include <string>
#include <string_view>

namespace vmt {

// The text in single quotes, control characters and quotes escaped, cut after 64 bytes: a guest's name or a bad
// value can neither forge a second log line nor flood the log.
std::string quoted(std::string_view text);

// Without blanks, tabs and line ends at both ends.
std::string_view trimmed(std::string_view text);

}  // namespace vmt
