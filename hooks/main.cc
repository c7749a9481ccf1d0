// SPDX-License-Identifier: LGPL-2.1-or-later
// The libvirt hook, installed as /etc/libvirt/hooks/qemu.d/virt-macvtap.
//
// libvirt holds the domain's lock during the call and waits without a bound, so the call has one of its own (kDeadline)
// and never calls libvirt back. Its exit status is 0: at `started` and `reconnect` anything else kills a running guest,
// and at `start` a guest without host access is better than no guest. The one exception is `prepare` of a guest with a
// <target managed='no'> whose device our metadata places: without the device the guest cannot start, so when it could
// not be made the status is 1, and libvirt shows the user what stderr says. Nothing goes to stdout: at `migrate` and
// `restore` it would replace the domain's XML. libvirt drops stderr when the status is 0, so each line goes to syslog
// as well.
#include <fmt/core.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "hooks/event.h"
#include "lib/config_file.h"
#include "lib/devices.h"
#include "lib/host_access.h"
#include "lib/lock.h"
#include "lib/marked_stop.h"
#include "lib/rtnl_kernel.h"
#include "lib/standard_fds.h"
#include "lib/watcher_lock.h"
#include "xml/domain.h"

namespace {

constexpr unsigned kDeadline = 10;                    // seconds for the whole call
constexpr std::chrono::milliseconds kPatience{5000};  // of these, for the lock

// 1 while a device is due that the guest cannot start without. Whatever ends the call, this is what libvirt gets.
volatile sig_atomic_t exit_status = 0;

// Never blocks: a pipe that is full and that nobody reads must not hold up a guest, not even under the lock. A pipe
// that polls as writable takes PIPE_BUF bytes.
void tell(std::string_view line) {
  pollfd out{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (poll(&out, 1, 0) != 1) return;
  [[maybe_unused]] const ssize_t written =
      ::write(STDERR_FILENO, line.data(), std::min<std::size_t>(line.size(), PIPE_BUF));
}

void log(std::string_view line) {
  tell(fmt::format("virt-macvtap: {}\n", line));
  openlog("virt-macvtap", LOG_PID, LOG_DAEMON);
  syslog(LOG_WARNING, "%.*s", static_cast<int>(line.size()), line.data());
}

void at_deadline(int) {
  tell("virt-macvtap: hook: gave up after 10 s; run `virt-macvtap sync`\n");
  _exit(exit_status);
}

std::expected<std::string, vmt::Error> read_stdin() {
  std::string text;
  std::size_t size = 0;
  for (;;) {
    text.resize(std::max<std::size_t>(2 * size, 8 * 1024));
    const ssize_t got = ::read(STDIN_FILENO, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return vmt::fail(vmt::errno_error(errno, "read the domain XML from stdin"));
    size += static_cast<std::size_t>(got);
    text.resize(size);
    // Over the limit the parser says so; the rest stays unread, which libvirt does not mind.
    if (got == 0 || size > vmt::kMaxDomainXml) return text;
  }
}

vmt::Config config_or_defaults() {
  auto config = vmt::read_config();
  if (config) return std::move(*config);
  log(config.error().message + "; using the defaults");
  return {};
}

// False when something was not done, which has been said then.
bool carry_out(vmt::Kernel& kernel, const vmt::PlanResult& planned) {
  if (!planned) {
    log(planned.error().message);
    return false;
  }
  for (const auto& note : planned->notes) log(note);
  const auto errors = vmt::apply_all(kernel, planned->changes);
  for (const auto& error : errors) log(error.message);
  return errors.empty();
}

bool awaits_device(const vmt::Guest& guest) {
  return std::ranges::any_of(guest.nics, [](const vmt::Nic& nic) {
    const auto* source = std::get_if<vmt::PremadeSource>(&nic.source);
    return source != nullptr && source->wanted;
  });
}

vmt::PlanResult plan_end(vmt::Kernel& kernel, const vmt::Guest& guest) {
  const bool watched = vmt::running_watcher().has_value();
  const auto idle = watched ? vmt::IdleShims::kStay : vmt::IdleShims::kGo;
  if (watched || !vmt::has_had_watcher()) {
    auto marked = vmt::plan_marked_stop(kernel, guest, config_or_defaults(), idle);
    if (marked && *marked) return std::move(**marked);
  }
  return vmt::plan_stop(kernel, guest, idle);
}

void act(vmt::HookAction action, vmt::Kernel& kernel, const vmt::Guest& guest) {
  switch (action) {
    case vmt::HookAction::kPrepare:
      // In this order: an idle shim keeps a passthru device from being made.
      carry_out(kernel, vmt::plan_make_way(kernel, guest));
      if (carry_out(kernel, vmt::plan_devices_for(kernel, guest))) exit_status = 0;
      break;
    case vmt::HookAction::kStart:
      carry_out(kernel, vmt::plan_start(kernel, guest, config_or_defaults()));
      break;
    case vmt::HookAction::kStop:
      // In this order: with its device the guest's parent would be forgotten.
      carry_out(kernel, plan_end(kernel, guest));
      carry_out(kernel, vmt::plan_devices_gone(kernel, guest));
      break;
    case vmt::HookAction::kNothing:
      break;
  }
}

vmt::Status handle(vmt::HookAction action) {
  auto text = read_stdin();
  if (!text) return vmt::fail(text.error());
  auto domain = vmt::parse_domain(std::move(*text));
  if (!domain) return vmt::fail(domain.error());
  for (const auto& note : domain->notes) log(note);
  if (domain->guest.nics.empty()) return {};
  if (action == vmt::HookAction::kPrepare && awaits_device(domain->guest)) exit_status = 1;
  const auto lock = vmt::Lock::take(kPatience);
  if (!lock) return vmt::fail(lock.error());
  auto kernel = vmt::RtnlKernel::open();
  if (!kernel) return vmt::fail(kernel.error());
  act(action, *kernel, domain->guest);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const auto action = argc > 2 ? vmt::hook_action(argv[2]) : vmt::HookAction::kNothing;
  // Session daemons run the same hooks as the user: not our business, and a word would be one too many.
  if (action == vmt::HookAction::kNothing || geteuid() != 0 || !vmt::fill_standard_fds()) return 0;
  signal(SIGALRM, at_deadline);
  signal(SIGPIPE, SIG_IGN);
  alarm(kDeadline);
  try {
    if (const auto status = handle(action); !status) log(status.error().message);
  } catch (const std::exception& error) {
    log(fmt::format("hook: {}", error.what()));
  }
  // Nothing to flush; taking down libstdc++'s locales would cost more than parsing the domain.
  _exit(exit_status);
}
