// SPDX-License-Identifier: LGPL-2.1-or-later
//
// {fmt}'s own code, once: the package has it as a shared object only, which a statically linked program cannot use, and
// header-only each file of ours would compile all of it again (3 s of each). What the headers declare for everybody
// else is defined here, under the same names.
#define FMT_HEADER_ONLY
#include <fmt/format.h>

namespace {

// An inline function is compiled where its address is taken.
[[gnu::used]] constexpr std::string (*kVformat)(fmt::string_view, fmt::format_args) = &fmt::vformat;
[[gnu::used]] constexpr void (*kVprint)(fmt::string_view, fmt::format_args) = &fmt::vprint;
[[gnu::used]] constexpr void (*kVprintTo)(std::FILE*, fmt::string_view, fmt::format_args) = &fmt::vprint;

}  // namespace
