// SPDX-License-Identifier: LGPL-2.1-or-later
// Which code does a call of a static program run, and in which order does it first come to it?
//
//   order_trace OUT PROGRAM [ARGUMENT]...
//
// Single-steps PROGRAM until it ends or becomes another one, and writes the addresses to OUT, as the linker's map has
// them, each once, in the order of their first run. From the very first instruction on, the C library's start before
// main included, and with the string functions that this processor gets, which is why no profiler is used: they see
// neither. A tenth of a millisecond a step, so that a call takes half a minute.
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <unordered_set>

namespace {

// What lies between an address in the process and the same in the linker's map.
unsigned long long load_address(pid_t process, const char* program) {
  Elf64_Ehdr header{};
  std::ifstream(program, std::ios::binary).read(reinterpret_cast<char*>(&header), sizeof header);
  if (header.e_type != ET_DYN) return 0;
  std::ifstream maps("/proc/" + std::to_string(process) + "/maps");
  std::string line;
  while (std::getline(maps, line) && !line.ends_with(std::filesystem::canonical(program).string())) continue;
  return std::stoull(line, nullptr, 16);
}

constexpr int kExec = SIGTRAP | (PTRACE_EVENT_EXEC << 8);

// The wait status of a process that has ended well or become another program: what it ran is what such a call runs.
bool has_done_it(int status) {
  return (WIFEXITED(status) && WEXITSTATUS(status) == 0) || (WIFSTOPPED(status) && status >> 8 == kExec);
}

// Returns the wait status that it ended with.
int trace(pid_t process, unsigned long long base, std::ostream& out) {
  std::unordered_set<unsigned long long> seen;
  int status = 0;
  do {
    user_regs_struct registers{};
    if (ptrace(PTRACE_GETREGS, process, nullptr, &registers) != 0) return -1;
    if (seen.insert(registers.rip).second) out << std::hex << registers.rip - base << '\n';
    if (ptrace(PTRACE_SINGLESTEP, process, nullptr, nullptr) != 0 || waitpid(process, &status, 0) != process) return -1;
  } while (WIFSTOPPED(status) && status >> 8 != kExec);
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: order_trace OUT PROGRAM [ARGUMENT]...\n";
    return 2;
  }
  const pid_t process = fork();
  if (process == 0) {
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    execv(argv[2], argv + 2);
    std::perror(argv[2]);
    _exit(127);
  }
  int status = 0;
  if (waitpid(process, &status, 0) != process || !WIFSTOPPED(status)) return 1;
  ptrace(PTRACE_SETOPTIONS, process, nullptr, PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
  std::ofstream out(argv[1]);
  const bool done = has_done_it(trace(process, load_address(process, argv[2]), out));
  if (!done) std::cerr << argv[2] << ": the call failed\n";
  return done && out.flush() ? 0 : 1;
}
