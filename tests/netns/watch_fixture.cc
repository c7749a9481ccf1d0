// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/netns/watch_fixture.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include "lib/device.h"
#include "lib/fd.h"
#include "lib/netns.h"
#include "tests/netns/programs.h"

namespace vmt {
namespace {

constexpr const char* kNotify = "/run/notify";

bool poll_until(const std::function<bool()>& condition, std::chrono::seconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

}  // namespace

void WatchTest::SetUp() {
  NamespaceTest::SetUp();
  if (IsSkipped() || HasFatalFailure()) return;
  add_lan();
}

void WatchTest::TearDown() {
  if (watcher_ > 0) stop();
  if (HasFailure()) std::fprintf(stderr, "the watcher said:\n%s", log().c_str());
}

void WatchTest::start(const std::string& options, const std::string& as) {
  ::unlink(kNotify);
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::strcpy(address.sun_path, kNotify);
  ASSERT_EQ(bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  timeval patience{.tv_sec = 20, .tv_usec = 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  watcher_ = fork();
  if (watcher_ == 0) {
    // Else it would stay when a test is stopped, with the pipe that whoever runs the tests waits for.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setenv("NOTIFY_SOCKET", kNotify, 1);
    const std::string command = fmt::format("exec {} {}/virt-macvtap watch {} 2>>{}", as, kBuild, options, kLog);
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  char word[64] = {};
  ASSERT_GT(recv(socket.get(), word, sizeof word - 1, 0), 0) << log();
  EXPECT_STREQ(word, "READY=1");
}

void WatchTest::stop(int signal) {
  kill(watcher_, signal);
  int status = 0;
  const bool ended = eventually([&] { return waitpid(watcher_, &status, WNOHANG) == watcher_; });
  EXPECT_TRUE(ended) << "signal " << signal << " does not end it";
  if (!ended) {
    kill(watcher_, SIGKILL);
    waitpid(watcher_, &status, 0);
  }
  if (signal == SIGTERM) {
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  watcher_ = -1;
}

std::string WatchTest::log() {
  std::ifstream file(kLog);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void WatchTest::add_tap_guest(const std::string& name, const std::string& mac, const std::string& parent) {
  sh(fmt::format("ip netns add {0} && ip netns set {0} auto", name));
  // An ifindex that no other namespace has: /dev/tapN is one for all.
  sh(fmt::format("ip link add link {} name g0 index {} address {} netns {} type macvtap mode bridge", parent,
                 unique_index(), mac, name));
  sh(fmt::format("ip -n {0} link set lo up && ip -n {0} link set g0 up", name));
  if (status_of(fmt::format("ip link show {} | grep -q 'state UP'", parent)) == 0) wait_until_up("g0", name);
}

void WatchTest::remove_tap_guest(const std::string& name) {
  sh(fmt::format("ip -n {0} link del g0; ip netns del {0}", name));
}

int WatchTest::in(const std::string& name, const std::string& command) {
  return status_of(fmt::format("ip netns exec {} sh -c '{}' >/dev/null 2>&1", name, command));
}

void WatchTest::send_frame(const std::string& name, const std::string& link, std::span<const std::uint8_t> frame) {
  const Fd netns(::open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC));
  const auto status = in_netns(netns.get(), [&]() -> Status {
    const Fd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = static_cast<int>(if_nametoindex(link.c_str()));
    if (sendto(socket.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0)
      return fail(errno_error(errno, "send frame"));
    return {};
  });
  ASSERT_TRUE(status) << status.error().message;
}

void WatchTest::announce(const std::string& name, const std::string& mac, const std::string& address) {
  const auto own = *IpAddress::parse(address);
  send_frame(name, "g0", question({*MacAddress::parse(mac), own}, own, std::nullopt));
}

std::string WatchTest::ours() {
  return output_of(
      "ip -br link show group 1986884609 | sed 's/ALLMULTI,//'; ip -4 route show proto 118; ip -6 route show proto 118;"
      "ip neigh show nud permanent | sort; ip -6 neigh show proxy");
}

bool WatchTest::reaches(const std::string& from, const std::string& to) {
  const std::string where = from.empty() ? "" : "ip netns exec " + from + " ";
  return status_of(where + "ping -c 1 -W 1 " + to + " >/dev/null 2>&1") == 0;
}

bool WatchTest::eventually(const std::function<bool()>& condition) {
  return poll_until(condition, std::chrono::seconds(10));
}

bool WatchTest::never(const std::function<bool()>& condition) {
  return !poll_until(condition, std::chrono::seconds(1));
}

int WatchTest::listens_on() {
  // The fifth column is the link; shims have ifindices of their own (shim_index).
  return std::stoi(output_of("awk '$5 > 1073741824 && $5 < 1342177280' /proc/net/packet | wc -l"));
}

std::string WatchTest::shims() {
  return output_of("ip -o link show group 1986884609 | grep -o 'vmt-[0-9]*'");
}

bool WatchTest::has_route(const std::string& address) {
  const std::string family = address.find(':') == std::string::npos ? "-4" : "-6";
  return !output_of("ip " + family + " route show " + address + " proto 118").empty();
}

}  // namespace vmt
