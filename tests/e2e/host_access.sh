#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# host_access.sh BUILD_DIR [SCENARIO]...: guests of a real libvirtd talk with their host, and leave nothing behind.
#
# Runs the hook and virt-macvtap of BUILD_DIR in a lab of its own (scripts/lab), with guests from BUILD_DIR/guest, which
# is built when missing. Prints "ok - ..." or "not ok - ..." for each check and at last "N passed, N failed". Exit status: 0
# all passed, 1 not so, 77 skipped (not root), which under CI=true is a failure.
#
# After each scenario, the network state of the hypervisor must be what it was before the first.
set -euo pipefail

here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
build=$(cd "${1:?usage: host_access.sh BUILD_DIR [SCENARIO]...}" && pwd)
shift
export LAB=${LAB:-vmte2e}
source_lab=$LAB-from
labs=("$source_lab" "$LAB")

# shellcheck source=tests/e2e/scenarios.sh
. "$here/scenarios.sh"
# shellcheck source=tests/e2e/guest_scenarios.sh
. "$here/guest_scenarios.sh"
# shellcheck source=tests/e2e/life_scenarios.sh
. "$here/life_scenarios.sh"
# shellcheck source=tests/e2e/premade_scenarios.sh
. "$here/premade_scenarios.sh"

# GUEST OP: a call of the hook by hand, with the domain's XML on stdin; prints the hook's notes, which libvirt drops.
hook() { hv "$build/virt-macvtap-hook" "$1" "$2" begin - 2>&1; }

# What the hook has to say about a running guest. To it, "reconnect" changes nothing that is in order.
notes_on() { hook "$1" reconnect < <(hv_virsh dumpxml "$1"); }

# TEXT: the configuration file; none when empty
configure() {
    if [[ $1 ]]; then printf '%b' "$1" | hv tee /etc/virt-macvtap.conf >/dev/null; else hv rm -f /etc/virt-macvtap.conf; fi
}

shims() { hv ip -br link show group 1986884609 | sed 's/[@ ].*//'; }

# N: the guest NIC that check_talk expects
nic() { echo "mac=52:54:00:12:34:$1,parent=eth0,mode=${2:-bridge},address=192.0.2.$1/24,address=2001:db8:1::$1/64"; }

given() { echo "metadata=$(metadata_xml "52:54:00:12:34:$1" "192.0.2.$1" "2001:db8:1::$1")"; }

between_scenarios() { configure ''; }

set_up() {
    lab up
    # A second parent, on a cable of its own: two ports of one LAN would answer each other's ARP.
    ip -n "$LAB-hv" link add eth1 address 52:54:00:ee:00:11 type veth peer name hv1 netns "$LAB-sw"
    ip -n "$LAB-sw" link set hv1 up
    ip -n "$LAB-hv" link set eth1 up
    hv install -D "$build/virt-macvtap-hook" /etc/libvirt/hooks/qemu.d/virt-macvtap
    lab libvirtd
    hv_virsh net-define /dev/stdin >/dev/null <<'XML'
<network>
  <name>lan</name>
  <forward mode='bridge'>
    <interface dev='eth0'/>
  </forward>
</network>
XML
    hv_virsh net-start lan >/dev/null
}

if [[ $# == 0 ]]; then set -- "${guest_scenarios[@]}" "${life_scenarios[@]}" "${premade_scenarios[@]}"; fi
run_scenarios "$@"
