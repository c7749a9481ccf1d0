// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/kernel.h"

#include <fmt/format.h>

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
  std::string operator()(const AddRoute& c) const {
    return fmt::format("add route {} dev {} src {}", c.guest.str(), shim_at(c.parent), c.source.str());
  }
  std::string operator()(const DeleteRoute& c) const {
    return fmt::format("delete route {} from link {}", c.guest.str(), c.shim);
  }
};

}  // namespace

std::string describe(const Change& change) {
  return std::visit(Describer{}, change);
}

}  // namespace vmt
