// SPDX-License-Identifier: LGPL-2.1-or-later
// How does any VMM get its taps: `exec`?
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <cerrno>
#include <cstring>

#include "helper/cli/account.h"
#include "helper/cli/change.h"
#include "helper/cli/command.h"
#include "helper/cli/nic_option.h"
#include "helper/cli/placeholders.h"
#include "lib/devices.h"
#include "lib/lock.h"
#include "lib/parent_check.h"
#include "lib/rtnl_kernel.h"
#include "lib/self_removing.h"

namespace po = boost::program_options;

namespace vmt::cli {
namespace {

// As env(1) and the shells have it.
constexpr int kCannotRun = 126;
constexpr int kNotFound = 127;

constexpr std::string_view kAbout =
    R"(Makes a macvtap for each --nic, opens its tap, and becomes COMMAND, which inherits the open tap: it needs no
privilege to use it. The device goes when the last process that holds the tap has ended, however it ended.

  virt-macvtap exec --nic parent=eth0,mac=52:54:00:12:34:56 -- \
    qemu-system-x86_64 ... -netdev tap,id=n0,fds={0.fds},vhostfds={0.vhostfds} -device virtio-net-pci,netdev=n0,mac={0.mac}

In COMMAND's arguments {0.fd} is the first NIC's tap, {0.fds} all its queues (7:8:9), {0.vhostfds} as many of
/dev/vhost-net, {0.mac} its MAC and {0.ifname} its name; {1.fd} the second NIC's, and so on. {{ is a brace. An option
with {N.vhostfds} is left out where there is no vhost.

--nic takes, with commas between them:
  parent=LINK           the link to be on, required
  mac=MAC               default: random; auto:NAME makes one from NAME, the same every time
  mode=MODE             bridge (default), vepa, private, passthru or source
  queues=N              1 to 256 (default 1)
  vhost=auto|on|off     default auto: where /dev/vhost-net is there and the command has {N.vhostfds}
  mtu=N, bcqueuelen=N, nopromisc=on (passthru), allow-mac=MAC (source, repeatable)
  name=NAME             with --standing

Other VMMs that take a tap's fd: cloud-hypervisor --net fd={0.fd},mac={0.mac}; crosvm --net tap-fd={0.fd}.
Exit status: COMMAND's own; 126 and 127 when it cannot be run or found.
)";

struct Wanted {
  std::vector<NicOption> nics;
  std::set<Placeholder> used;
  Words command;
  bool standing = false;
  std::optional<Account> user;
};

// A device while the command has not taken it over.
struct Made {
  std::vector<Fd> queues;
  std::vector<Fd> vhost;
  Values values;
};

Status check_use(const Wanted& wanted, std::size_t i) {
  const NicOption& nic = wanted.nics[i];
  const bool fd = wanted.used.contains({i, Field::kFd});
  if (!fd && !wanted.used.contains({i, Field::kFds}))
    return fail(
        invalid(fmt::format("nothing in the command takes the tap of --nic number {}: put {{{}.fd}} where it "
                            "expects the number of the tap's file descriptor, as in -netdev tap,id=n0,fd={{{}.fd}}",
                            i, i, i)));
  if (fd && nic.queues > 1)
    return fail(invalid(fmt::format("{{{}.fd}} is one of {} queues; use {{{}.fds}}", i, nic.queues, i)));
  if (nic.vhost == Vhost::kOn && !wanted.used.contains({i, Field::kVhostFds}))
    return fail(invalid(fmt::format("vhost=on, but nothing in the command takes {{{}.vhostfds}}", i)));
  if (nic.name && !wanted.standing)
    return fail(invalid("name= is for --standing: another device is alone in its network namespace"));
  if (wanted.standing && !nic.name) return fail(invalid("--standing needs a name= in each --nic"));
  DeviceSpec spec = spec_of(nic);
  if (!spec.mac && spec.mode != MacvlanMode::kPassthru) spec.mac = random_mac();
  return check(spec);
}

Status check_differ(const Wanted& wanted) {
  std::set<IfName> names;
  std::set<std::pair<IfName, MacAddress>> macs;  // with the parent's name
  for (const NicOption& nic : wanted.nics) {
    if (nic.name && !names.insert(*nic.name).second)
      return fail(invalid(fmt::format("name={} is given to two --nic", nic.name->str())));
    const auto mac = spec_of(nic).mac;
    if (mac && !macs.emplace(nic.parent, *mac).second)
      return fail(invalid(fmt::format("mac={} is given to two --nic on {}", mac->str(), nic.parent.str())));
  }
  return {};
}

Status check_use(const Wanted& wanted) {
  if (wanted.command.empty()) return fail(invalid("no command behind `--`"));
  if (wanted.nics.empty()) return fail(invalid("--nic is missing"));
  for (std::size_t i = 0; i < wanted.nics.size(); ++i)
    if (auto status = check_use(wanted, i); !status) return status;
  if (auto status = check_differ(wanted); !status) return status;
  for (const auto& placeholder : wanted.used)
    if (placeholder.nic >= wanted.nics.size())
      return fail(invalid(fmt::format("the command has {{{}.…}}, but there {} {} --nic", placeholder.nic,
                                      wanted.nics.size() == 1 ? "is" : "are", wanted.nics.size())));
  return {};
}

std::expected<Wanted, Error> understand(const Arguments& arguments, Words command) {
  Wanted wanted{.nics = {}, .used = {}, .command = std::move(command), .user = {}};
  wanted.standing = arguments.options["standing"].as<bool>();
  if (arguments.options.count("nic"))
    for (const auto& text : arguments.options["nic"].as<Words>()) {
      auto nic = parse_nic_option(text);
      if (!nic) return fail(nic.error());
      wanted.nics.push_back(std::move(*nic));
    }
  auto used = placeholders_in(wanted.command);
  if (!used) return fail(used.error());
  wanted.used = std::move(*used);
  if (arguments.options.count("user")) {
    auto user = Account::parse(arguments.options["user"].as<std::string>());
    if (!user) return fail(user.error());
    wanted.user = std::move(*user);
  }
  if (auto status = check_use(wanted); !status) return fail(status.error());
  return wanted;
}

std::expected<std::vector<Fd>, Error> open_vhost(const NicOption& nic, bool has_use) {
  constexpr const char* kPath = "/dev/vhost-net";
  std::vector<Fd> fds;
  if (nic.vhost == Vhost::kOff || !has_use) return fds;
  for (unsigned i = 0; i < nic.queues; ++i) {
    Fd fd(::open(kPath, O_RDWR | O_CLOEXEC));
    if (!fd && nic.vhost == Vhost::kAuto && fds.empty()) return fds;
    if (!fd) return fail(errno_error(errno, fmt::format("open {} (vhost=auto does without)", kPath)));
    fds.push_back(std::move(fd));
  }
  return fds;
}

// The tap and what is known of it; a standing device stays when the fd is closed.
std::expected<Made, Error> open_device(RtnlSocket& socket, DeviceSpec spec, const NicOption& nic, bool standing) {
  const TapOptions options{.queues = nic.queues, .vnet_header = true};
  Made made;
  if (!standing) {
    auto device = create_self_removing(socket, spec, getuid(), options);
    if (!device) return fail(device.error());
    made.queues = std::move(device->queues);
    spec.name = device->name;
    spec.mac = device->mac;
  } else {
    auto queues = open_queues(spec.name, spec.index, options);
    if (!queues) return fail(queues.error());
    made.queues = std::move(*queues);
  }
  made.values.ifname = spec.name.str();
  made.values.mac = spec.mac ? spec.mac->str() : std::string{};
  return made;
}

std::vector<int> numbers_of(const std::vector<Fd>& fds) {
  std::vector<int> numbers;
  for (const auto& fd : fds) numbers.push_back(fd.get());
  return numbers;
}

std::expected<Made, Error> make(RtnlKernel& kernel, const Wanted& wanted, std::size_t i,
                                std::vector<IfName>& standing) {
  const NicOption& nic = wanted.nics[i];
  const auto parent = check_parent(kernel.socket(), nic.parent);
  if (!parent) return fail(parent.error());
  warn(parent->notes);
  DeviceSpec spec = spec_of(nic);
  spec.parent = parent->index;
  if (wanted.standing) {
    spec.index = unique_index();
    if (!spec.mac && spec.mode != MacvlanMode::kPassthru) spec.mac = random_mac();
    const auto planned = plan_create(kernel, std::span(&spec, 1));
    if (!planned) return fail(planned.error());
    for (const auto& error : apply_all(kernel, planned->changes)) return fail(error);
    standing.push_back(spec.name);
  }
  auto made = open_device(kernel.socket(), spec, nic, wanted.standing);
  if (!made) return fail(made.error());
  auto vhost = open_vhost(nic, wanted.used.contains({i, Field::kVhostFds}));
  if (!vhost) return fail(vhost.error());
  made->vhost = std::move(*vhost);
  made->values.fds = numbers_of(made->queues);
  made->values.vhost_fds = numbers_of(made->vhost);
  // A passthru device has its parent's.
  if (made->values.mac.empty())
    if (const auto link = kernel.parent(parent->index, no_suspects())) made->values.mac = link->mac.str();
  return made;
}

// Returns only when it failed.
int become_command(const Wanted& wanted, std::span<const Made> made) {
  std::vector<Values> values;
  for (const auto& device : made) values.push_back(device.values);
  Words words;
  for (const auto& argument : wanted.command) {
    auto word = expand(argument, values);
    if (!word) return report(word.error());
    words.push_back(std::move(*word));
  }
  if (wanted.user)
    if (auto status = become(*wanted.user); !status) return report(status.error());
  for (const auto& device : made)
    for (const auto* fds : {&device.queues, &device.vhost})
      for (const auto& fd : *fds) fcntl(fd.get(), F_SETFD, 0);
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  const int why = errno;
  report(Error{ErrorKind::kFailed, fmt::format("run {}{}: {}", words[0], wanted.user ? " as " + wanted.user->name : "",
                                               std::strerror(why))});
  return why == ENOENT ? kNotFound : kCannotRun;
}

// The standing devices of a command that could not be run.
void undo(RtnlKernel& kernel, std::span<const IfName> standing) {
  const auto planned = plan_delete(kernel, standing);
  if (!planned) return void(report(planned.error()));
  for (const auto& error : apply_all(kernel, planned->changes)) report(error);
}

int run(const Wanted& wanted) {
  std::optional<Lock> lock;
  if (wanted.standing) {
    auto taken = Lock::take(kPatience);
    if (!taken) return report(taken.error());
    lock.emplace(std::move(*taken));
  }
  auto kernel = RtnlKernel::open();
  if (!kernel) return report(kernel.error());
  std::vector<Made> made;
  std::vector<IfName> standing;
  int status = kFine;
  for (std::size_t i = 0; status == kFine && i < wanted.nics.size(); ++i) {
    auto device = make(*kernel, wanted, i, standing);
    if (device)
      made.push_back(std::move(*device));
    else
      status = report(device.error());
  }
  if (status == kFine) status = become_command(wanted, made);
  undo(*kernel, standing);
  return status;
}

}  // namespace

int run_exec(const Command& command, const Words& words) {
  const auto dashes = std::ranges::find(words, "--");
  const Words options(words.begin(), dashes);
  Syntax syntax{.about = kAbout};
  syntax.options.add_options()("nic", po::value<Words>()->value_name("KEY=VALUE,..."), "a macvtap; may be repeated")(
      "user", po::value<std::string>()->value_name("USER[:GROUP]"), "who the command is to run as")(
      "standing", po::bool_switch(), "leave the device in this network namespace, until `virt-macvtap delete`");
  const auto arguments = parse(command, syntax, options);
  if (!arguments) return arguments.error();
  const auto wanted = understand(*arguments, dashes == words.end() ? Words{} : Words(dashes + 1, words.end()));
  if (!wanted)
    return wanted.error().kind == ErrorKind::kInvalid ? misused(command.name, wanted.error().message)
                                                      : report(wanted.error());
  return run(*wanted);
}

}  // namespace vmt::cli
