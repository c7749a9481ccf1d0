// SPDX-License-Identifier: LGPL-2.1-or-later
// What libvirt says when it calls a qemu hook, and what it means to us.
#pragma once

#include <string_view>

namespace vmt {

// By what is to be done, not by name: several operations of libvirt's are one to us.
enum class HookAction {
  kNothing,  // not ours, or nothing to do at that moment: migrate, restore (their stdout would replace the XML),
             // started, stopped, attach
  kPrepare,  // prepare: libvirt has made no macvtap yet, and looks for those that it does not make
  kStart,    // start, reconnect: the parents are resolved, the macvtaps exist
  kStop,     // release: libvirt's macvtaps are gone, and the XML has forgotten both. Not `stopped`, which always comes
          // before: the guest's own macvtap is still there then and cannot be told from another guest's with the same
          // MAC
};

// libvirt calls `<script> <domain> <operation> <begin|end|-> <extra|->`. Anything else is kNothing: a newer libvirt may
// know more operations than we do.
HookAction hook_action(std::string_view operation);

}  // namespace vmt
