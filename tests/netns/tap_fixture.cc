// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/netns/tap_fixture.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "lib/rtnl_device.h"
#include "tests/netns/programs.h"

namespace vmt {
namespace {

const std::string kHelper = "/run/bin/qemu-macvtap-helper";

// In the child, which has no way to tell but its exit status.
void require(bool true_) {
  if (!true_) _exit(99);
}

[[noreturn]] void become_helper(const Call& call, int socket, int err) {
  // While root: a tracer who may not trace anything costs a program its setuid bit.
  if (call.traced) require(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0 && raise(SIGSTOP) == 0);
  const Fd null(open("/dev/null", O_WRONLY | O_CLOEXEC));
  require(dup2(err, 2) == 2 && dup2(null.get(), 1) == 1);
  // Whichever of ours has that number has done its duty.
  require(socket == call.fd ? fcntl(socket, F_SETFD, 0) == 0 : dup2(socket, call.fd) == call.fd);
  require(setgroups(call.groups.size(), call.groups.data()) == 0);
  require(setresgid(call.gid, call.gid, call.gid) == 0 && setresuid(call.uid, call.uid, call.uid) == 0);
  std::vector<std::string> words = {"qemu-macvtap-helper"};
  for (auto word : call.words) {
    if (const auto at = word.find("FD"); at != std::string::npos) word.replace(at, 2, std::to_string(call.fd));
    words.push_back(word);
  }
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  if (call.no_arguments) argv.clear();
  argv.push_back(nullptr);
  std::vector<std::string> environment = call.environment;
  std::vector<char*> envp;
  for (auto& variable : environment) envp.push_back(variable.data());
  envp.push_back(nullptr);
  const std::string program = call.program.empty() ? kHelper : call.program;
  if (call.before_exec) call.before_exec();
  execve(program.c_str(), argv.data(), envp.data());
  _exit(98);
}

void receive(const Fd& socket, Outcome& outcome) {
  for (;;) {
    char bytes[16];
    iovec data{.iov_base = bytes, .iov_len = sizeof bytes};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(8 * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = recvmsg(socket.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    outcome.closed = size == 0;
    if (size <= 0) return;
    outcome.bytes.append(bytes, static_cast<std::size_t>(size));
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header))
      for (std::size_t at = 0; CMSG_LEN(at + sizeof(int)) <= header->cmsg_len; at += sizeof(int)) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header) + at, sizeof fd);
        outcome.taps.emplace_back(fd);
      }
  }
}

ifreq hardware_address(const Fd& tap) {
  ifreq request{};
  EXPECT_EQ(ioctl(tap.get(), SIOCGIFHWADDR, &request), 0);
  return request;
}

}  // namespace

void TapTest::SetUp() {
  NamespaceTest::SetUp();
  if (IsSkipped() || HasFatalFailure()) return;
  sh("chmod 755 /run && mkdir -p /run/upper/qemu /run/work /run/bin && chmod 755 /run/upper /run/upper/qemu");
  sh("if [ -d /etc/qemu ]; then mount -t tmpfs -o mode=755 tmpfs /etc/qemu; else mount -t overlay -o "
     "lowerdir=/etc,upperdir=/run/upper,workdir=/run/work overlay /etc; fi");
  sh("strip -o " + kHelper + " " + kBuild + "/qemu-macvtap-helper && chmod 4755 " + kHelper);
  add_lan();
  allow("allow eth0");
  // Asked about a link elsewhere that has its parent here, the kernel gives this namespace a number of its own, for
  // good.
  const auto parent = [] { return output_of("ip -d link show eth0"); };
  const std::string before = parent();
  if (const Fd tap = tap_of("eth0/52:54:00:00:00:ff"); tap) device_of(tap);
  EXPECT_TRUE(soon([&] { return parent() == before && output_of("ip netns list-id | wc -l") == "2\n"; }, 8000));
}

void TapTest::allow(const std::string& list) {
  sh("rm -f /etc/qemu/macvtap.conf");
  std::ofstream("/etc/qemu/macvtap.conf") << list << "\n";
  sh("chmod 644 /etc/qemu/macvtap.conf");
}

