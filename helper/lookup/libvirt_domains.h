// SPDX-License-Identifier: LGPL-2.1-or-later
// Which domains does libvirt run? The one file that knows libvirt, which is loaded when somebody asks.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "lib/error.h"

namespace vmt::lookup {

// The live XML of each, or none: an answer with a hole would make `sync` take a running guest's host access away.
// Takes as long as libvirt does.
std::expected<std::vector<std::string>, Error> running_domains(const std::string& uri);

}  // namespace vmt::lookup
