// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/soak/lab.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "lib/device.h"
#include "lib/rtnl_writer.h"
#include "lib/tap_node.h"

namespace vmt::soak {
namespace {

using Clock = std::chrono::steady_clock;

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (text.str().empty()) die(path);
  return text.str();
}

void replace_all(std::string& text, const std::string& what, const std::string& with) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
}

// Read once.
const std::string& recorded(const std::string& operation) {
  static const auto all = [] {
    std::map<std::string, std::string> domains;
    for (const char* one : {"prepare", "start", "started", "stopped", "release"})
      domains[one] = content_of(fmt::format(VMT_TEST_DATA "/domain/static/{}.xml", one));
    return domains;
  }();
  return all.at(operation);
}

MacAddress mac_of(int number) {
  const auto byte = [&](int shift) { return static_cast<std::uint8_t>(number >> shift); };
  const std::uint8_t bytes[] = {0x52, 0x54, 0x02, byte(16), byte(8), byte(0)};
  return *MacAddress::from_bytes(bytes);
}

// Of 198.18.0.0/15, a /19 for each parent.
IpAddress v4_of(int parent, int host) {
  const unsigned value = 0xc6120000U + static_cast<unsigned>(parent) * 8192 + static_cast<unsigned>(host);
  const std::uint8_t bytes[] = {static_cast<std::uint8_t>(value >> 24), static_cast<std::uint8_t>(value >> 16),
                                static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
  return *IpAddress::from_bytes(bytes);
}

void must(const Status& status) {
  if (!status) die(status.error().message);
}

}  // namespace

void die(const std::string& what) {
  std::fprintf(stderr, "soak: %s\n", what.c_str());
  std::_Exit(1);
}

void sh(const std::string& command) {
  if (std::system(command.c_str()) != 0) die(command);
}

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = popen((command + " 2>&1").c_str(), "re");
  char buffer[4096];
  for (std::size_t size; (size = fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, size);
  pclose(pipe);
  return text;
}

void make_parents(int count) {
  std::string commands = "ip netns add peer && cd /proc/sys/net/ipv6/conf && echo 0 >default/accept_dad";
  for (int i = 0; i < count; ++i)
    commands += fmt::format(
        " && ip link add p{0} address 52:54:00:ee:00:{0:02x} type veth peer name p{0} netns peer && ip addr add {1}/19 "
        "dev p{0} && ip addr add 2001:db8:{0:x}::10/64 dev p{0} nodad && ip link set p{0} up && "
        "ip -n peer link set p{0} up",
        i, v4_of(i, 10).str());
  sh(commands);
}

Guest::Guest(int guest, int parents)
    : number(guest),
      on(guest % parents),
      name(fmt::format("guest{}", guest)),
      parent(fmt::format("p{}", on)),
      mac(mac_of(guest)),
      tap(*IfName::parse(fmt::format("macvtap{}", guest))),
      v4(v4_of(on, 256 + guest / parents % 7000)),
      v6(*IpAddress::parse(fmt::format("2001:db8:{:x}::1:{:x}", on, guest / parents % 7000))) {}

std::string Guest::domain(const std::string& operation) const {
  std::string text = recorded(operation);
  replace_all(text, "<name>static</name>", "<name>" + name + "</name>");
  replace_all(text, "525400123451", fmt::format("{:012x}", number));
  replace_all(text, "52:54:00:12:34:56", mac.str());
  replace_all(text, "192.0.2.61", v4.str());
  replace_all(text, "2001:db8:1::61", v6.str());
  replace_all(text, "dev='eth0'", "dev='" + parent + "'");
  replace_all(text, "dev='macvtap0'", "dev='" + tap.str() + "'");
  return text;
}

