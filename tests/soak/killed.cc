// SPDX-License-Identifier: LGPL-2.1-or-later
// Does a device that goes with its holder go every time, however often the holder is killed?
#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "lib/rtnl_device.h"
#include "tests/soak/lab.h"
#include "tests/soak/parts.h"
#include "tests/soak/residue.h"

namespace vmt::soak {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBatch = 20;  // devices at a time
constexpr uid_t kUser = 1000;
constexpr const char* kProgram = "/run/bin/qemu-macvtap-helper";
constexpr std::chrono::seconds kPatience{20};

double microseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

// How a device comes into being, and whose process then holds its tap.
enum class Way { kExec, kExecQueues, kHelper, kHelperAdopting, kFloor };
constexpr std::array kWays = {Way::kExec, Way::kHelper, Way::kExecQueues, Way::kHelperAdopting, Way::kFloor};
struct Name {
  Way way;
  const char* text;
};
constexpr std::array kNames = {Name{Way::kExec, "exec"}, Name{Way::kExecQueues, "exec with 4 queues"},
                               Name{Way::kHelper, "helper"}, Name{Way::kHelperAdopting, "helper adopting"}};
constexpr int kOurs = kBatch / static_cast<int>(kWays.size()) * static_cast<int>(kNames.size());  // of a batch

using Made = std::map<Way, std::vector<double>>;

struct Pair {
  Fd ours, theirs;
};

template <typename Make>
Pair make_pair_of(Make make) {
  int ends[2];
  if (make(ends) != 0) die("make a pair of fds");
  return {Fd(ends[0]), Fd(ends[1])};
}

[[noreturn]] void become(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  _exit(127);
}

std::string own_path() {
  return std::filesystem::read_symlink("/proc/self/exe");
}

// The command of `exec` says that it is there, and holds what it was given.
[[noreturn]] void hold_by_exec(const std::string& nic, const std::string& taps, int pipe) {
  fcntl(pipe, F_SETFD, 0);
  become(
      {VMT_BINARY_DIR "/virt-macvtap", "exec", "--nic", nic, "--", own_path(), "--hold", std::to_string(pipe), taps});
}

// As QEMU does: makes the pair of sockets, starts the helper, waits for the tap, and keeps it.
[[noreturn]] void hold_by_helper(std::vector<std::string> helper, int pipe, uid_t user) {
  if (setgid(user) != 0 || setuid(user) != 0) _exit(1);
  const Pair sockets = make_pair_of([](int* ends) { return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends); });
  helper.back() += std::to_string(sockets.theirs.get());
  const pid_t pid = fork();
  if (pid == 0) {
    fcntl(sockets.theirs.get(), F_SETFD, 0);
    become(std::move(helper));
  }
  char byte = 0;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  iovec data{&byte, 1};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  int status = 0;
  if (waitpid(pid, &status, 0) != pid || status != 0 || recvmsg(sockets.ours.get(), &message, MSG_DONTWAIT) != 1 ||
      CMSG_FIRSTHDR(&message) == nullptr)
    _exit(1);
  _exit(hold(pipe));
}

struct Holder {
  pid_t pid = -1;
  double microseconds = 0;  // until the tap was there
};

Holder start_holder(Way way, int number) {
  const Pair pipe = make_pair_of([](int* ends) { return pipe2(ends, O_CLOEXEC); });
  const Guest guest(number, kParents);
  const auto begin = Clock::now();
  Holder holder{.pid = fork()};
  if (holder.pid == 0) {
    const int say = pipe.theirs.get();
    if (way == Way::kExec) hold_by_exec(fmt::format("parent={},mac={}", guest.parent, guest.mac.str()), "{0.fd}", say);
    if (way == Way::kExecQueues) hold_by_exec(fmt::format("parent={},queues=4", guest.parent), "{0.fds}", say);
    if (way == Way::kFloor)
      hold_by_helper({VMT_BINARY_DIR "/tests/bench_floor_tap", "self-removing", guest.parent, ""}, say, 0);
    const auto mac = way == Way::kHelper ? "/" + guest.mac.str() : "";
    hold_by_helper({kProgram, "--use-vnet", "--br=" + guest.parent + mac, "--fd="}, say, kUser);
  }
  Fd theirs;
  std::swap(theirs, const_cast<Pair&>(pipe).theirs);
  theirs = Fd();
  char byte = 0;
  if (read(pipe.ours.get(), &byte, 1) != 1) die(fmt::format("holder {} has no tap", number));
  holder.microseconds = microseconds_since(begin);
  return holder;
}

