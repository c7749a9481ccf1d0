// SPDX-License-Identifier: LGPL-2.1-or-later
// Where are the programs under test? In the build directory that the tests were linked in: these objects are linked
// twice, with the programs' own code as it is and with that under the sanitizers (tests/CMakeLists.txt).
#pragma once

#include <filesystem>
#include <string>

namespace vmt {

inline const std::string kBuild = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();

}  // namespace vmt
