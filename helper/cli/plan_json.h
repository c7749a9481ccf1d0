// SPDX-License-Identifier: LGPL-2.1-or-later
// How does a plan look to a program?
//
//   {"changes": [{"change": "add-route", "parent": 2, "guest": "192.0.2.61", "source": "192.0.2.10",
//   "manual": false,
//                 "text": "add route 192.0.2.61 dev vmt-2 src 192.0.2.10"}, ...],
//    "notes": ["guest 'web' (...): ...", ...]}
//
// "change" is create-shim, finish-shim, delete-shim, add-address, delete-address, add-proxy, delete-proxy,
// add-neighbour, delete-neighbour, add-route or delete-route. "parent" and "shim" are ifindexes: the name of
// a shim that does not exist yet is in "text" only.
#pragma once

#include <string>

#include "lib/host_access.h"

namespace vmt::cli {

std::string plan_json(const Planned& planned);

}  // namespace vmt::cli
