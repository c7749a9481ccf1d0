// SPDX-License-Identifier: LGPL-2.1-or-later
// Who are the host's users? All that its name service knows, whichever plug-ins that takes.
#pragma once

#include <sys/types.h>

#include <expected>
#include <string>
#include <vector>

#include "lib/error.h"

namespace vmt::lookup {

// The texts of the answer about USER[:GROUP] (answer.h), each by name or number. kNotFound: nobody is called so.
std::expected<std::vector<std::string>, Error> account(const std::string& text);

// The user's name, empty when nobody has that number.
std::string name_of(uid_t user);

}  // namespace vmt::lookup
