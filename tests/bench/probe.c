/* SPDX-License-Identifier: LGPL-2.1-or-later
 * The command that `virt-macvtap exec` is measured with: it sends the tap that it was given to the bench, as a helper
 * would. Without libc, whose start-up would be most of it.
 *   probe TAP SOCKET */
#include <sys/socket.h>
#include <sys/syscall.h>

static long call(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return result;
}

static int number_of(const char *text) {
  int value = 0;
  while (*text) value = 10 * value + *text++ - '0';
  return value;
}

__attribute__((used)) void run(const long *stack) {
  char **argv = (char **)(stack + 1);
  char byte = 0;
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec data = {&byte, 1};
  struct msghdr message = {0, 0, &data, 1, &control, sizeof control.room, 0};
  control.header.cmsg_level = SOL_SOCKET;
  control.header.cmsg_type = SCM_RIGHTS;
  control.header.cmsg_len = CMSG_LEN(sizeof(int));
  *(int *)CMSG_DATA(&control.header) = number_of(argv[1]);
  call(SYS_exit_group, call(SYS_sendmsg, number_of(argv[2]), (long)&message, 0) != 1, 0, 0);
}

__asm__(".globl _start\n_start: mov %rsp, %rdi\nand $-16, %rsp\ncall run\n");
