// SPDX-License-Identifier: LGPL-2.1-or-later
#include "helper/cli/change.h"

#include <fmt/core.h>

#include <boost/program_options/value_semantic.hpp>

#include "lib/lock.h"
#include "lib/rtnl_kernel.h"

namespace vmt::cli {
namespace {

// Says what has been done, when it has been done.
class TellingKernel : public RtnlKernel {
 public:
  explicit TellingKernel(RtnlKernel kernel) : RtnlKernel(std::move(kernel)) {}

  Status apply(const Change& change) override {
    auto status = RtnlKernel::apply(change);
    if (status) fmt::print("{}\n", describe(change));
    has_told_ = has_told_ || status;
    return status;
  }
  bool has_told() const { return has_told_; }

 private:
  bool has_told_ = false;
};

int apply(RtnlKernel kernel, const Planned& planned, const Applier& applier) {
  warn(planned.notes);
  TellingKernel telling(std::move(kernel));
  int status = kFine;
  for (const auto& error : applier(telling, planned.changes)) status = report(error);
  if (status == kFine && !telling.has_told()) fmt::print("nothing to do\n");
  return status;
}

}  // namespace

void add_dry_run_option(boost::program_options::options_description& options) {
  options.add_options()("dry-run", boost::program_options::bool_switch(),
                        "print what would change, and change nothing");
}

void show_plan(const Planned& planned) {
  warn(planned.notes);
  if (planned.changes.empty()) fmt::print("nothing to do\n");
  for (const auto& change : planned.changes) fmt::print("{}\n", describe(change));
}

int carry_out(const Planner& planner, const Arguments& arguments, const Applier& applier) {
  const bool dry_run = arguments.options["dry-run"].as<bool>();
  std::optional<Lock> lock;
  if (!dry_run) {
    auto taken = Lock::take(kPatience);
    if (!taken) return report(taken.error());
    lock.emplace(std::move(*taken));
  }
  auto kernel = RtnlKernel::open();
  if (!kernel) return report(kernel.error());
  const auto planned = planner(*kernel);
  if (!planned) return report(planned.error());
  if (!dry_run) return apply(std::move(*kernel), *planned, applier);
  show_plan(*planned);
  return kFine;
}

}  // namespace vmt::cli
