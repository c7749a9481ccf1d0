#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# watch.sh BUILD_DIR [guests | trouble | SCENARIO]...: with `virt-macvtap watch` running, guests that nobody configured talk
# with their host as soon as they have an address, whatever happens to guests, host and watcher. No hook is installed but where it is said.
#
# Runs as host_access.sh does, which see. After each scenario the watcher still runs, the hypervisor's network is as before
# the first, and the LAN has seen nobody but the parent say by ARP that it is the host.
set -euo pipefail

here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
build=$(cd "${1:?usage: watch.sh BUILD_DIR [guests | trouble | SCENARIO]...}" && pwd)
shift
export LAB=${LAB:-vmtwatch}
labs=("$LAB")

# shellcheck source=tests/e2e/scenarios.sh
. "$here/scenarios.sh"
# shellcheck source=tests/e2e/timing.sh
. "$here/timing.sh"
# shellcheck source=tests/e2e/watcher.sh
. "$here/watcher.sh"
# shellcheck source=tests/e2e/vmm.sh
. "$here/vmm.sh"
# shellcheck source=tests/e2e/watch_scenarios.sh
. "$here/watch_scenarios.sh"
# shellcheck source=tests/e2e/watch_trouble_scenarios.sh
. "$here/watch_trouble_scenarios.sh"

mac() { echo "52:54:00:12:34:$1"; }

# N [WORD]...: a NIC as everybody has it, and what the guest does with it (scripts/guest-image)
plain() {
    local item word
    item="mac=$(mac "$1"),parent=eth0,mode=bridge"
    for word in "${@:2}"; do item+=",address=$word"; done
    echo "$item"
}

# N: the addresses of check_talk's guest, which it announces: by ARP, and by duplicate detection
static() { echo "dad announce 192.0.2.$1/24 2001:db8:1::$1/64"; }

slaac_of() { echo "2001:db8:1:0:5054:ff:fe12:34$1"; }

shims() { hv ip -br link show group 1986884609 | sed 's/[@ ].*//'; }

no_shims() { [[ -z $(shims) ]]; }

# shellcheck disable=SC2016    # for a shell in hv
# What the host has for its guests: "ADDRESS dev SHIM MAC src SOURCE", by address.
routes() {
    hv bash -c 'for family in 4 6; do
            ip -j -$family route show proto 118 | jq -r ".[] | \"\(.dst) \(.dev) \(.prefsrc)\""
        done | while read -r guest shim source; do
            echo "$guest dev $shim $(ip -j neigh show "$guest" dev "$shim" | jq -r ".[0].lladdr") src $source"
        done | sort'
}

has_routes() { [[ $(routes | cut -d ' ' -f 1 | xargs) == "$*" ]]; }    # exactly to these addresses, in order

# shellcheck disable=SC2016    # for a shell on the peer
# What the LAN sees: ARP in the host's name from others than its parent, and than the guest that is meant to be hostile. It
# goes on until the lab goes.
overhear() {
    local file
    file=$(mktemp)
    exec {overheard}>"$file"
    rm "$file"
    peer tcpdump -l -n -e -t -i eth0 \
        "arp and arp[14:4] == 0xc000020a and not (arp[8:4] == 0x525400ee and arp[12:2] == 0x0010) and not ether src $(mac 69)" \
        >&"$overheard" 2>/dev/null 3>&- &
    # It has a packet socket when it listens.
    check "the LAN is listened to" eventually peer bash -c '[[ $(wc -l </proc/net/packet) -gt 1 ]]'
}

between_scenarios() {
    local name=${scenario//_/ }
    check "the watcher still runs after $name" watch_runs
    check "its last shim goes" eventually no_shims
    check_unchanged "beside an idle watcher"
    watch_stop
    if [[ $checks_failed != "$failed_before" ]]; then watch_log | tail -n 30 | sed 's/^/#   watcher: /'; fi
    failed_before=$checks_failed
    heard=$(cat "/proc/$$/fd/$overheard")
    same "nobody else has spoken as the host on the LAN" "$heard_before" "$heard"
    heard_before=$heard
    peer ip neigh flush dev eth0    # the next guests have the same addresses, with other MACs
}

set_up() {
    local n
    local -a leases=()
    for n in {61..69}; do leases+=("$(mac "$n")=192.0.2.$n"); done
    lab up
    # As systemd has it: else the second address of a network goes with the first.
    hv sysctl -qw net.ipv4.conf.eth0.promote_secondaries=1
    lab dhcp "${leases[@]}"
    lab libvirtd
    overhear
    failed_before=$checks_failed heard_before=''
}

if [[ $# == 0 ]]; then set -- guests trouble; fi
scenarios=()
for word; do
    case $word in
        guests) scenarios+=("${watch_scenarios[@]}") ;;
        trouble) scenarios+=("${watch_trouble_scenarios[@]}") ;;
        *) scenarios+=("$word") ;;
    esac
done
run_scenarios "${scenarios[@]}"
