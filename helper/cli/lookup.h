// SPDX-License-Identifier: LGPL-2.1-or-later
// Asking virt-macvtap-lookup (helper/lookup/answer.h), so that this program is static: each shared library costs a
// start some 100 µs, and `exec` is on the way of a guest's.
#pragma once

#include <chrono>
#include <expected>
#include <string>
#include <vector>

#include "lib/error.h"

namespace vmt::cli {

// Where it is: beside this program, else where it is installed.
std::string path_of_lookup();

// The texts of the answer. kNotFound: there is no such thing, or no such program. kTimeout: there was no answer within
// `patience`; the program has been killed.
std::expected<std::vector<std::string>, Error> look_up(std::vector<std::string> question,
                                                       std::chrono::milliseconds patience,
                                                       const std::string& program = path_of_lookup());

}  // namespace vmt::cli
