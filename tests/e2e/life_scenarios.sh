# shellcheck shell=bash disable=SC2016,SC2034,SC2154    # shares variables with host_access.sh, which sources this
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Scenarios of host_access.sh: does host access survive what happens in a guest's life? Each removes its guests.

life_scenarios=(a_long_life_that_ends_by_kill_9 a_guest_that_migrates_in)

# "reconnect" runs in a thread of its own; domstate waits for the same lock.
restart_libvirtd() {
    lab libvirtd-restart
    hv_virsh domstate "$1" >/dev/null
}

a_long_life_that_ends_by_kill_9() {
    domain_start red "$(nic 61)" "$(given 61)"
    check_talk red 61 "as soon as it is up"

    restart_libvirtd red
    check_talk red 61 "after a restart of libvirtd"

    hv ip link delete "$(shims)"
    check "somebody deletes the shim: host and guest cannot talk" misses hv 192.0.2.61
    restart_libvirtd red
    check_talk red 61 "after the shim's loss and a restart of libvirtd"
    commands_on_red

    hv_virsh managedsave red >/dev/null
    check_unchanged "while the guest is saved"
    hv_virsh start red >/dev/null
    check_talk red 61 "restored"

    hv bash -c 'kill -KILL "$(</run/libvirt/qemu/red.pid)"'
    check "libvirt sees that QEMU was killed" eventually in_state red "shut off"
    check_unchanged "after kill -9"
    domain_remove red
}

# status, plan, sync and clean, while the guest "red" runs
commands_on_red() {
    status_agrees "with one guest"
    same "and finds nothing wrong" "" "$(health)"
    hv ip link delete "$(shims)"
    check "plan sees that the shim is missing" grep -q . <<<"$(vmt plan)"
    same "plan changes nothing" "" "$(shims)"
    check "sync succeeds" vmt sync
    check_talk red 61 "after sync"
    same "a second sync has nothing to do" "[]" "$(vmt plan --json | jq -c '.changes')"
    check "clean succeeds" vmt clean
    same "after clean no shim, route or neighbour of ours is left" "" \
        "$(shims; hv ip route show proto 118; hv ip -6 route show proto 118; hv ip neigh show nud permanent)"
    check "after clean host and guest cannot talk" misses hv 192.0.2.61
    check "sync gives it back" vmt sync
    check_talk red 61 "after clean and sync"
}

# The host it comes from has no hook.
a_guest_that_migrates_in() {
    local shared
    LAB=$source_lab lab up
    # The two labs share /dev, and /dev/tapN is named after the interface index: the guest must not get the same N in both.
    for _ in {1..50}; do
        ip -n "$source_lab-hv" link add used type bridge
        ip -n "$source_lab-hv" link delete used
    done
    LAB=$source_lab lab libvirtd
    LAB=$source_lab domain_start red "$(nic 61)" "$(given 61)"
    shared=$(mktemp -d)
    check "the guest migrates" virsh -q -c "$(libvirtd_uri "$source_lab")" migrate red "$(libvirtd_uri "$LAB")" \
        --live --persistent --undefinesource --migrateuri "unix://$shared/socket"
    rm -r "$shared"
    LAB=$source_lab lab down
    check_talk red 61 "migrated in"
    check_lan "with a guest that migrated in"
    domain_remove red
}

# The same facts out of `status --json`, and out of `ip -j`.
said_by_status() {
    vmt status --json eth0 | jq -S '.parents[0] |
        {name, ifindex, mac, addresses: (.addresses | sort), shim: (.shim | {name, ifindex, mac, proxied}),
         guests: [.guests[] | {name, mac, device, ifindex, mode}] | sort_by(.device),
         routes: [.guests[].addresses[] | {address, source}] | sort}'
}

said_by_ip() {
    local links addresses routes proxied names name
    links=$(hv ip -j -d link)
    addresses=$(hv ip -j address show dev eth0 scope global)
    routes=$({ hv ip -j route show proto 118; hv ip -j -6 route show proto 118; } | jq -s add)
    proxied=$(hv ip -j -6 neigh show proxy)
    names=$(for name in $(hv_virsh list --name); do
                hv_virsh domiflist "$name" | awk -v name="$name" 'NF {print $5, name}'
            done | jq -R 'split(" ") | {(.[0]): .[1]}' | jq -s 'add // {}')
    jq -n -S --argjson links "$links" --argjson addresses "$addresses" --argjson routes "$routes" \
        --argjson proxied "$proxied" --argjson names "$names" '
        ($links[] | select(.ifname == "eth0")) as $eth0 |
        ($links[] | select(.group == "1986884609")) as $shim |
        {name: "eth0", ifindex: $eth0.ifindex, mac: $eth0.address,
         addresses: [$addresses[].addr_info[] | select(.local) | "\(.local)/\(.prefixlen)"] | sort,
         shim: {name: $shim.ifname, ifindex: $shim.ifindex, mac: $shim.address,
                proxied: [$proxied[] | select(.dev == $shim.ifname).dst]},
         guests: [$links[] | select(.linkinfo.info_kind == "macvtap" and .link == "eth0") |
                  {name: $names[.address], mac: .address, device: .ifname, ifindex, mode: .linkinfo.info_data.mode}] |
                 sort_by(.device),
         routes: [$routes[] | {address: .dst, source: .prefsrc}] | sort}'
}

status_agrees() {
    same "$1, status says of links, addresses and routes what ip says, and the guests' names" \
        "$(said_by_ip || echo 'ip: no answer')" "$(said_by_status || echo 'status: no answer')"
}

health() { vmt status --json | jq -r '.health[], .parents[].health[]'; }
