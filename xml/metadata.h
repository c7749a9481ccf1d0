// SPDX-License-Identifier: LGPL-2.1-or-later
// Our element in a domain's <metadata>: found by its namespace, whatever its prefix.
#pragma once

#include <string>
#include <vector>

#include "lib/guest.h"

namespace pugi {
class xml_node;
}

namespace vmt {

// Fills guest.host_access, guest.given and where its pre-made devices are to be (which it must have been told of
// before); what makes no sense is left out with a note.
void parse_metadata(const pugi::xml_node& metadata, Guest& guest, std::vector<std::string>& notes);

}  // namespace vmt
