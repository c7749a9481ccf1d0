#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# lists.sh BUILD: a test: does the code that calls run lie together? Nine tenths of what the lists of scripts/order-code
# name have to be there: functions change their names, and a list of names that nobody has any more orders nothing.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

failures=0
while read -r program list; do
    named=$(grep -c '^    \*' "$list")
    # The map repeats each name, and below it the sections that it has found.
    placed=$(sed -n '/^\.text\.first/,/^\.text /p' "$1/$program.map" |
        awk '/^ \*fill\*/ {next} /^ \*/ {name = 1; next} /^ \.text/ && name {placed++; name = 0} END {print placed + 0}')
    echo "$program: $placed of $named names have their code"
    if [[ $named -lt 100 || $((10 * placed)) -lt $((9 * named)) ]]; then
        echo "FAIL: $list is out of date: run scripts/order-code"
        failures=$((failures + 1))
    fi
done <<LISTS
virt-macvtap-hook hooks/first.ld
qemu-macvtap-helper helper/tap/first.ld
virt-macvtap helper/cli/first.ld
LISTS
exit "$((failures > 0))"
