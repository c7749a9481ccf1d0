// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/crash/cases.h"

#include <algorithm>

namespace vmt::crash {
namespace {

const std::string kMac = "52:54:00:12:34:56";

Program hook(const std::string& guest, const std::string& operation) {
  return {.words = {VMT_BINARY_DIR "/virt-macvtap-hook", guest, operation, "begin", "-"},
          .input = std::string(VMT_TEST_DATA "/domain/") + guest + "/" + operation + ".xml"};
}

Program command(std::vector<std::string> words) {
  words.insert(words.begin(), VMT_BINARY_DIR "/virt-macvtap");
  return {.words = std::move(words)};
}

Program helper(const std::string& br) {
  return {.words = {VMT_BINARY_DIR "/qemu-macvtap-helper", "--br=" + br, "--fd=3"}};
}

Program exec(const std::string& nic, bool standing = false) {
  std::vector<std::string> words = {"exec", "--nic", "parent=eth0,mac=" + kMac + nic};
  if (standing) words.insert(words.begin() + 1, "--standing");
  words.insert(words.end(), {"--", VMT_CRASH_TESTS, "--probe", "{0.fds}"});
  return command(words);
}

Program watch(Program::Counted counted) {
  Program program = command({"watch", "--config", "/run/virt-macvtap.conf"});
  program.counted = counted;
  return program;
}

const Program kClean = command({"clean"});
const Program kSync = command({"sync", "--connect", "test:///run/node.xml"});
const Program kHostUp = command({"host", "up", "eth0", "--guest", "192.0.2.61=52:54:00:12:34:61", "--guest",
                                 "2001:db8:1::61=52:54:00:12:34:61", "--address", "192.0.2.60/32"});
const Program kCreate = command({"create", "tap-a", "--parent", "eth0", "--mac", kMac, "--owner", "daemon"});
const Program kCreateTwo =
    command({"create", "tap-a", "tap-b", "--parent", "eth0", "--mode", "vepa", "--type", "macvlan"});
const Program kDeleteTwo = command({"delete", "tap-a", "tap-b"});

// The guest that libvirt's test driver runs is `static`; the one of whom there are only remains is `placed`.
constexpr const char* kNode = R"(cat >/run/node.xml <<'EOF'
<node><domain type='test'><name>static</name><uuid>7c0c2d5e-0d4c-4b7e-8f57-525400123451</uuid><memory>1024</memory>
<os><type>hvm</type></os><metadata><vmt:host-access xmlns:vmt='urn:virt-macvtap:host-access:1'>
<vmt:nic mac='52:54:00:12:34:56'><vmt:address>192.0.2.61</vmt:address><vmt:address>2001:db8:1::61</vmt:address></vmt:nic>
</vmt:host-access></metadata><devices><interface type='direct'><mac address='52:54:00:12:34:56'/>
<source dev='eth0' mode='bridge'/></interface></devices></domain></node>
EOF
)";
constexpr const char* kAcl = R"(mkdir -p /run/upper/qemu /run/work && chmod 755 /run/upper /run/upper/qemu
if [ -d /etc/qemu ]; then mount -t tmpfs -o mode=755 tmpfs /etc/qemu
else mount -t overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work overlay /etc; fi
echo 'allow eth0 max=3' >/etc/qemu/macvtap.conf && chmod 644 /etc/qemu/macvtap.conf
)";
// No index that another namespace has: /dev/tapN is one for all.
constexpr const char* kGuest =
    "ip link add link eth0 name macvtap0 index $((1000001 + $$ % 1000000 * 1000)) address 52:54:00:12:34:56 type "
    "macvtap mode "
    "bridge && echo 1 >/proc/sys/net/ipv6/conf/macvtap0/disable_ipv6 && ip link set macvtap0 up\n";

// Their MACs are random, and so would be the addresses that the kernel makes of them.
constexpr const char* kNoLinkLocal = "echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode\n";

bool has_route(const State& state) {
  return std::ranges::any_of(state.ours, [](const std::string& line) {
    return line.find(" route ") != std::string::npos && line.find("1=c000023d") != std::string::npos;
  });
}

using Manner = Case::Manner;

