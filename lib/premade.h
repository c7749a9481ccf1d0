// SPDX-License-Identifier: LGPL-2.1-or-later
// Where is the device that a <target managed='no'> names, and whose is it? Its name says neither: metadata says where
// the hook is to make it, the kernel where it is, and a user may have made it somewhere else.
#pragma once

#include <expected>

#include "lib/guest.h"
#include "lib/kernel.h"

namespace vmt {

// The guest with `wanted` as the kernel has it: the parent and the mode of the macvtap of that name, whoever made it;
// nullopt for another kind of link, as host access has nothing to do with a plain tap. While there is no link of that
// name the metadata stands. Deciding then goes on as for a macvtap that libvirt makes, and stays pure.
std::expected<Guest, Error> with_placements(Kernel& kernel, Guest guest);

// A pre-made device outlives its guest, so its being there does not mean that somebody uses it. False for one that was
// made for another guest, which may have the same device name in its XML.
bool is_premade_of(const Child& child, const Guest& guest);

}  // namespace vmt
