#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# counts.sh BUILD: a test: does the hook among 100 guests make no more system calls, and exchange no more bytes of netlink,
# than beside one: 1.5 times as many at `start`, and twice as many at `release`, on a parent with guests and on one without?
# And does the one remove what the other has made? What `scripts/bench guests` measures, without the clock, so that a dump in
# the wrong place is caught where it is made.
set -euo pipefail
cd "$(dirname "$0")/../.."
skip() { echo "skip: $1"; [[ ${CI-} == true ]] && exit 1; exit 77; }
[[ $EUID == 0 ]] || skip 'needs root'
command -v strace >/dev/null || skip 'needs strace'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
build=$1
ln -s "$build/virt-macvtap" "$build/virt-macvtap-hook" "$work"
. tests/bench/entries.sh
. tests/bench/guests.sh

declare -A pids
guest_xml e0 198.18.15.61 2001:db8:0::f61 >"$work/beside.xml"
guest_xml ex 198.18.240.61 2001:db8:f::61 >"$work/first.xml"
for lab in 1-8 100-8; do
    start_lab "$lab"
    shims=$(in_lab "$lab" ip link show type macvlan | grep -c vmt-)
    # The fewest of three: whatever else happens on the machine may make a call or a wait more, and never one less.
    for _ in 1 2 3; do
        before=$(in_lab "$lab" ip neigh show nud permanent | sort)
        count start "$work/beside.xml" "$work/virt-macvtap-hook" static start begin - >>"$work/$lab.start"
        [[ $(in_lab "$lab" ip route show 198.18.15.61) == *'proto 118'* ]] || { echo "no route among ${lab%-*} guests"; exit 1; }
        count stop "$work/beside.xml" "$work/virt-macvtap-hook" static release end - >>"$work/$lab.stop"
        [[ -z $(in_lab "$lab" ip route show 198.18.15.61; in_lab "$lab" ip route show 2001:db8:0::f61) &&
           $(in_lab "$lab" ip neigh show nud permanent | sort) == "$before" ]] ||
            { echo "not all goes among ${lab%-*} guests"; exit 1; }
        count first "$work/first.xml" "$work/virt-macvtap-hook" static start begin - >>"$work/$lab.first"
        count last "$work/first.xml" "$work/virt-macvtap-hook" static release end - >>"$work/$lab.last"
        [[ $(in_lab "$lab" ip link show type macvlan | grep -c vmt-) == "$shims" ]] ||
            { echo "a shim stays among ${lab%-*} guests"; exit 1; }
    done
done
for what in start stop first last; do
    jq -n -r --slurpfile few "$work/1-8.$what" --slurpfile many "$work/100-8.$what" --arg what "$what" '
      {start: 1.5, first: 1.5, stop: 2, last: 2}[$what] as $most
      | ($few | map(.[$what]) | min_by(.calls)) as $few | ($many | map(.[$what]) | min_by(.calls)) as $many
      | "\($what): \($few.calls) and \($many.calls) calls, \($few.netlink_bytes) and \($many.netlink_bytes) bytes",
        (if $few.netlink_bytes < 1000 then error("\($what) has not talked to the kernel")
         elif $many.calls > $most * $few.calls or $many.netlink_bytes > $most * $few.netlink_bytes
         then error("\($what) costs more where there are more guests") else "ok" end)'
done
