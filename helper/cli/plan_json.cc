// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/cli/plan_json.h"

#include <nlohmann/json.hpp>

namespace vmt::cli {
namespace {

using Json = nlohmann::ordered_json;

struct ToJson {
  Json operator()(const CreateShim& c) const {
    return {{"change", "create-shim"}, {"parent", c.parent}, {"mac", c.mac.str()}};
  }
  Json operator()(const FinishShim& c) const {
    return {
        {"change", "finish-shim"}, {"parent", c.parent}, {"role", c.role == ShimRole::kManual ? "manual" : "guests"}};
  }
  Json operator()(const DeleteShim& c) const {
    return {{"change", "delete-shim"}, {"shim", c.index}, {"name", c.name.str()}};
  }
  Json operator()(const AddAddress& c) const {
    return {{"change", "add-address"}, {"parent", c.parent}, {"address", c.address.str()}};
  }
  Json operator()(const DeleteAddress& c) const {
    return {{"change", "delete-address"}, {"parent", c.parent}, {"address", c.address.str()}};
  }
  Json operator()(const AddProxy& c) const {
    return {{"change", "add-proxy"}, {"parent", c.parent}, {"address", c.address.str()}};
  }
  Json operator()(const DeleteProxy& c) const {
    return {{"change", "delete-proxy"}, {"parent", c.parent}, {"address", c.address.str()}};
  }
  Json operator()(const AddNeighbour& c) const {
    return {{"change", "add-neighbour"},
            {"parent", c.parent},
            {"guest", c.guest.str()},
            {"mac", c.mac.str()},
            {"learned", c.origin == Origin::kLearned},
            {"manual", c.origin == Origin::kManual}};
  }
  Json operator()(const DeleteNeighbour& c) const {
    return {{"change", "delete-neighbour"}, {"shim", c.shim}, {"guest", c.guest.str()}};
  }
  Json operator()(const AddMark& c) const {
    return {{"change", "add-mark"}, {"parent", c.parent}, {"at", c.at.str()}, {"mark", c.mark.str()}};
  }
  Json operator()(const DeleteMark& c) const {
    return {{"change", "delete-mark"}, {"shim", c.shim}, {"at", c.at.str()}};
  }
  Json operator()(const AddRoute& c) const {
    return {{"change", "add-route"},
            {"parent", c.parent},
            {"guest", c.guest.str()},
            {"source", c.source.str()},
            {"manual", c.manual}};
  }
  Json operator()(const DeleteRoute& c) const {
    return {{"change", "delete-route"}, {"shim", c.shim}, {"guest", c.guest.str()}, {"manual", c.manual}};
  }
  Json operator()(const CreateDevice& c) const {
    return {{"change", "create-device"},
            {"name", c.spec.name.str()},
            {"parent", c.spec.parent},
            {"mode", to_string(c.spec.mode)}};
  }
  Json operator()(const ChangeDevice& c) const { return {{"change", "change-device"}, {"name", c.name.str()}}; }
  Json operator()(const DeleteDevices& c) const {
    Json names = Json::array();
    for (const auto& device : c.devices) names.push_back(device.name.str());
    return {{"change", "delete-devices"}, {"names", std::move(names)}};
  }
};

}  // namespace

std::string plan_json(const Planned& planned) {
  Json changes = Json::array();
  for (const auto& change : planned.changes) {
    Json entry = std::visit(ToJson{}, change);
    entry["text"] = describe(change);
    changes.push_back(std::move(entry));
  }
  const Json document{{"changes", std::move(changes)}, {"notes", planned.notes}};
  // A guest's name may hold bytes that are no UTF-8.
  return document.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace vmt::cli
