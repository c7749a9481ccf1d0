// SPDX-License-Identifier: LGPL-2.1-or-later
// What does virt-macvtap-lookup answer virt-macvtap?
//
//   question            texts of the answer
//   guests URI          the XML of each domain that runs
//   account USER[:GROUP]  the name (empty: a number that nobody is known by), the uid, the group that was said and the
//                       login group (each empty when there is none), and the numbers of the groups of a process of
//                       theirs
//   names UID...        the name of each, empty when nobody has that number
//
// On its standard output, each text with a NUL behind it. The exit status says whether it is all of the answer; another
// than these two below, or none, and the one text is the error.
#pragma once

namespace vmt::lookup {

inline constexpr const char* kProgram = "virt-macvtap-lookup";

inline constexpr int kAnswered = 0;
inline constexpr int kNotFound = 3;  // an error as well: what was asked for, or asked with, is not there

}  // namespace vmt::lookup
