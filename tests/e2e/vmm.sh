# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2154    # commas in QEMU's words; what stands in single quotes is for a shell in hv
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Functions to start a guest's QEMU by hand, and to see it go. Source it after scenarios.sh.
#
#   as USER COMMAND...            run a command on the hypervisor as this user, with no privilege
#   qemu_words NAME WORDS         set the array `qemu`: a command that starts the guest, with WORDS for its kernel, but
#                                 without a NIC. domain.sh's guest_wait and guest_run know the guest.
#   nic_words MAC N               the kernel word of the guest's NIC with 192.0.2.N and 2001:db8:1::N
#   pid_of NAME                   the guest's QEMU, on the hypervisor
#   check_guest NAME N MAC WHEN   the guest is on the LAN, with its own MAC; and, with `host up`, its host reaches it
#   check_killed NAME NICS        kill -9 of its QEMU takes away that many devices, at once
#   devices_of NAME               what `list` says of the guest's devices: JSON

as() {
    local user=$1
    shift
    hv setpriv --reuid "$user" --regid "$user" --init-groups --inh-caps=-all -- \
        env -i "HOME=/var/home/$user" "USER=$user" "XDG_RUNTIME_DIR=/run/user/$user" LC_ALL=C \
        PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" 3>&-
}

qemu_words() {
    local images=/var/lib/libvirt/images
    qemu=(qemu-system-x86_64 -name "guest=$1" -machine q35,accel=tcg -m 128 -nodefaults -no-user-config -display none
          -daemonize -kernel "$images/vmlinuz" -initrd "$images/initrd" -append "console=ttyS0 quiet $2" -serial chardev:tty
          -chardev "socket,id=tty,path=/var/lib/libvirt/qemu/$1.console,server=on,wait=off,logfile=$(console_log "$1")")
    hv rm -f "$(console_log "$1")" "/var/lib/libvirt/qemu/$1.console"    # perhaps another user's
}

console_log() { echo "/var/log/libvirt/qemu/$1-console.log"; }

nic_words() { echo "vmt.nic=$1,192.0.2.$2/24,2001:db8:1::$2/64"; }

pid_of() { hv pgrep -f -- "-name guest=$1( |,)"; }

check_guest() {
    check_lan_talk "$1" "$2" "$4"
    same "$4, one answers to ARP for $1: its own MAC" "$3" "$(arp_view "192.0.2.$2")"
    same "$4, the peer's neighbour for $1 has its own MAC" "$3" "$(ndp_view "2001:db8:1::$2")"
    check "$4, host up succeeds for $1" vmt host up eth0 --guest "192.0.2.$2" --guest "2001:db8:1::$2"
    check "$4 and with host up, $1 reaches its host by IPv6" reaches "$1" 2001:db8:1::10
    check_talk "$1" "$2" "$4 and with host up"
    check_lan "$4 and with host up"
}

devices_of() { vmt list --json | jq -c --argjson pid "$(pid_of "$1")" '[.devices[] | select(.holders[0].pid == $pid)]'; }

# PID NICS NODE...: kills it, and prints how many ms later that many devices on eth0 are gone: namespaces by their
# numbers, devices by the parent, which takes all multicast frames once for each (the number goes before the device
# does), and nodes in /dev. Fails when not within 5 s.
milliseconds_to_gone() {
    hv bash -euo pipefail -c 'pid=$1 nics=$2
        shift 2
        look() {
            local numbers details
            mapfile -t numbers < <(ip netns list-id)
            details=$(ip -d link show eth0)
            [[ $details =~ allmulti\ ([0-9]+) ]]
            now="${#numbers[@]} ${BASH_REMATCH[1]}"
            for node; do [[ ! -e $node ]] || now+=" $node"; done
        }
        look
        wanted="$((${now%% *} - nics)) $(($(cut -d " " -f 2 <<<"$now") - nics))"
        begin=${EPOCHREALTIME/./}
        kill -KILL "$pid"
        while look "$@"; now_at=${EPOCHREALTIME/./}; [[ $now != "$wanted" ]]; do
            if ((now_at - begin > 5000000)); then
                echo "numbers, all-multicast count, nodes: $now; wanted: $wanted"
                exit 1
            fi
        done
        echo $(((now_at - begin) / 1000))' bash "$@"
}

check_killed() {
    local devices pid ms
    local -a nodes
    devices=$(devices_of "$1")
    mapfile -t nodes < <(jq -r '.[] | "/dev/tap\(.ifindex)"' <<<"$devices")
    same "list has the devices of $1" "$2" "${#nodes[@]}"
    check "and their nodes are there" hv stat "${nodes[@]}"
    pid=$(pid_of "$1")
    ms=$(milliseconds_to_gone "$pid" "$2" "${nodes[@]}") || true
    check "kill -9 of $1: device, network namespace and /dev/tapN are gone within 100 ms ($ms ms)" test "$ms" -le 100
    echo "# kill -9 of $1: gone after $ms ms"
    same "and list has none of them" "[]" \
        "$(vmt list --json | jq -c --argjson gone "$devices" '[.devices[].ifindex] as $now |
            [$gone[].ifindex | select(IN($now[]))]')"
}
