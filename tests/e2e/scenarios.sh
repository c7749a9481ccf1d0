# shellcheck shell=bash disable=SC2154    # shares variables with whoever sources this
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the end-to-end tests have in common: scenarios, one after the other, in a lab of their own, which is left as it was.
# Source it with `build`, the build directory, `LAB` and `labs`, the names of all labs there will be, set. It brings
# domain.sh, network.sh and check.sh, and skips (77) without root, which under CI=true is a failure.
#
#   vmt ARGUMENT...               virt-macvtap on the hypervisor
#   check_talk GUEST N WHEN       the guest with the addresses 192.0.2.N and 2001:db8:1::N and its host, both ways
#   check_lan_talk GUEST N WHEN   the same guest and the peer
#   check_lan WHEN                what the LAN sees of the host
#   check_unchanged WHEN          the hypervisor's network is as it was before the first scenario
#   run_scenarios FUNCTION...     calls set_up, then each scenario, and between_scenarios after each; gives the verdict
#
# After each scenario, the network state of the hypervisor must be what it was before the first.

if [[ $EUID != 0 ]]; then
    echo "skipped: network namespaces and libvirt need root"
    if [[ ${CI:-} == true ]]; then exit 1; fi
    exit 77
fi

_here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
export GUEST_IMAGES=$build/guest
# shellcheck source=tests/e2e/domain.sh
. "$_here/domain.sh"
# shellcheck source=tests/e2e/network.sh
. "$_here/network.sh"
# shellcheck source=tests/e2e/check.sh
. "$_here/check.sh"

lab() { "$_here/../../scripts/lab" "$@" 3>&-; }    # its daemons must not hold our stdout

vmt() { hv "$build/virt-macvtap" "$@"; }

check_talk() {
    check "$3, host reaches $1 by IPv4" reaches hv "192.0.2.$2"
    check "$3, host reaches $1 by IPv6" reaches hv "2001:db8:1::$2"
    check "$3, $1 reaches its host by IPv4" reaches "$1" 192.0.2.10
    check "$3, $1 reaches its host by IPv6" reaches "$1" 2001:db8:1::10
}

check_lan_talk() {
    check "$3, the peer reaches $1 by IPv4" reaches peer "192.0.2.$2"
    check "$3, the peer reaches $1 by IPv6" reaches peer "2001:db8:1::$2"
    check "$3, $1 reaches the peer by IPv4" reaches "$1" 192.0.2.1
    check "$3, $1 reaches the peer by IPv6" reaches "$1" 2001:db8:1::1
}

check_lan() {
    same "$1, the peer has one answer to ARP for the host: the parent's MAC" 52:54:00:ee:00:10 "$(arp_view 192.0.2.10)"
    same "$1, the peer finds the parent's MAC by neighbour discovery" 52:54:00:ee:00:10 "$(ndp_view 2001:db8:1::10)"
    check "$1, the peer reaches the host by IPv4" reaches peer 192.0.2.10
    check "$1, the peer reaches the host by IPv6" reaches peer 2001:db8:1::10
}

check_unchanged() { same "$1, the host's network is as before" "$state_before" "$(network_state)"; }

labs_down() {
    local name
    for name in "${labs[@]}"; do LAB=$name lab down; done
}

scenario='' broken_at=''
cleanup() {
    local rc=$?
    trap '' INT TERM
    exec >&3    # a function that breaks off leaves stdout redirected
    if [[ $scenario ]]; then
        _fail "${scenario//_/ } goes to its end" "exit status $rc at $broken_at"
        verdict || true
    fi
    labs_down
    if [[ $scenario ]]; then exit 1; fi
}
exec 3>&1
trap cleanup EXIT
set -o errtrace
trap 'broken_at=${BASH_SOURCE[0]##*/}:$LINENO' ERR
trap 'exit 130' INT
trap 'exit 143' TERM

run_scenarios() {
    scenario='setting up'
    "$_here/../../scripts/guest-image" "$GUEST_IMAGES"
    labs_down    # of a run that was killed
    set_up
    state_before=$(network_state)
    local began passed
    for scenario; do
        began=$SECONDS passed=$checks_passed _unsaid=''
        echo "# ${scenario//_/ }"
        "$scenario"
        between_scenarios
        check_unchanged "after ${scenario//_/ }"
        echo "# $((checks_passed - passed)) are well ($((SECONDS - began)) s)"
    done
    scenario=''
    echo "# $SECONDS s"
    verdict
}