Running TapTest::start(const Call& call) {
  int sockets[2];
  int pipes[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
  EXPECT_EQ(pipe2(pipes, O_CLOEXEC), 0);
  Running running{.pid = -1, .socket = Fd(sockets[0]), .err = Fd(pipes[0])};
  const Fd theirs(sockets[1]);
  const Fd err(pipes[1]);
  running.pid = fork();
  if (running.pid == 0) become_helper(call, theirs.get(), err.get());
  return running;
}

Outcome TapTest::finish(Running running) {
  Outcome outcome;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(8);
  bool open = true;
  while (open && std::chrono::steady_clock::now() < end) {
    pollfd events{.fd = running.err.get(), .events = POLLIN, .revents = 0};
    if (poll(&events, 1, 100) <= 0) continue;
    char text[4096];
    const ssize_t size = read(running.err.get(), text, sizeof text);
    if (size > 0) outcome.err.append(text, static_cast<std::size_t>(size));
    open = size > 0;
  }
  EXPECT_FALSE(open) << "somebody holds on to stderr";
  if (open) kill(running.pid, SIGKILL);
  int status = 0;
  EXPECT_EQ(waitpid(running.pid, &status, 0), running.pid);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  receive(running.socket, outcome);
  return outcome;
}

Call TapTest::ask(const std::string& br, uid_t uid) {
  return {.words = {"--use-vnet", "--fd=FD", "--br=" + br}, .uid = uid, .gid = uid};
}

Fd TapTest::tap_of(const std::string& br, uid_t uid) {
  Outcome outcome = get(br, uid);
  EXPECT_EQ(outcome.status, 0) << br << ": " << outcome.err;
  EXPECT_EQ(outcome.taps.size(), 1U) << br;
  return outcome.taps.empty() ? Fd() : std::move(outcome.taps.front());
}

std::vector<Child> TapTest::devices() {
  auto socket = RtnlSocket::open();
  auto found = children_elsewhere(*socket);
  EXPECT_TRUE(found.has_value());
  return found ? *std::move(found) : std::vector<Child>{};
}

Child TapTest::device_of(const Fd& tap) {
  const std::string name = name_of(tap);
  for (auto& device : devices())
    if (device.name.str() == name) return device;
  ADD_FAILURE() << "no device " << name;
  return {.name = *IfName::parse("none"), .mac = *MacAddress::parse("02:00:00:00:00:01")};
}

std::vector<pid_t> TapTest::helpers() {
  namespace fs = std::filesystem;
  std::error_code error;
  const auto mine = fs::read_symlink("/proc/self/ns/mnt", error);
  std::vector<pid_t> found;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    std::string name;
    std::getline(std::ifstream(entry.path() / "comm") >> std::ws, name);
    if (name == "qemu-macvtap-he" && fs::read_symlink(entry.path() / "ns/mnt", error) == mine)
      found.push_back(std::stoi(entry.path().filename()));
  }
  return found;
}

std::string TapTest::world() {
  return output_of("ip -d link | sed 's/state UNKNOWN/state UP/'; ip netns list-id") +
         "helpers: " + std::to_string(helpers().size());
}

void TapTest::expect_world(const std::string& before, const std::string& what) {
  soon([&] { return world() == before; }, 8000);  // the kernel takes namespaces down one after the other
  EXPECT_EQ(world(), before) << what;
}

bool TapTest::soon(const std::function<bool()>& condition, int milliseconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    usleep(2000);
  }
  return true;
}

std::string TapTest::name_of(const Fd& tap) {
  ifreq request{};
  EXPECT_EQ(ioctl(tap.get(), TUNGETIFF, &request), 0);
  return request.ifr_name;
}

short TapTest::flags_of(const Fd& tap) {
  ifreq request{};
  EXPECT_EQ(ioctl(tap.get(), TUNGETIFF, &request), 0);
  return request.ifr_flags;
}

std::string TapTest::mac_of(const Fd& tap) {
  const ifreq request = hardware_address(tap);
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(request.ifr_hwaddr.sa_data);
  const auto mac = MacAddress::from_bytes(std::span(bytes, MacAddress::kSize));
  return mac ? mac->str() : "none";
}

bool TapTest::set_mac(const Fd& tap, const std::string& mac) {
  ifreq request{};
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  std::ranges::copy(MacAddress::parse(mac)->bytes(), reinterpret_cast<std::uint8_t*>(request.ifr_hwaddr.sa_data));
  return ioctl(tap.get(), SIOCSIFHWADDR, &request) == 0;
}

void TapTest::send_frame(const Fd& tap, const std::string& sender) {
  std::vector<std::uint8_t> frame;
  if (flags_of(tap) & IFF_VNET_HDR) {
    int size = 0;
    ASSERT_EQ(ioctl(tap.get(), TUNGETVNETHDRSZ, &size), 0);
    frame.resize(static_cast<std::size_t>(size));
  }
  frame.insert(frame.end(), 6, 0xff);
  for (std::size_t at = 0; at < sender.size(); at += 3)
    frame.push_back(static_cast<std::uint8_t>(std::stoi(sender.substr(at, 2), nullptr, 16)));
  frame.insert(frame.end(), {0x88, 0xb5});  // an Ethertype for experiments
  frame.resize(frame.size() + 46);
  ASSERT_EQ(write(tap.get(), frame.data(), frame.size()), static_cast<ssize_t>(frame.size()));
}

}  // namespace vmt
