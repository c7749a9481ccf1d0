// SPDX-License-Identifier: LGPL-2.1-or-later
// Doing: one change, one request. rtnl_kernel.cc has the other half.
#include <fmt/core.h>
#include <linux/neighbour.h>
#include <net/if.h>

#include <algorithm>

#include "lib/device_hint.h"
#include "lib/rtnl_device.h"
#include "lib/rtnl_kernel.h"
#include "lib/sysctl.h"

namespace vmt {

IfName RtnlKernel::name_on(unsigned parent) const {
  const auto it = names_.find(parent);
  return it == names_.end() ? shim_name(parent) : it->second;
}

std::string RtnlKernel::why_create_failed(const CreateShim& change, ErrorKind kind) {
  if (kind == ErrorKind::kExists)
    return "a link with this name or ifindex exists that is not ours; rename it or delete it";
  if (const auto parent = read_link(socket_, request::link_by_index(change.parent), "look up parent"))
    if (auto why = why_no_parent(socket_, *parent); !why.empty()) return why;
  const auto siblings = children();
  if (!siblings) return {};
  for (const auto& child : *siblings)
    if (child.parent == change.parent && child.mode == MacvlanMode::kPassthru)
      return fmt::format("{} is in passthru mode and has {} for itself", child.name.str(), change.parent_name.str());
  return {};
}

Status RtnlKernel::create(const CreateShim& change) {
  const IfName name = shim_name(change.parent);
  const std::string operation = fmt::format("create shim {} on {}", name.str(), change.parent_name.str());
  if (auto status = socket_.request(request::new_shim(change), operation); !status) {
    Error error = status.error();
    if (const auto why = why_create_failed(change, error.kind); !why.empty())
      error.message += fmt::format(" ({})", why);
    return fail(std::move(error));
  }
  return {};
}

Status RtnlKernel::finish(const FinishShim& change) {
  const unsigned index = shim_index(change.parent);
  const IfName name = name_on(change.parent);
  const auto ipv6 = write_shim_sysctls(name);
  if (!ipv6) return fail(ipv6.error());
  const std::string operation = fmt::format("set up shim {}", name.str());
  if (auto status = socket_.request(request::quiet_shim(index, *ipv6), operation); !status) return status;
  return socket_.request(request::finish_shim(index, change.role), operation);
}

// An entry that the kernel resolved by itself gives way; one that somebody made permanent does not.
Status RtnlKernel::pin(const AddNeighbour& change) {
  const unsigned shim = shim_index(change.parent);
  const std::string operation = describe(change);
  const auto message = request::new_neighbour(shim, change);
  auto status = socket_.request(message, operation);
  if (status || status.error().kind != ErrorKind::kExists) return status;
  auto present = neighbours(request::neighbour_at(shim, change.guest));
  const bool permanent = present && !present->empty() && (present->front().state & NUD_PERMANENT);
  if (permanent) {
    Error error = status.error();
    error.message += " (a permanent entry that is not ours exists; see `ip neigh`)";
    return fail(std::move(error));
  }
  nlmsg_hdr(message.get())->nlmsg_flags &= static_cast<std::uint16_t>(~NLM_F_EXCL);
  nlmsg_hdr(message.get())->nlmsg_flags |= NLM_F_REPLACE;
  return socket_.request(message, operation);
}

Status RtnlKernel::apply(const Change& change) {
  const auto on_shim = [&](unsigned parent, auto build) -> Status {
    return socket_.request(build(shim_index(parent)), describe(change));
  };
  struct Visitor {
    RtnlKernel& kernel;
    decltype(on_shim)& through;
    const Change& change;

    Status operator()(const CreateShim& c) const { return kernel.create(c); }
    Status operator()(const FinishShim& c) const { return kernel.finish(c); }
    Status operator()(const AddNeighbour& c) const { return kernel.pin(c); }
    Status operator()(const CreateDevice& c) const { return create_standing(kernel.socket_, c.spec, c.use); }
    Status operator()(const ChangeDevice& c) const { return change_device(kernel.socket_, c); }
    Status operator()(const DeleteDevices& c) const { return delete_devices(kernel.socket_, c.devices); }
    Status operator()(const DeleteShim& c) const {
      std::erase_if(kernel.names_, [&](const auto& entry) { return entry.second == c.name; });
      return kernel.socket_.request(request::delete_link(c.index), describe(change));
    }
    Status operator()(const AddAddress& c) const {
      return through(c.parent, [&](unsigned shim) { return request::new_address(shim, c.address); });
    }
    Status operator()(const DeleteAddress& c) const {
      return through(c.parent, [&](unsigned shim) { return request::delete_address(shim, c.address); });
    }
    Status operator()(const AddProxy& c) const {
      return through(c.parent, [&](unsigned shim) { return request::new_proxy(shim, c.address); });
    }
    Status operator()(const DeleteProxy& c) const {
      return through(c.parent, [&](unsigned shim) { return request::delete_proxy(shim, c.address); });
    }
    Status operator()(const DeleteNeighbour& c) const {
      return kernel.socket_.request(request::delete_neighbour(c.shim, c.guest), describe(change));
    }
    Status operator()(const AddMark& c) const {
      return through(c.parent, [&](unsigned shim) { return request::new_mark(shim, c); });
    }
    Status operator()(const DeleteMark& c) const {
      return kernel.socket_.request(request::delete_neighbour(c.shim, c.at), describe(change));
    }
    Status operator()(const DeleteRoute& c) const {
      return kernel.socket_.request(request::delete_route(c), describe(change));
    }
    Status operator()(const AddRoute& c) const {
      auto status = through(c.parent, [&](unsigned shim) { return request::new_route(shim, c); });
      if (status) return status;
      Error error = status.error();
      if (error.kind == ErrorKind::kFailed && !c.source.is_v4())
        error.message += " (the host's address may not be ready yet; run `virt-macvtap sync` when it is)";
      if (error.kind != ErrorKind::kExists) return fail(std::move(error));
      error.message += fmt::format(" (a route to it that is not ours exists; see `ip route show {}`)", c.guest.str());
      return fail(std::move(error));
    }
  };
  return std::visit(Visitor{*this, on_shim, change}, change);
}

}  // namespace vmt
