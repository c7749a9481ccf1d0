// SPDX-License-Identifier: LGPL-2.1-or-later
// Does the tracer count the calls of the program that it is to follow, all of them and no others?
#pragma once

#include <string>
#include <vector>

namespace vmt::crash {

// Prints what it does wrong; an exit status.
int check_tracer(const std::string& self);

// What it follows: duplicates an fd `count` times, runs another program to its end, and duplicates as often once more.
int duplicate(int count, const std::vector<std::string>& other);

}  // namespace vmt::crash
