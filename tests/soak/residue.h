// SPDX-License-Identifier: LGPL-2.1-or-later
// What is there that can be left behind? Taken before and after; the difference has to be nothing.
//
// The part has network, mount and PID namespaces of its own, so what it counts there is its own and has to be the same
// to the last one. What the kernel keeps in caches is counted for the whole machine, by others as well: of that there
// may be a tenth of an object for each turn more, so that an object lost in every turn, or in every fifth, is found,
// and it has half a minute to be so, as what is lost stays so and what others use comes and goes.
#pragma once

#include <map>
#include <span>
#include <string>

#include "tests/soak/report.h"

namespace vmt::soak {

struct Residue {
  std::string network;                  // links, addresses, routes, neighbours, rules, sysctls, namespaces' numbers
  std::map<std::string, long> counts;   // links, namespaces, sockets, processes, our own fds
  std::map<std::string, long> objects;  // of the kernel's caches that network devices and namespaces are made of
  long kernel_kib = 0;                  // what the kernel cannot give back: slab, per-CPU, page tables, stacks
};

Residue take_residue();

// What is more than before, after `turns` of something.
void expect_no_residue(Report& report, const Residue& before, std::size_t turns);

// Their nodes in /dev, which is one for all namespaces.
void expect_no_tap_nodes(Report& report, std::span<const unsigned> indices);

}  // namespace vmt::soak
