// SPDX-License-Identifier: LGPL-2.1-or-later
// How does host access follow the guests by itself: `watch`?
#include <boost/asio/io_context.hpp>
#include <csignal>

#include "helper/cli/command.h"
#include "helper/watch/service.h"
#include "helper/watch/signals.h"
#include "helper/watch/watcher.h"
#include "lib/watcher_lock.h"

namespace vmt::cli {
namespace {

constexpr std::string_view kAbout =
    R"(Stays, and lets the host and all its bridge-mode macvtap guests talk to each other, whoever made them: libvirt, `exec`,
`create`, or a hot-plug that no hook hears of. It learns their addresses from what they say themselves (ARP, neighbour
discovery, DHCP), so nothing has to be configured; addresses in a domain's metadata or in the configuration come first. Usually
`systemctl enable --now virt-macvtap-watch` starts it.

It keeps no state: it may be stopped and started at any time, and guests keep what they have meanwhile. SIGHUP makes it
read the configuration again.
)";

}  // namespace

int run_watch(const Command& command, const Words& words) {
  Syntax syntax{.about = kAbout};
  add_config_option(syntax.options);
  const auto arguments = parse(command, syntax, words);
  if (!arguments) return arguments.error();
  auto first = config_of(*arguments);
  if (!first) return report(first.error());
  if (const auto status = watch::check_permission(); !status) return report(status.error());
  const auto only = OnlyWatcher::take();
  if (!only) return report(only.error());

  boost::asio::io_context io;
  // A signal is looked at when the watcher is there.
  std::unique_ptr<watch::Watcher> watcher;
  constexpr int kSignals[] = {SIGTERM, SIGINT, SIGHUP};
  const auto signals = watch::Signals::open(io, kSignals, [&](int signal) {
    if (signal == SIGHUP)
      watcher->reload();
    else
      io.stop();
  });
  if (!signals) return report(signals.error());
  // A file that was fine at the start and cannot be read later: what was in force stays.
  const auto read_config = [&, last = std::move(*first)]() mutable {
    if (auto config = config_of(*arguments))
      last = std::move(*config);
    else
      warn(config.error().message + "; the configuration so far stays in force");
    return last;
  };
  auto started = watch::Watcher::start(io, read_config, [](std::string_view line) { warn(line); });
  if (!started) return report(started.error());
  watcher = std::move(*started);
  if (const auto status = watch::notify("READY=1"); !status) warn(status.error().message);
  io.run();
  watcher->finish();
  // Whoever stopped us may not listen any more.
  [[maybe_unused]] const auto status = watch::notify("STOPPING=1");
  return kFine;
}

}  // namespace vmt::cli
