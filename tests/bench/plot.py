#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# plot.py REPORT SVG: draws the part "guests" of a report of `scripts/bench --json`: how what one guest costs grows with the
# guests that the host has. Needs python3-matplotlib.
import json
import re
import sys

import matplotlib

matplotlib.use('svg')
matplotlib.rcParams['svg.hashsalt'] = 'growth'  # the same picture from the same figures
matplotlib.rcParams['svg.fonttype'] = 'none'
import matplotlib.pyplot as plt

TIMES = (('start', 'start'), ('stop', 'stop'), ('floor-start', "start, the kernel's floor"), ('floor-stop', "stop, the kernel's floor"),
         ('status', 'status --json'), ('plan', 'plan'), ('libvirt', "plan, libvirt's part"))
COUNTS = (('start', 'calls', 'start: system calls'), ('stop', 'calls', 'stop: system calls'),
          ('start', 'netlink_bytes', 'start: bytes of netlink'), ('stop', 'netlink_bytes', 'stop: bytes of netlink'))


def main():
    report = json.load(open(sys.argv[1]))
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.8))
    for parents, style in ((8, '-'), (1, ':')):
        rows = [row for row in report['parts']['guests'] if row['parents'] == parents]
        guests = [row['guests'] for row in rows]

        def draw(axes, values, colour, label):
            axes.plot(guests, values, style, color=colour, marker='.', label=label if parents == 8 else None)

        for i, (key, label) in enumerate(TIMES):
            draw(left, [row['us'][key]['p10_us'] / 1000 for row in rows], f'C{i}', label)
        draw(left, [row['learn_ms'] for row in rows], 'C8', 'frame to route (100 ms of patience)')
        for i, (what, key, label) in enumerate(COUNTS):
            draw(right, [row['counts'][what][key] / rows[0]['counts'][what][key] for row in rows], f'C{i}', label)
    left.set_ylabel('milliseconds (tenth percentile: as undisturbed as it gets)')
    right.set_ylabel('times what it is at 1 guest')
    for axes in (left, right):
        axes.set_xscale('log')
        axes.set_yscale('log')
        axes.set_xticks([1, 10, 100, 1000], ['1', '10', '100', '1,000'])
        axes.minorticks_off()
        axes.set_xlabel('guests on the host (on 8 parents; dotted: on one)')
        axes.grid(alpha=0.3)
    left.legend(fontsize=6, loc='upper left')
    right.legend(fontsize=7)
    machine = re.sub(r'(Linux \d+\.\d+).*', r'\1', report['machine'])
    figure.suptitle(f'virt-macvtap: growth, {machine}', fontsize=10)
    figure.tight_layout()
    figure.savefig(sys.argv[2], metadata={'Date': None})


main()
