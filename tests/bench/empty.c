/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The floor: what the machine charges for a process that does nothing. */
int main(void) { return 0; }