class Killing {
 public:
  Killing() : socket_(*RtnlSocket::open()) {}

  // So many devices, all there; then their holders are killed.
  void batch(std::span<const Way> ways, Made& made, std::vector<double>& gone) {
    std::vector<Holder> holders;
    for (int i = 0; i < kBatch; ++i) {
      const Way way = ways[static_cast<std::size_t>(i) % ways.size()];
      holders.push_back(start_holder(way, next_++));
      made[way].push_back(holders.back().microseconds);
    }
    const auto there = children_elsewhere(socket_);
    if (!there || there->size() != static_cast<std::size_t>(kBatch)) ++short_of_;
    if (there)
      for (const auto& device : *there) indices.push_back(device.index);
    const auto begin = Clock::now();
    for (const auto& holder : holders) kill(holder.pid, SIGKILL);
    for (const auto& holder : holders) waitpid(holder.pid, nullptr, 0);
    while (!none_left() && Clock::now() - begin < kPatience) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    gone.push_back(microseconds_since(begin));
    if (!none_left()) ++stayed_;
  }

  int short_of() const { return short_of_; }
  int stayed() const { return stayed_; }
  std::vector<unsigned> indices;

 private:
  bool none_left() {
    const auto there = children_elsewhere(socket_);
    return there && there->empty();
  }

  RtnlSocket socket_;
  int next_ = 0, short_of_ = 0, stayed_ = 0;
};

// Where the machine has an /etc/qemu it is out of sight, else it is made for this mount namespace alone.
void install_helper() {
  sh("chmod 755 /run && mkdir -p /run/upper/qemu /run/work /run/bin && chmod 755 /run/upper /run/upper/qemu && "
     "if [ -d /etc/qemu ]; then mount -t tmpfs -o mode=755 tmpfs /etc/qemu; else mount -t overlay -o "
     "lowerdir=/etc,upperdir=/run/upper,workdir=/run/work overlay /etc; fi && "
     "install -m 4755 " VMT_BINARY_DIR
     "/qemu-macvtap-helper /run/bin && echo 'allow all max=500' "
     ">/etc/qemu/macvtap.conf && chmod 644 /etc/qemu/macvtap.conf");
}

}  // namespace

int hold(int pipe) {
  if (write(pipe, "", 1) != 1) return 1;
  close(pipe);
  for (;;) pause();
}

void soak_killed(Report& report, const Scale& scale) {
  make_parents(kParents);
  install_helper();
  constexpr std::array kFloor = {Way::kFloor};
  Made made;
  std::vector<double> gone, floor_gone;
  // Asked about devices elsewhere, the kernel gives the namespace a number of its own, for good.
  Killing().batch(kWays, made, gone);
  made.clear();
  gone.clear();
  Killing killing;
  const Residue before = take_residue();
  const int batches = (scale.devices + kOurs - 1) / kOurs;
  const auto begin = Clock::now();
  for (int i = 0; i < batches; ++i) {
    killing.batch(kWays, made, gone);
    killing.batch(kFloor, made, floor_gone);
  }
  report.tell("devices", batches * kOurs, "",
              "exec, helper, exec with 4 queues, helper adopting; as many by a C program");
  report.tell("time", microseconds_since(begin) / 1e6, "s");
  report.expect_most("batches in which not all were there", killing.short_of(), "", 0);
  report.expect_most("batches of which something stayed", killing.stayed(), "", 0);
  for (const auto& [way, name] : kNames)
    report.expect_alike(fmt::format("until the tap is there, {}", name), {made[way], made[Way::kFloor]});
  report.expect_alike(fmt::format("from {} kills until the last device is gone", kBatch), {gone, floor_gone});
  expect_no_tap_nodes(report, killing.indices);
  expect_no_residue(report, before, 2 * static_cast<std::size_t>(scale.devices));
}

}  // namespace vmt::soak
