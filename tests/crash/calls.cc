// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/crash/calls.h"

#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

namespace vmt::crash {
namespace {

struct Known {
  long number;
  const char* name;
  std::vector<int> errors;
};

const std::array kKnown = {
    // Files: a FIFO or NFS interrupts, a device is busy or gone, a security module forbids.
    Known{SYS_openat, "openat", {EINTR, EBUSY, EPERM, ENOMEM, ENODEV}},
    Known{SYS_open, "open", {EINTR, EBUSY, EPERM, ENOMEM, ENODEV}},
    Known{SYS_read, "read", {EINTR, ENOBUFS, ENOMEM, ENODEV}},
    Known{SYS_pread64, "pread64", {EINTR, ENOMEM}},
    Known{SYS_readv, "readv", {EINTR, ENOMEM}},
    Known{SYS_write, "write", {EINTR, ENOBUFS, EBUSY, EPERM, ENOMEM, ENODEV}},
    Known{SYS_writev, "writev", {EINTR, ENOBUFS, EPERM, ENOMEM}},
    Known{SYS_close, "close", {}},
    Known{SYS_getdents64, "getdents64", {ENOMEM}},
    Known{SYS_ioctl, "ioctl", {EINTR, ENOBUFS, EBUSY, EPERM, ENOMEM, ENODEV}},
    Known{SYS_fcntl, "fcntl", {EINTR, EBUSY, EPERM, ENOMEM}},
    Known{SYS_flock, "flock", {EINTR, ENOMEM}},
    Known{SYS_mkdir, "mkdir", {EPERM, ENOMEM}},
    Known{SYS_mkdirat, "mkdirat", {EPERM, ENOMEM}},
    Known{SYS_mknod, "mknod", {EPERM, ENOMEM}},
    Known{SYS_mknodat, "mknodat", {EPERM, ENOMEM}},
    Known{SYS_linkat, "linkat", {EPERM, ENOMEM}},
    Known{SYS_unlink, "unlink", {EBUSY, EPERM, ENOMEM}},
    Known{SYS_unlinkat, "unlinkat", {EBUSY, EPERM, ENOMEM}},
    Known{SYS_chmod, "chmod", {EPERM, ENOMEM}},
    Known{SYS_fchmodat, "fchmodat", {EPERM, ENOMEM}},
    Known{SYS_lchown, "lchown", {EPERM, ENOMEM}},
    Known{SYS_fchown, "fchown", {EPERM, ENOMEM}},
    Known{SYS_fchownat, "fchownat", {EPERM, ENOMEM}},
    Known{SYS_chdir, "chdir", {EPERM, ENOMEM}},
    Known{SYS_fsopen, "fsopen", {EPERM, ENOMEM, ENODEV}},
    Known{SYS_fsconfig, "fsconfig", {EBUSY, EPERM, ENOMEM}},
    Known{SYS_fsmount, "fsmount", {EBUSY, EPERM, ENOMEM}},
    Known{SYS_dup, "dup", {EBUSY}},
    Known{SYS_dup2, "dup2", {EBUSY}},
    Known{SYS_pipe2, "pipe2", {ENOMEM}},
    Known{SYS_close_range, "close_range", {ENOMEM}},
    // Sockets.
    Known{SYS_socket, "socket", {ENOBUFS, EPERM, ENOMEM}},
    Known{SYS_bind, "bind", {EPERM, ENOMEM, ENODEV}},
    Known{SYS_connect, "connect", {EINTR, EPERM}},
    Known{SYS_setsockopt, "setsockopt", {ENOBUFS, EBUSY, EPERM, ENOMEM, ENODEV}},
    Known{SYS_getsockopt, "getsockopt", {ENOMEM}},
    Known{SYS_getsockname, "getsockname", {ENOBUFS, ENOMEM}},
    Known{SYS_sendmsg, "sendmsg", {EINTR, ENOBUFS, EPERM, ENOMEM}},
    Known{SYS_sendmmsg, "sendmmsg", {EINTR, ENOBUFS, EPERM, ENOMEM}},
    Known{SYS_sendto, "sendto", {EINTR, ENOBUFS, EPERM, ENOMEM, ENODEV}},
    Known{SYS_recvmsg, "recvmsg", {EINTR, ENOBUFS, ENOMEM}},
    Known{SYS_recvmmsg, "recvmmsg", {EINTR, ENOBUFS, ENOMEM}},
    Known{SYS_recvfrom, "recvfrom", {EINTR, ENOBUFS, ENOMEM}},
    // Waiting.
    Known{SYS_poll, "poll", {EINTR, ENOMEM}},
    Known{SYS_ppoll, "ppoll", {EINTR, ENOMEM}},
    Known{SYS_epoll_wait, "epoll_wait", {EINTR}},
    Known{SYS_epoll_pwait, "epoll_pwait", {EINTR}},
    Known{SYS_epoll_create1, "epoll_create1", {ENOMEM}},
    // Not EPERM: that is said of files that nobody can wait for, as regular ones, and no security module is asked.
    Known{SYS_epoll_ctl, "epoll_ctl", {ENOMEM}},
    Known{SYS_eventfd2, "eventfd2", {ENOMEM, ENODEV}},
    Known{SYS_timerfd_create, "timerfd_create", {EPERM, ENOMEM, ENODEV}},
    // Processes and what they may.
    Known{SYS_execve, "execve", {EPERM, ENOMEM}},
    Known{SYS_clone, "clone", {EPERM, ENOMEM}},
    Known{SYS_clone3, "clone3", {EPERM, ENOMEM}},
    Known{SYS_unshare, "unshare", {EPERM, ENOMEM}},
    Known{SYS_setns, "setns", {EPERM, ENOMEM}},
    Known{SYS_capget, "capget", {EPERM}},
    Known{SYS_capset, "capset", {EPERM}},
    Known{SYS_prctl, "prctl", {EPERM}},
    Known{SYS_setresuid, "setresuid", {EPERM, ENOMEM}},
    Known{SYS_setresgid, "setresgid", {EPERM, ENOMEM}},
    Known{SYS_setgroups, "setgroups", {EPERM, ENOMEM}},
    Known{SYS_setsid, "setsid", {EPERM}},
    Known{SYS_pidfd_open, "pidfd_open", {EPERM, ENOMEM, ENODEV}},
};

constexpr std::array kPure = {SYS_brk,
                              SYS_mmap,
                              SYS_munmap,
                              SYS_mprotect,
                              SYS_mremap,
                              SYS_madvise,
                              SYS_rt_sigaction,
                              SYS_rt_sigprocmask,
                              SYS_rt_sigreturn,
                              SYS_alarm,
                              SYS_setitimer,
                              SYS_arch_prctl,
                              SYS_set_tid_address,
                              SYS_set_robust_list,
                              SYS_rseq,
                              SYS_futex,
                              SYS_sched_yield,
                              SYS_sched_getaffinity,
                              SYS_prlimit64,
                              SYS_getrandom,
                              SYS_clock_gettime,
                              SYS_clock_nanosleep,
                              SYS_gettimeofday,
                              SYS_getpid,
                              SYS_gettid,
                              SYS_getppid,
                              SYS_getuid,
                              SYS_geteuid,
                              SYS_getgid,
                              SYS_getegid,
                              SYS_getgroups,
                              SYS_uname,
                              SYS_sysinfo,
                              SYS_fstat,
                              SYS_stat,
                              SYS_lstat,
                              SYS_newfstatat,
                              SYS_statfs,
                              SYS_fstatfs,
                              SYS_access,
                              SYS_faccessat2,
                              SYS_readlink,
                              SYS_readlinkat,
                              SYS_lseek,
                              SYS_getcwd,
                              SYS_getpeername,
                              SYS_restart_syscall,
                              SYS_timerfd_settime,
                              SYS_exit,
                              SYS_exit_group};

const Known* find(long number) {
  const auto it = std::ranges::find(kKnown, number, &Known::number);
  return it == kKnown.end() ? nullptr : &*it;
}

}  // namespace

std::string call_name(long number) {
  const Known* known = find(number);
  return known == nullptr ? "system call " + std::to_string(number) : known->name;
}

bool counts(long number) {
  return std::ranges::find(kPure, number) == kPure.end();
}

std::span<const int> errors_of(long number) {
  const Known* known = find(number);
  return known == nullptr ? std::span<const int>() : known->errors;
}

}  // namespace vmt::crash
