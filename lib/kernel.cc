// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/kernel.h"

#include <fmt/core.h>

namespace vmt {
namespace {

std::string shim_at(unsigned parent) {
  return shim_name(parent).str();
}

struct Describer {
  std::string operator()(const CreateShim& c) const {
    return fmt::format("create shim {} on {} with {}", shim_at(c.parent), c.parent_name.str(), c.mac.str());
  }
  std::string operator()(const FinishShim& c) const {
    return fmt::format("set shim {} up for {}", shim_at(c.parent), c.role == ShimRole::kManual ? "host up" : "guests");
  }
  std::string operator()(const DeleteShim& c) const { return fmt::format("delete shim {}", c.name.str()); }
  std::string operator()(const AddAddress& c) const {
    return fmt::format("add address {} to {}", c.address.str(), shim_at(c.parent));
  }
  std::string operator()(const DeleteAddress& c) const {
    return fmt::format("delete address {} from {}", c.address.str(), shim_at(c.parent));
  }
  std::string operator()(const AddProxy& c) const {
    return fmt::format("answer for {} on {}", c.address.str(), shim_at(c.parent));
  }
  std::string operator()(const DeleteProxy& c) const {
    return fmt::format("stop answering for {} on {}", c.address.str(), shim_at(c.parent));
  }
  std::string operator()(const AddNeighbour& c) const {
    return fmt::format("pin {} to {} on {}", c.guest.str(), c.mac.str(), shim_at(c.parent));
  }
  std::string operator()(const DeleteNeighbour& c) const {
    return fmt::format("unpin {} from link {}", c.guest.str(), c.shim);
  }
  std::string operator()(const AddMark& c) const {
    return fmt::format("mark a guest as {} at {} on {}", c.mark.str(), c.at.str(), shim_at(c.parent));
  }
  std::string operator()(const DeleteMark& c) const {
    return fmt::format("delete the mark {} from link {}", c.at.str(), c.shim);
  }
  std::string operator()(const AddRoute& c) const {
    return fmt::format("add route {} dev {} src {}", c.guest.str(), shim_at(c.parent), c.source.str());
  }
  std::string operator()(const DeleteRoute& c) const {
    return fmt::format("delete route {} from link {}", c.guest.str(), c.shim);
  }
  std::string operator()(const CreateDevice& c) const {
    const auto& s = c.spec;
    return fmt::format("create {} {} on {} in mode {}{}", s.macvtap ? "macvtap" : "macvlan", s.name.str(),
                       s.parent_name.str(), to_string(s.mode), s.mac ? " with " + s.mac->str() : std::string{});
  }
  std::string operator()(const ChangeDevice& c) const {
    std::string text = fmt::format("set {}", c.name.str());
    if (c.mac) text += " mac " + c.mac->str();
    if (c.mode) text += fmt::format(" mode {}", to_string(*c.mode));
    if (c.mtu) text += fmt::format(" mtu {}", *c.mtu);
    if (c.allmulticast) text += *c.allmulticast ? " allmulticast on" : " allmulticast off";
    if (c.up) text += *c.up ? " up" : " down";
    return text;
  }
  std::string operator()(const DeleteDevices& c) const {
    std::string text = "delete";
    for (const auto& device : c.devices) text += " " + device.name.str();
    return text;
  }
};

}  // namespace

std::string describe(const Change& change) {
  return std::visit(Describer{}, change);
}

}  // namespace vmt
