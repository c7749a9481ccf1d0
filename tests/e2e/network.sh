# shellcheck shell=bash disable=SC2016    # what stands in single quotes is for a shell in hv
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Functions that look at the network of scripts/lab, as somebody on it or in front of it does. Source it after domain.sh.
#
#   node_run NODE COMMAND...      run a command on hv, on peer, or in the guest of that name
#   reaches NODE ADDRESS          one ping must be answered; prints what ping says
#   misses NODE ADDRESS           no ping may be answered within a second
#   arp_view ADDRESS              the MACs that answer one ARP request of the peer, a line per answer
#   ndp_view ADDRESS              the MAC that the peer knows, after asking anew, for an IPv6 address
#   network_state                 all of hv's network configuration, for comparing before and after
#   network_summary               what of it a reader wants to see when something is wrong
#   machine_state                 links, addresses, routes and namespaces of the machine that the lab runs on

peer() { "${_lab:?source domain.sh first}" exec peer "$@"; }

node_run() {
    local node=$1
    shift
    case $node in
        hv | peer) "$node" "$@" ;;
        *) guest_run "$node" "$*" ;;
    esac
}

# An idle machine answers in milliseconds; the bound leaves room for a busy one.
reaches() { node_run "$1" ping -c 1 -W 5 "$2"; }

misses() { ! node_run "$1" ping -c 1 -W 1 "$2"; }

# What comes after the first answer is what we look for: the wait goes on to its end.
arp_view() { peer arping -r -c 1 -W 0.3 -i eth0 "$1"; }

ndp_view() {
    peer ip -6 neigh flush to "$1" dev eth0
    peer ping -c 1 -W 5 "$1" >/dev/null
    peer ip -6 neigh show to "$1" dev eth0 | sed -n 's/.*lladdr \([0-9a-f:]*\).*/\1/p'
}

# Without counters, life times, and what the kernel learns by itself. An interface index appears only where something
# that was there before carries it, so a guest's come and go does not show.
network_state() {
    hv bash -c '
        # A link-local address is tentative for a moment even without duplicate detection.
        for _ in {1..200}; do
            if [[ -z $(ip -6 address show tentative) ]]; then break; fi
            sleep 0.01
        done
        ip -d link
        ip address | grep -v valid_lft
        # In the order in which they were joined.
        ip maddress | awk "/^[0-9]/ {device = \$0; next} {print device, \$0}" | sort
        ip -4 rule; ip -6 rule
        { ip -4 route show table all; ip -6 route show table all; } | sort
        { ip neigh show nud permanent; ip -4 neigh show proxy; ip -6 neigh show proxy; } | sort
        # Asking which devices are in other namespaces gives our own one a number, which it keeps.
        # lsns goes through all processes of the machine, and says nothing when one ends meanwhile.
        own=
        for _ in {1..100}; do
            if [[ $own ]]; then break; fi
            own=$(lsns -n -t net -o NETNSID -p $$ | xargs)
        done
        [[ $own ]] || echo "lsns does not tell this namespace from others"
        ip netns list-id | grep -vx "nsid $own "
        cd /proc/sys/net && grep -rs . ipv4 ipv6 | grep -v stable_secret | sort'
}

network_summary() {
    hv bash -c '
        ip -br link
        ip -br address
        { ip -4 route; ip -6 route; } | grep -v fe80
        { ip neigh show nud permanent; ip -6 neigh show proxy; }
        virsh -q -c qemu:///system list --all'
}

machine_state() {
    ip -br link
    ip -br address
    ip -4 route show table all
    ip -6 route show table all
    ip netns
}
