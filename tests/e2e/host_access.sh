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
export GUEST_IMAGES=$build/guest
source_lab=$LAB-from

if [[ $EUID != 0 ]]; then
    echo "skipped: network namespaces and libvirtd need root"
    if [[ ${CI:-} == true ]]; then exit 1; fi
    exit 77
fi

# shellcheck source=tests/e2e/domain.sh
. "$here/domain.sh"
# shellcheck source=tests/e2e/network.sh
. "$here/network.sh"
# shellcheck source=tests/e2e/check.sh
. "$here/check.sh"
# shellcheck source=tests/e2e/guest_scenarios.sh
. "$here/guest_scenarios.sh"
# shellcheck source=tests/e2e/life_scenarios.sh
. "$here/life_scenarios.sh"
# shellcheck source=tests/e2e/premade_scenarios.sh
. "$here/premade_scenarios.sh"

lab() { "$here/../../scripts/lab" "$@" 3>&-; }    # its daemons must not hold our stdout

vmt() { hv "$build/virt-macvtap" "$@"; }

# GUEST OP: a call of the hook by hand, with the domain's XML on stdin; prints the hook's notes, which libvirt drops.
hook() { hv "$build/virt-macvtap-hook" "$1" "$2" begin - 2>&1; }

# What the hook has to say about a running guest. To it, "reconnect" changes nothing that is in order.
notes_on() { hook "$1" reconnect < <(hv_virsh dumpxml "$1"); }

# TEXT: the configuration file; none when empty
configure() {
    if [[ $1 ]]; then printf '%b' "$1" | hv tee /etc/virt-macvtap.conf >/dev/null; else hv rm -f /etc/virt-macvtap.conf; fi
}

shims() { hv ip -br link show group 1986884609 | sed 's/[@ ].*//'; }

# GUEST N WHEN: the guest with the addresses 192.0.2.N and 2001:db8:1::N and its host, both ways
check_talk() {
    check "$3, host reaches $1 by IPv4" reaches hv "192.0.2.$2"
    check "$3, host reaches $1 by IPv6" reaches hv "2001:db8:1::$2"
    check "$3, $1 reaches its host by IPv4" reaches "$1" 192.0.2.10
    check "$3, $1 reaches its host by IPv6" reaches "$1" 2001:db8:1::10
}

# WHEN: what the LAN sees of the host
check_lan() {
    same "$1, the peer has one answer to ARP for the host: the parent's MAC" 52:54:00:ee:00:10 "$(arp_view 192.0.2.10)"
    same "$1, the peer finds the parent's MAC by neighbour discovery" 52:54:00:ee:00:10 "$(ndp_view 2001:db8:1::10)"
    check "$1, the peer reaches the host by IPv4" reaches peer 192.0.2.10
    check "$1, the peer reaches the host by IPv6" reaches peer 2001:db8:1::10
}

check_unchanged() { same "$1, the host's network is as before" "$state_before" "$(network_state)"; }

# N: the guest NIC that check_talk expects
nic() { echo "mac=52:54:00:12:34:$1,parent=eth0,mode=${2:-bridge},address=192.0.2.$1/24,address=2001:db8:1::$1/64"; }

given() { echo "metadata=$(metadata_xml "52:54:00:12:34:$1" "192.0.2.$1" "2001:db8:1::$1")"; }

scenario='' broken_at=''
cleanup() {
    local rc=$? name
    trap '' INT TERM
    exec >&3    # a function that breaks off leaves stdout redirected
    if [[ $scenario ]]; then
        _fail "${scenario//_/ } goes to its end" "exit status $rc at $broken_at"
        verdict || true
    fi
    for name in "$source_lab" "$LAB"; do LAB=$name lab down; done
    if [[ $scenario ]]; then exit 1; fi
}
exec 3>&1
trap cleanup EXIT
set -o errtrace
trap 'broken_at=${BASH_SOURCE[0]##*/}:$LINENO' ERR
trap 'exit 130' INT
trap 'exit 143' TERM

set_up() {
    "$here/../../scripts/guest-image" "$GUEST_IMAGES"
    local name
    for name in "$source_lab" "$LAB"; do LAB=$name lab down; done
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

scenarios=("$@")
if [[ $# == 0 ]]; then scenarios=("${guest_scenarios[@]}" "${life_scenarios[@]}" "${premade_scenarios[@]}"); fi
scenario='setting up'
set_up
state_before=$(network_state)
for scenario in "${scenarios[@]}"; do
    echo "# ${scenario//_/ } ($SECONDS s)"
    "$scenario"
    configure ''
    check_unchanged "after ${scenario//_/ }"
done
scenario=''
echo "# $SECONDS s"
verdict
