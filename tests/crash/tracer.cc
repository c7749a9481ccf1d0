// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/crash/tracer.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <map>
#include <optional>

#include "tests/crash/calls.h"
#include "tests/crash/child.h"
#include "tests/crash/netlink.h"

namespace vmt::crash {
namespace {

constexpr std::uint16_t kNoSuchRequest = 0x7ff0;  // the kernel's answer is an error

template <typename T>
bool peek(pid_t pid, std::uint64_t address, T& value) {
  iovec here{&value, sizeof value};
  iovec there{reinterpret_cast<void*>(address), sizeof value};
  return process_vm_readv(pid, &here, 1, &there, 1, 0) == sizeof value;
}

template <typename T>
void poke(pid_t pid, std::uint64_t address, const T& value) {
  T copy = value;
  iovec here{&copy, sizeof copy};
  iovec there{reinterpret_cast<void*>(address), sizeof copy};
  if (process_vm_writev(pid, &here, 1, &there, 1, 0) != sizeof copy) die("write to the traced program");
}

std::uint64_t first_buffer(pid_t pid, std::uint64_t message) {
  msghdr header{};
  iovec buffer{};
  if (!peek(pid, message, header) || header.msg_iovlen < 1 ||
      !peek(pid, reinterpret_cast<std::uint64_t>(header.msg_iov), buffer))
    return 0;
  return reinterpret_cast<std::uint64_t>(buffer.iov_base);
}

// Where the request is; 0: this call sends none.
std::uint64_t request_at(pid_t pid, const __ptrace_syscall_info& info) {
  if (info.entry.nr != SYS_sendmsg) return 0;
  msghdr header{};
  sa_family_t family = 0;
  if (!peek(pid, info.entry.args[1], header) || header.msg_name == nullptr ||
      !peek(pid, reinterpret_cast<std::uint64_t>(header.msg_name), family) || family != AF_NETLINK)
    return 0;
  return first_buffer(pid, info.entry.args[1]);
}

// Devices are deleted as a group, into which they are put before.
bool regroups(pid_t pid, std::uint64_t request, const nlmsghdr& header) {
  std::array<std::uint8_t, 256> payload{};
  if (header.nlmsg_type != RTM_SETLINK || !peek(pid, request + NLMSG_HDRLEN, payload)) return false;
  const std::size_t size = std::min<std::size_t>(header.nlmsg_len - NLMSG_HDRLEN, payload.size());
  const Bytes attributes = Bytes(payload).first(size).subspan(std::min(size, sizeof(ifinfomsg)));
  return Attributes(attributes).has(IFLA_GROUP);
}

bool says_ready(pid_t pid, const __ptrace_syscall_info& info) {
  char text[7] = {};
  return info.entry.nr == SYS_sendto && peek(pid, info.entry.args[1], text) && std::memcmp(text, "READY=1", 7) == 0;
}

bool can_fail(int fcntl_command) {
  constexpr std::array kThatCan = {F_DUPFD, F_DUPFD_CLOEXEC, F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW};
  return std::ranges::find(kThatCan, fcntl_command) != kThatCan.end();
}

bool runs(pid_t pid, const std::string& program) {
  struct stat its {
  }, wanted{};
  return stat(("/proc/" + std::to_string(pid) + "/exe").c_str(), &its) == 0 && stat(program.c_str(), &wanted) == 0 &&
         its.st_dev == wanted.st_dev && its.st_ino == wanted.st_ino;
}

struct Task {
  __ptrace_syscall_info entry{};
  bool inside = false;        // of a call
  int fails = 0;              // errno of the call that it is in
  bool ready = false;         // the call says so
  bool forked = false;        // a process, or a thread, that another one has started
  bool foreign = false;       // that runs another program
  std::uint64_t damaged = 0;  // address of the request whose type is to be put back
  std::uint16_t type = 0;
};

// An answer that is to be rewritten.
struct Promise {
  std::uint32_t sequence = 0;
  int fd = -1;
};

class Tracer {
 public:
  Tracer(const Program& program, const Hurt& hurt, Outcome& outcome)
      : program_(program), hurt_(hurt), outcome_(outcome) {
    counting_ = program.counted != Program::Counted::kFromReady;
  }

  void follow(pid_t main, std::chrono::seconds patience);

