// SPDX-License-Identifier: LGPL-2.1-or-later
// Giving privileges up, for good or until they are needed.
#pragma once

#include <sys/capability.h>

#include <initializer_list>
#include <span>

#include "lib/error.h"

namespace vmt::tap {

// The real user with no more than these capabilities, permitted but not effective, whoever we were before: root by the
// setuid bit, root, or a user with file capabilities. No core dump, not traceable, no gain by exec.
// kPermission names those that we do not have.
Status become_caller(std::span<const cap_value_t> capabilities);

// Makes these effective, and no others.
Status raise(std::span<const cap_value_t> capabilities);
// Effective and permitted: none from here on.
Status drop_all();

}  // namespace vmt::tap
