// SPDX-License-Identifier: LGPL-2.1-or-later
// qemu-macvtap-helper: a drop-in for qemu-bridge-helper that gives a macvtap instead of a port on a bridge. Any user
// may start it, with any arguments, environment, fds and limits; this is what it does with its privileges.
//
//   phase        permitted                              effective              gives up
//   1 start      whatever the file gives it (setuid root, or file capabilities)  the environment
//   2 shed       NET_ADMIN SYS_ADMIN DAC_OVERRIDE       none                   root and every other capability, core
//                NET_RAW CHOWN                                                 dumps, ptrace, exec
//   3 authorise  as before                              none                   nothing; the list is read as the user
//   4 create     as before                              all five               nothing
//   5 hand over  none                                   none                   everything; a failure does, too
//   6 adopt      none; a child, only while the guest's MAC is unknown          all fds but three
//
// In phase 4 NET_ADMIN creates the device on the parent and sets it up, SYS_ADMIN makes the network namespace it lives
// in, DAC_OVERRIDE opens its node in /dev (root's, 0600) and the lock for max=, which CHOWN makes root's, and NET_RAW
// opens the socket that shows the guest's first frame. No environment, no exec, no XML, no name service, no plug-in is
// ever looked at.
//
// It is installed setuid root: the mode bit survives tar, NFS and package managers, which file capabilities do not, and
// an administrator finds it with one look. Phase 2 makes both alike.
#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <exception>
#include <span>
#include <string>
#include <vector>

#include "helper/tap/acl_file.h"
#include "helper/tap/adopt.h"
#include "helper/tap/arguments.h"
#include "helper/tap/handover.h"
#include "helper/tap/privileges.h"
#include "helper/tap/quota.h"
#include "lib/parent_check.h"
#include "lib/rtnl_request.h"
#include "lib/self_removing.h"
#include "lib/standard_fds.h"

namespace vmt::tap {
namespace {

constexpr unsigned kDeadline = 30;  // seconds; hundreds may be waiting for the kernel's one lock
constexpr std::array<cap_value_t, 5> kCapabilities = {CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_DAC_OVERRIDE, CAP_NET_RAW,
                                                      CAP_CHOWN};

// Before any library's initialiser runs: libnl's look at NLCB, NLDBG and, where they are linked, at names of files.
void forget_environment(int, char**, char** environment) {
  environment[0] = nullptr;
}
[[gnu::section(".preinit_array"), gnu::used]] void (*const kBeforeAll)(int, char**, char**) = forget_environment;

constexpr std::string_view kHelp = R"(Usage: qemu-macvtap-helper [--use-vnet] --br=PARENT[/MAC][/MODE] --fd=N

Gives QEMU a macvtap on the link PARENT, in the place of qemu-bridge-helper. Not started by hand:

  qemu-system-x86_64 ... -netdev bridge,id=n0,br=eth0,helper=/usr/bin/qemu-macvtap-helper
  <interface type='bridge'><source bridge='eth0'/></interface>    (qemu:///session, bridge_helper in qemu.conf)

With the guest's MAC in the name, as in br=eth0/52:54:00:12:34:56, it is set from the start; without, the guest's first
frame tells it. MODE is bridge (the default), vepa, private, passthru or source. The device goes when QEMU does.

Who may do what is written in /etc/qemu/macvtap.conf; without it, nobody may do anything:

  allow eth0
  allow eth1 user=alice mode=bridge,vepa mac=52:54:00 max=4
)";

// One write, and no memory: there may be none left.
void say(std::string_view line) {
  std::array parts{iovec{const_cast<char*>("qemu-macvtap-helper: "), 21},
                   iovec{const_cast<char*>(line.data()), line.size()}, iovec{const_cast<char*>("\n"), 1}};
  [[maybe_unused]] const ssize_t written = writev(STDERR_FILENO, parts.data(), parts.size());
}

void at_deadline(int) {
  constexpr std::string_view kText = "qemu-macvtap-helper: gave up after 30 s\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kText.data(), kText.size());
  _exit(1);
}

// The caller's blocked and ignored signals would disarm the deadline.
void set_up_signals() {
  sigset_t none;
  sigemptyset(&none);
  signal(SIGALRM, at_deadline);
  signal(SIGPIPE, SIG_IGN);  // what cannot be written is an error with a line
  sigprocmask(SIG_SETMASK, &none, nullptr);
  alarm(kDeadline);
}

std::vector<gid_t> groups_of_caller() {
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(getgroups(0, nullptr), 0)));
  const int count = getgroups(static_cast<int>(groups.size()), groups.data());
  groups.resize(static_cast<std::size_t>(std::max(count, 0)));
  groups.push_back(getgid());
  return groups;
}