 private:
  void stopped(pid_t pid, int status);
  void call_begins(pid_t pid, Task& task);
  void call_ends(pid_t pid, Task& task, std::int64_t result);
  void hurt_now(pid_t pid, Task& task, const Call& call, std::uint64_t request);
  void rewrite_answer(pid_t pid, const Task& task, std::int64_t size);
  void proceed(pid_t pid, int signal = 0) {
    ptrace(done_ || tasks_[pid].foreign ? PTRACE_CONT : PTRACE_SYSCALL, pid, nullptr, static_cast<long>(signal));
  }

  const Program& program_;
  const Hurt& hurt_;
  Outcome& outcome_;
  std::map<pid_t, Task> tasks_;
  std::optional<Promise> promise_;
  int execs_ = 0;
  bool counting_ = true;
  bool done_ = false;
};

void Tracer::follow(pid_t main, std::chrono::seconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  tasks_.emplace(main, Task{});
  for (;;) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, __WALL | WNOHANG);
    if (pid < 0) return;  // nobody is left
    if (pid == 0) {
      const auto left = deadline - std::chrono::steady_clock::now();
      const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
      if (nanoseconds <= 0) {
        outcome_.hung = true;
        for (const auto& [task, state] : tasks_) kill(task, SIGKILL);
        while (waitpid(-1, nullptr, __WALL) > 0) continue;
        return;
      }
      const timespec wait{nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
      sigtimedwait(&child, nullptr, &wait);
      continue;
    }
    if (WIFSTOPPED(status)) {
      stopped(pid, status);
      continue;
    }
    tasks_.erase(pid);
    if (pid != main) continue;
    if (WIFEXITED(status)) outcome_.status = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) outcome_.signal = WTERMSIG(status);
  }
}

void Tracer::stopped(pid_t pid, int status) {
  const bool known = tasks_.contains(pid);
  Task& task = tasks_[pid];
  if (!known) {
    task.forked = true;
    task.foreign = !runs(pid, program_.words[0]);
  }
  const int signal = WSTOPSIG(status);
  if (status >> 8 == (SIGTRAP | (PTRACE_EVENT_EXEC << 8))) {
    if (task.forked)
      task.foreign = true;
    else if (++execs_ == 2)
      outcome_.followed = done_ = true;
    return proceed(pid);
  }
  if (status >> 16 != 0 || (!known && signal == SIGSTOP)) return proceed(pid);
  if (signal != (SIGTRAP | 0x80)) return proceed(pid, signal);
  __ptrace_syscall_info info{};
  if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) < 0) return proceed(pid);
  if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
    task.entry = info;
    task.inside = true;
    if (!task.forked && execs_ == 1 && info.entry.nr == SYS_exit_group) outcome_.followed = true;
    if (execs_ == 1 && !task.foreign) call_begins(pid, task);
  } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && task.inside) {
    task.inside = false;
    call_ends(pid, task, info.exit.rval);
  }
  proceed(pid);
}

