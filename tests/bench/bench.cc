// SPDX-License-Identifier: LGPL-2.1-or-later
// Whole-process times of several commands, interleaved: round by round, each command once, so that a slow moment of the
// machine hits all of them alike. Prints one JSON object; scripts/bench makes the table.
//
//   bench ROUNDS FILE, where each line of FILE is: NAME <tab> BEFORE <tab> STDIN <tab> COMMAND <tab> - <tab> PID
// BEFORE is a shell command run untimed before each round ("-" for none), STDIN a file ("-" for /dev/null), COMMAND is
// split at blanks and started without a shell. Where a word of COMMAND contains "{fd}", that is one end of a socket
// pair, and the time ends when an fd has arrived at the other, as QEMU waits for one. With a PID it runs in the network
// and mount namespace of that process ("-": in the bench's own), so paths are absolute. The first entry is thrown away,
// and run once more, untimed, before each other one, after a random pause: nobody inherits its predecessor's caches,
// and the starts spread over the kernel's tick, in steps of which a link's deletion waits for RCU.
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "lib/fd.h"

namespace {

struct Entry {
  std::string name, before, input, lab;
  std::vector<std::string> command;
  std::vector<double> microseconds;
};

std::vector<Entry> read_entries(const char* path) {
  std::vector<Entry> entries;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    Entry entry;
    std::string command;
    std::getline(fields, entry.name, '\t');
    std::getline(fields, entry.before, '\t');
    std::getline(fields, entry.input, '\t');
    std::getline(fields, command, '\t');
    std::string ratio;
    std::getline(fields, ratio, '\t');
    std::getline(fields, entry.lab, '\t');
    std::istringstream words(command);
    for (std::string word; words >> word;) entry.command.push_back(word);
    entries.push_back(std::move(entry));
  }
  return entries;
}

// One end for the command, the other for us; both empty when the command wants none.
struct SocketPair {
  vmt::Fd theirs, ours;
};

SocketPair put_socket_into(std::vector<std::string>& words) {
  for (auto& word : words) {
    const auto place = word.find("{fd}");
    int ends[2];
    if (place == std::string::npos || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) continue;
    SocketPair pair{vmt::Fd(ends[0]), vmt::Fd(ends[1])};
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    word.replace(place, 4, std::to_string(ends[0]));
    return pair;
  }
  return {};
}

// Waits until an fd arrives; -1 when none does.
vmt::Fd receive_fd(const vmt::Fd& socket) {
  char byte = 0;
  char control[CMSG_SPACE(sizeof(int))];
  iovec data{&byte, 1};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const cmsghdr* header = recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC) == 1 ? CMSG_FIRSTHDR(&message) : nullptr;
  int fd = -1;
  if (header != nullptr) std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return vmt::Fd(fd);
}

struct Namespaces {
  explicit Namespaces(const std::string& pid)
      : net(open(("/proc/" + pid + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC)),
        mount(open(("/proc/" + pid + "/ns/mnt").c_str(), O_RDONLY | O_CLOEXEC)) {}

  vmt::Fd net, mount;
};

void enter(const std::string& lab) {
  static const std::string own = std::to_string(getpid());
  static std::map<std::string, Namespaces> known{};
  static std::string current = own;
  known.try_emplace(own, own);  // before any other one is entered
  const std::string& wanted = lab.empty() || lab == "-" ? own : lab;
  const auto& there = known.try_emplace(wanted, wanted).first->second;
  if (wanted == current) return;
  if (setns(there.net.get(), CLONE_NEWNET) != 0 || setns(there.mount.get(), CLONE_NEWNS) != 0) {
    std::cerr << "bench: cannot enter the namespaces of " << wanted << '\n';
    std::exit(1);
  }
  current = wanted;
}

// From just before the spawn until the exit status or the fd is there; vfork-like, so the bench's own size does not
// count.
double time_once(const Entry& entry) {
  auto words = entry.command;
  auto sockets = put_socket_into(words);
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const char* input = entry.input == "-" ? "/dev/null" : entry.input.c_str();
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input, O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  const auto start = std::chrono::steady_clock::now();
  pid_t child = 0;
  int status = 0;
  if (posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ) != 0) {
    std::cerr << "bench: cannot run " << argv[0] << '\n';
    std::exit(1);
  }
  sockets.theirs = vmt::Fd();
  vmt::Fd tap;
  if (sockets.ours) tap = receive_fd(sockets.ours);
  auto end = std::chrono::steady_clock::now();
  if (waitpid(child, &status, 0) != child) std::exit(1);
  if (!sockets.ours) end = std::chrono::steady_clock::now();
  if (sockets.ours && !tap) status = -1;
  posix_spawn_file_actions_destroy(&actions);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    std::cerr << "bench: " << entry.name << " failed\n";
    std::exit(1);
  }
  return std::chrono::duration<double, std::micro>(end - start).count();
}

double quantile(std::vector<double> values, double q) {
  std::ranges::sort(values);
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: bench ROUNDS FILE\n";
    return 2;
  }
  const int rounds = std::atoi(argv[1]);
  auto entries = read_entries(argv[2]);
  std::minstd_rand random(1);
  std::uniform_int_distribution pause(0, 8000);
  for (int round = -1; round < rounds; ++round)  // round -1 warms up and does not count
    for (auto& entry : entries) {
      enter(entry.lab);
      if (entry.before != "-" && std::system(entry.before.c_str()) != 0) {
        std::cerr << "bench: " << entry.name << ": set-up failed\n";
        return 1;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(pause(random)));
      if (&entry != &entries.front()) time_once(entries.front());
      const double time = time_once(entry);
      if (round >= 0) entry.microseconds.push_back(time);
    }
  auto result = nlohmann::ordered_json::object();
  for (const auto& entry : entries)
    result[entry.name] = {{"median_us", quantile(entry.microseconds, 0.5)},
                          {"p10_us", quantile(entry.microseconds, 0.1)},
                          {"p90_us", quantile(entry.microseconds, 0.9)},
                          {"rounds", rounds}};
  std::cout << result.dump(2) << '\n';
}