std::expected<Allowed, Error> authorise(const Request& request, const IfName& parent) {
  const auto acl = read_acl();
  if (!acl) return fail(acl.error());
  const auto groups = groups_of_caller();
  return acl->authorise({parent, getuid(), groups, request.mode, request.mac});
}

struct Made {
  SelfRemoving device;
  Fd frames;  // of a guest whose MAC is unknown
};

// Phase 4.
std::expected<Made, Error> create(RtnlSocket& socket, const Request& request, const ParentLink& parent,
                                  const Allowed& allowed, bool vnet_header) {
  if (auto status = raise(kCapabilities); !status) return fail(status.error());
  const auto place = allowed.max ? Quota::take(getuid(), *allowed.max) : Quota{};
  if (!place) return fail(place.error());
  const DeviceSpec spec{.name = parent.name,
                        .parent = parent.index,
                        .parent_name = parent.name,
                        .mode = request.mode,
                        .mac = request.mac,
                        .mtu = {},
                        .bc_queue_length = {},
                        .allowed = {},
                        .owner = {}};
  Fd frames;
  const auto listen = [&](const SelfRemoving& device) -> Status {
    if (request.mac || request.mode == MacvlanMode::kPassthru) return {};
    auto opened = guest_frames(device.index);
    if (!opened) return fail(opened.error());
    frames = std::move(*opened);
    return {};
  };
  auto device = create_self_removing(socket, spec, getuid(), {.queues = 1, .vnet_header = vnet_header}, listen);
  if (!device) return fail(device.error());
  return Made{std::move(*device), std::move(frames)};
}

// Phases 5 and 6.
Status hand_over(const Fd& peer, const Made& made) {
  if (auto status = drop_all(); !status) return status;
  const Fd& tap = made.device.queues.front();
  if (!made.frames) return send_tap(peer, tap.get());
  const auto owner = peer_process(peer);
  if (!owner) return fail(owner.error());
  // Before the tap is sent: a failure must not leave QEMU with a tap whose MAC nobody will set.
  const auto adoption = Adoption::prepare(tap, made.frames, *owner);
  if (!adoption) return fail(adoption.error());
  if (auto status = send_tap(peer, tap.get()); !status) return status;
  return adoption->start();
}

Status serve(const Arguments& arguments) {
  const auto peer = peer_socket(arguments.fd);
  if (!peer) return fail(peer.error());
  const Request& request = *arguments.request;
  auto socket = RtnlSocket::open();
  if (!socket) return fail(socket.error());
  // By the kernel's own name of it: the list must not be evaded by an alternative one.
  const auto parent = check_parent(*socket, request.parent);
  if (!parent) return fail(parent.error());
  const auto allowed = authorise(request, parent->name);
  if (!allowed) return fail(allowed.error());
  const auto made = create(*socket, request, *parent, *allowed, arguments.vnet_header);
  if (!made) return fail(made.error());
  if (auto status = hand_over(*peer, *made); !status) return status;
  for (const auto& note : parent->notes) say(note);
  return {};
}

int run(std::span<const char* const> words) {
  if (auto status = become_caller(kCapabilities); !status) {
    // Whoever only asks for help needs no privilege.
    const auto arguments = parse_arguments(words);
    if (!arguments || !(arguments->help || arguments->version)) {
      say(status.error().message);
      return 1;
    }
  }
  const auto arguments = parse_arguments(words);
  if (!arguments) {
    say(arguments.error().message);
    return 1;
  }
  if (arguments->help) fmt::print("{}", kHelp);
  if (arguments->version) fmt::print("qemu-macvtap-helper {}\n", VMT_VERSION);
  if (arguments->help || arguments->version) return 0;
  const auto status = serve(*arguments);
  if (!status) {
    // Where it says so is the caller's choice: what is written there is written with his rights.
    if (!drop_all()) return 1;
    say(status.error().message);
  }
  return status ? 0 : 1;
}

}  // namespace
}  // namespace vmt::tap

int main(int argc, char** argv) {
  using namespace vmt::tap;
  if (!vmt::fill_standard_fds()) return 1;
  set_up_signals();
  int status = 1;
  try {
    status = run(std::span<const char* const>(argv + (argc > 0 ? 1 : 0), argv + argc));
  } catch (const std::exception& error) {
    say(error.what());
  }
  std::fflush(stdout);
  // Nothing else to take down: the kernel closes what is open, and a child of ours may still be waiting for a frame.
  _exit(status);
}