void Tracer::call_begins(pid_t pid, Task& task) {
  const long number = static_cast<long>(task.entry.entry.nr);
  task.ready = says_ready(pid, task.entry);
  if (task.ready && program_.counted == Program::Counted::kUntilReady) counting_ = false;
  if (!counting_ || !counts(number)) return;
  Call call{.number = number};
  if (number == SYS_fcntl) call.fallible = can_fail(static_cast<int>(task.entry.entry.args[1]));
  // What is there already needs no memory to be changed or taken out.
  if (number == SYS_epoll_ctl) call.fallible = task.entry.entry.args[1] == EPOLL_CTL_ADD;
  nlmsghdr header{};
  const std::uint64_t request = request_at(pid, task.entry);
  if (request != 0 && peek(pid, request, header)) {
    call.request = header.nlmsg_type;
    call.deletes = header.nlmsg_type % 4 == 1 || regroups(pid, request, header);
    call.dump = (header.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP && !call.changes();
  }
  outcome_.calls.push_back(call);
  if (outcome_.calls.size() == hurt_.at + 1) hurt_now(pid, task, call, request);
}

void Tracer::hurt_now(pid_t pid, Task& task, const Call& call, std::uint64_t request) {
  // The same program may have come another way.
  const auto possible = hurts_of(call, hurt_.at);
  if (std::ranges::none_of(possible, [&](const Hurt& h) { return h.kind == hurt_.kind && h.error == hurt_.error; }))
    return;
  outcome_.hurt = true;
  outcome_.in_child = execs_ == 1 && task.forked;
  if (hurt_.kind == Hurt::Kind::kKill) kill(pid, SIGKILL);
  if (hurt_.kind == Hurt::Kind::kFail) {
    task.fails = hurt_.error;
    ptrace(PTRACE_POKEUSER, pid, offsetof(user_regs_struct, orig_rax), -1L);
  }
  if (hurt_.kind != Hurt::Kind::kRefuse && hurt_.kind != Hurt::Kind::kDeny) return;
  nlmsghdr header{};
  if (!peek(pid, request, header)) die("read the request");
  promise_ = Promise{header.nlmsg_seq, static_cast<int>(task.entry.entry.args[0])};
  if (hurt_.kind == Hurt::Kind::kDeny) return;
  task.damaged = request + offsetof(nlmsghdr, nlmsg_type);
  task.type = header.nlmsg_type;
  poke(pid, task.damaged, kNoSuchRequest);
}

void Tracer::call_ends(pid_t pid, Task& task, std::int64_t result) {
  if (task.fails != 0)
    ptrace(PTRACE_POKEUSER, pid, offsetof(user_regs_struct, rax), -static_cast<long>(std::exchange(task.fails, 0)));
  // A program may send it again.
  if (task.damaged != 0) poke(pid, std::exchange(task.damaged, 0), task.type);
  if (promise_ && task.entry.entry.nr == SYS_recvmsg && static_cast<int>(task.entry.entry.args[0]) == promise_->fd)
    rewrite_answer(pid, task, result);
  if (std::exchange(task.ready, false) && program_.counted == Program::Counted::kFromReady) counting_ = true;
}

void Tracer::rewrite_answer(pid_t pid, const Task& task, std::int64_t size) {
  const std::uint64_t buffer = first_buffer(pid, task.entry.entry.args[1]);
  nlmsghdr header{};
  for (std::uint64_t at = 0; buffer != 0 && static_cast<std::int64_t>(at + sizeof header) <= size;
       at += NLMSG_ALIGN(header.nlmsg_len)) {
    if (!peek(pid, buffer + at, header) || header.nlmsg_len < sizeof header) return;
    if (header.nlmsg_seq != promise_->sequence) continue;
    if (header.nlmsg_type != NLMSG_ERROR && header.nlmsg_type != NLMSG_DONE) continue;
    poke(pid, buffer + at + NLMSG_HDRLEN, -hurt_.error);
    promise_.reset();
    return;
  }
}

}  // namespace

std::string describe(const Call& call) {
  if (call.request == 0) return call_name(call.number);
  return call_name(call.number) + "(netlink " + std::to_string(call.request) + (call.dump ? ", dump)" : ")");
}

std::string describe(const Hurt& hurt) {
  static constexpr const char* kNames[] = {"none", "kill", "fail", "refuse", "deny"};
  const std::string name = kNames[static_cast<int>(hurt.kind)];
  return hurt.error == 0 ? name : name + ":" + strerrorname_np(hurt.error);
}

std::vector<Hurt> hurts_of(const Call& call, std::size_t at) {
  std::vector<Hurt> hurts{{Hurt::Kind::kKill, at, 0}};
  if (call.fallible)
    for (const int error : errors_of(call.number)) hurts.push_back({Hurt::Kind::kFail, at, error});
  if (call.request == 0) return hurts;
  for (const int error : {ENOBUFS, EBUSY, EPERM, ENOMEM, ENODEV}) {
    // The kernel does not say of what it has that it is not there; nor of the link whose addresses are listed, say.
    if ((call.deletes || !call.changes()) && error == ENODEV) continue;
    hurts.push_back({Hurt::Kind::kRefuse, at, error});
    // An answer that is the object itself has no error in it.
    if (call.changes() || call.dump) hurts.push_back({Hurt::Kind::kDeny, at, error});
  }
  return hurts;
}

Outcome run(const Program& program, const Hurt& hurt, std::chrono::seconds patience,
            const std::function<void(pid_t)>& started) {
  Outcome outcome;
  Child child(program, true);
  if (started) started(child.pid());
  Tracer(program, hurt, outcome).follow(child.pid(), patience);
  outcome.out = child.out();
  outcome.err = child.err();
  return outcome;
}

Outcome run_untraced(const Program& program) {
  Outcome outcome;
  Child child(program, false);
  int status = 0;
  while (waitpid(child.pid(), &status, 0) < 0 && errno == EINTR) continue;
  if (WIFEXITED(status)) outcome.status = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  outcome.out = child.out();
  outcome.err = child.err();
  return outcome;
}

}  // namespace vmt::crash