Macvtap make_macvtap(RtnlSocket& socket, const Guest& guest) {
  // libvirt lets the kernel choose the ifindex. Here other namespaces' /dev/tapN would be in the way.
  Macvtap made{.index = unique_index(), .tap = {}};
  const unsigned parent = if_nametoindex(guest.parent.c_str());
  request::Writer create(RTM_NEWLINK, request::kCreate, request::link_header(made.index));
  create.text(IFLA_IFNAME, guest.tap.str()).u32(IFLA_LINK, parent).mac(IFLA_ADDRESS, guest.mac);
  create.nest(IFLA_LINKINFO, [](request::Writer& info) {
    info.text(IFLA_INFO_KIND, "macvtap");
    info.nest(IFLA_INFO_DATA, [](request::Writer& data) { data.u32(IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE); });
  });
  must(socket.request(create.take(), "create " + guest.tap.str()));
  ifinfomsg up = request::link_header(made.index);
  up.ifi_flags = up.ifi_change = IFF_UP;
  must(socket.request(request::Writer(RTM_SETLINK, 0, up).take(), "bring up " + guest.tap.str()));
  auto queues = open_queues(guest.tap, made.index, {});
  if (!queues) die(queues.error().message);
  made.tap = std::move(queues->front());
  return made;
}

void delete_macvtap(RtnlSocket& socket, Macvtap macvtap) {
  macvtap.tap = Fd();
  must(socket.request(request::delete_link(macvtap.index), "delete a macvtap"));
}

Ended run_program(std::vector<std::string> words, int input) {
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (input >= 0)
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  else
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, kSaid, O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  const auto begin = Clock::now();
  pid_t pid = -1;
  if (posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ) != 0) die(words.front());
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) die("wait for " + words.front());
  const std::chrono::duration<double, std::micro> time = Clock::now() - begin;
  posix_spawn_file_actions_destroy(&actions);
  return {.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), .microseconds = time.count()};
}

Ended call_hook(const Guest& guest, const std::string& operation) {
  const std::string domain = guest.domain(operation);
  int ends[2];
  // A pipe takes 64 KiB without a reader.
  if (pipe2(ends, O_CLOEXEC) != 0) die("pipe");
  const Fd theirs(ends[0]);
  {
    const Fd ours(ends[1]);
    if (::write(ours.get(), domain.data(), domain.size()) != static_cast<ssize_t>(domain.size())) die("write a domain");
  }
  const bool end = operation == "stopped" || operation == "release";
  return run_program({VMT_BINARY_DIR "/virt-macvtap-hook", guest.name, operation, end ? "end" : "begin", "-"},
                     theirs.get());
}

Life live(RtnlSocket& socket, const Guest& guest, const std::function<void()>& while_it_runs) {
  Life life;
  Macvtap macvtap;
  const auto timed = [&](const std::function<void()>& what) {
    const auto begin = Clock::now();
    what();
    life.floor += std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
  };
  for (std::size_t i = 0; i < kCalls.size(); ++i) {
    const std::string call = kCalls[i];
    if (call == "start") timed([&] { macvtap = make_macvtap(socket, guest); });
    if (call == "release") timed([&] { delete_macvtap(socket, std::move(macvtap)); });
    const Ended ended = call_hook(guest, call);
    life.calls[i] = ended.microseconds;
    life.failed += ended.status == 0 ? 0 : 1;
    life.index = std::max(life.index, macvtap.index);
    if (call == "started" && while_it_runs) while_it_runs();
  }
  life.floor += run_nothing().microseconds;
  return life;
}

Ended run_nothing() {
  return run_program({VMT_BINARY_DIR "/tests/bench_empty"});
}

std::string said() {
  std::ifstream file(kSaid);
  std::string text(2000, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

void in_parallel(int at_once, int count, const std::function<void(int worker, int number)>& what) {
  std::atomic<int> next = 0;
  std::vector<std::jthread> workers;
  for (int worker = 0; worker < at_once; ++worker)
    workers.emplace_back([&, worker] {
      for (int number = next++; number < count; number = next++) what(worker, number);
    });
}

}  // namespace vmt::soak