// At `stopped`, as at each operation that is not ours, the hook makes no call that could be hurt (unit/event_test).
std::vector<Case> make_hook_cases() {
  return {
      {.name = "prepare", .target = hook("placed", "prepare"), .undo = {kClean}, .manner = Manner::kDeviceHook},
      {.name = "start", .target = hook("static", "start"), .undo = {kClean}, .manner = Manner::kHook},
      // The guest goes again, whatever has become of its start. Another one keeps the shim.
      {.name = "start-release",
       .before = {hook("placed", "prepare"), hook("placed", "start")},
       .target = hook("static", "start"),
       .again = {hook("static", "release")},
       .again_undoes = true,
       .undo = {kClean},
       .manner = Manner::kHook},
      {.name = "prepare-release",
       .target = hook("placed", "prepare"),
       .again = {hook("placed", "release")},
       .again_undoes = true,
       .undo = {kClean},
       .manner = Manner::kDeviceHook},
      // A shim that is there already, with another guest's.
      {.name = "reconnect",
       .before = {hook("placed", "prepare"), hook("placed", "start")},
       .target = hook("static", "reconnect"),
       .undo = {kClean},
       .manner = Manner::kHook},
      // The last one, which takes the shim along.
      {.name = "release-last",
       .before = {hook("static", "start")},
       .target = hook("static", "release"),
       .undo = {kClean},
       .manner = Manner::kHook},
      {.name = "release",
       .before = {hook("static", "start"), hook("placed", "prepare"), hook("placed", "start")},
       .target = hook("placed", "release"),
       .undo = {kClean},
       .manner = Manner::kHook},
  };
}

std::vector<Case> make_command_cases() {
  return {
      {.name = "sync",
       .world = kNode,
       .before = {hook("placed", "prepare"), hook("placed", "start")},
       .target = kSync,
       .undo = {kClean}},
      {.name = "clean",
       .before = {hook("static", "start"), hook("placed", "prepare"), hook("placed", "start"), kCreate, kHostUp},
       .target = kClean,
       .undo = {kClean}},
      {.name = "create", .target = kCreate, .undo = {command({"delete", "tap-a"})}},
      // Two: a crash between them leaves the first complete, which `create` does not take for its own.
      {.name = "create-two",
       .world = kNoLinkLocal,
       .target = kCreateTwo,
       .again = {kClean, kCreateTwo},
       .undo = {kDeleteTwo}},
      // A call that failed has deleted what it could; a name that is gone is then refused, and the others with it.
      {.name = "delete",
       .world = kNoLinkLocal,
       .before = {kCreateTwo},
       .target = kDeleteTwo,
       .again = {kDeleteTwo, command({"delete", "tap-a"}), command({"delete", "tap-b"})},
       .undo = {kClean}},
      {.name = "host-up", .target = kHostUp, .undo = {command({"host", "down", "eth0"})}},
      {.name = "host-down",
       .before = {hook("static", "start"), command({"host", "up", "eth0", "--guest", "192.0.2.77"})},
       .target = command({"host", "down", "eth0"}),
       .undo = {kClean}},
  };
}

std::vector<Case> make_device_cases() {
  const auto with_qemu = [](const Reached&) { return qemu(kMac); };
  return {
      {.name = "exec", .target = exec(",queues=2"), .undo = {kClean}, .compare_output = true},
      {.name = "exec-standing",
       .target = exec(",name=tap-a", true),
       .again = {kClean, exec(",name=tap-a", true)},
       .undo = {command({"delete", "tap-a"})},
       .compare_output = true},
      {.name = "helper",
       .world = kAcl,
       .target = helper("eth0/" + kMac),
       .undo = {kClean},
       .compare_output = true,
       .companion = with_qemu},
      // The MAC is learned from the guest's first frame, by a process that is left behind for it.
      {.name = "helper-adopts",
       .world = kAcl,
       .target = helper("eth0"),
       .undo = {kClean},
       .compare_output = true,
       .companion = with_qemu},
  };
}

std::vector<Case> make_watch_cases() {
  const std::string given =
      std::string("printf '[guest web]\\n") + kMac + " = 192.0.2.61\\n' >/run/virt-macvtap.conf\n";
  return {
      {.name = "watch",
       .world = kGuest + given,
       .target = watch(Program::Counted::kUntilReady),
       .undo = {kClean},
       .companion = [](const Reached& done) { return service_manager(done, false); },
       .at_a_glance = has_route},
      {.name = "watch-learns",
       .world = std::string(kGuest) + ": >/run/virt-macvtap.conf\n",
       .target = watch(Program::Counted::kFromReady),
       .undo = {kClean},
       .companion = [](const Reached& done) { return service_manager(done, true); },
       .at_a_glance = has_route,
       .in_world = open_guest_tap},
  };
}

std::vector<Case> make_cases() {
  std::vector<Case> all;
  for (auto& group : {make_hook_cases(), make_command_cases(), make_device_cases(), make_watch_cases()})
    for (auto& one : group) all.push_back(one);
  for (auto& one : all) {
    if (one.again.empty()) one.again = {one.target};
  }
  return all;
}

}  // namespace

const std::vector<Case>& cases() {
  static const std::vector<Case> all = make_cases();
  return all;
}

}  // namespace vmt::crash
