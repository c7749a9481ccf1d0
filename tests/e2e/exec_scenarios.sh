# shellcheck shell=bash disable=SC2016,SC2034,SC2154    # shares variables with tap_paths.sh, which sources this
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Scenarios of tap_paths.sh: `virt-macvtap exec`. Each removes its guests.

exec_scenarios=(guests_that_exec_starts)

# What a guest says of its own NIC.
mac_inside() { guest_run "$1" "cat /sys/class/net/eth0/address"; }

# Through which queues of its only NIC a guest with four processors has got frames.
queues_used() { guest_run "$1" "awk '/virtio0-input/ && \$2 + \$3 + \$4 + \$5 > 0 {print \$NF}' /proc/interrupts"; }

# Flows enough for each queue to get some; nobody listens.
send_flows() {
    peer bash -c 'for port in {5001..5064}; do echo . >"/dev/udp/$1/$port"; done' bash "$1"
}

start_exec_guests() {
    qemu_words one "$(nic_words '{0.mac}' 61)"
    check "exec starts a guest with one queue" vmt exec --nic parent=eth0,mac=52:54:00:12:34:61 -- "${qemu[@]}" \
        -netdev 'tap,id=n0,fd={0.fd}' -device 'virtio-net-pci,netdev=n0,mac={0.mac}' 3>&-
    qemu_words four "$(nic_words '{0.mac}' 62)"
    check "with four queues, as an ordinary user" vmt exec --user alice --nic parent=eth0,mac=52:54:00:12:34:62,queues=4 -- "${qemu[@]}" -smp 4 \
        -netdev 'tap,id=n0,fds={0.fds},vhostfds={0.vhostfds}' \
        -device 'virtio-net-pci,netdev=n0,mac={0.mac},mq=on,vectors=10' 3>&-
    qemu_words auto "$(nic_words '{0.mac}' 63)"
    check "as an ordinary user, with a MAC from a name" vmt exec --user alice --nic parent=eth0,mac=auto:auto -- \
        "${qemu[@]}" -netdev 'tap,id=n0,fd={0.fd}' -device 'virtio-net-pci,netdev=n0,mac={0.mac}' 3>&-
    qemu_words two "$(nic_words '{0.mac}' 64) $(nic_words '{1.mac}' 65)"
    check "with two NICs" vmt exec --nic parent=eth0,mac=52:54:00:12:34:64 --nic parent=eth0 -- "${qemu[@]}" \
        -netdev 'tap,id=n0,fd={0.fd}' -device 'virtio-net-pci,netdev=n0,mac={0.mac}' \
        -netdev 'tap,id=n1,fd={1.fd}' -device 'virtio-net-pci,netdev=n1,mac={1.mac}' 3>&-
}

guests_that_exec_starts() {
    local auto second name
    start_exec_guests
    for name in one four auto two; do guest_wait "$name"; done

    check_guest one 61 52:54:00:12:34:61 "started by exec"

    check_guest four 62 52:54:00:12:34:62 "with four queues"
    same "QEMU has the four queues" 4 "$(devices_of four | jq '.[0].queues')"
    send_flows 192.0.2.62
    same "the guest gets frames through each of them" 4 "$(queues_used four | sort -u | grep -c .)"

    auto=$(mac_inside auto)
    check_guest auto 63 "$auto" "as an ordinary user"
    same "QEMU runs as that user, without a privilege" "64101 0000000000000000" \
        "$(hv awk '/^Uid|^CapPrm/ {print $2}' "/proc/$(pid_of auto)/status" | xargs)"

    # Else each NIC would answer for the addresses of both.
    guest_run two "echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore"
    check_guest two 64 52:54:00:12:34:64 "with two NICs"
    second=$(guest_run two "cat /sys/class/net/eth1/address")
    check "the second NIC has a MAC of its own" test "$second" != 52:54:00:12:34:64
    same "and the LAN finds it there by ARP" "$second" "$(arp_view 192.0.2.65)"
    same "and by neighbour discovery" "$second" "$(ndp_view 2001:db8:1::65)"

    check_killed one 1
    check_killed four 1
    check_killed auto 1
    check_killed two 2
    same "the same name gives the same MAC again" "$auto" \
        "$(vmt exec --nic parent=eth0,mac=auto:auto -- sh -c 'echo {0.mac} # {0.fd}')"
}
