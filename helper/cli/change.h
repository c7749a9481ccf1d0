// SPDX-License-Identifier: LGPL-2.1-or-later
// How does a command change something: lock, plan, tell, apply?
#pragma once

#include <boost/program_options/options_description.hpp>
#include <chrono>
#include <functional>

#include "helper/cli/command.h"
#include "lib/host_access.h"
#include "lib/rtnl_kernel.h"

namespace vmt::cli {

// For the lock: a hook holds it for some milliseconds.
inline constexpr std::chrono::milliseconds kPatience{5000};

using Planner = std::function<PlanResult(RtnlKernel&)>;
// Carries out what was planned; returns what failed.
using Applier = std::function<std::vector<Error>(Kernel&, std::span<const Change>)>;

void add_dry_run_option(boost::program_options::options_description& options);

// One line per change or "nothing to do" on stdout, the notes on stderr.
void show_plan(const Planned& planned);

// Plans and applies under the lock; prints each change that was made. With --dry-run it prints the plan and
// stops there, without the lock, so that an ordinary user can ask. The planner runs under the lock: it must
// not call libvirt, where a hook that waits for the lock may hold the domain. Returns the exit status.
int carry_out(const Planner& planner, const Arguments& arguments, const Applier& applier = apply_all);

}  // namespace vmt::cli
