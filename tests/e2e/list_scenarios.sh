# shellcheck shell=bash disable=SC2016,SC2034,SC2154    # shares variables with tap_paths.sh, which sources this
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Scenarios of tap_paths.sh: `virt-macvtap list` while there is a guest of each kind. Each removes its guests.

list_scenarios=(a_list_of_all_kinds)

# PID...: name, MAC, holder and number of queues of each tap, a line each, as the taps themselves say it.
said_by_taps() {
    hv python3 -c '
import collections, ctypes, fcntl, os, struct, sys
TUNGETIFF, SIOCGIFHWADDR, PIDFD_GETFD = 0x800454d2, 0x8927, 438
for pid in map(int, sys.argv[1:]):
    queues = collections.Counter()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        if not os.readlink(f"/proc/{pid}/fd/{fd}").startswith("/dev/tap"):
            continue
        tap = ctypes.CDLL(None).syscall(PIDFD_GETFD, os.pidfd_open(pid), int(fd), 0)
        name = fcntl.ioctl(tap, TUNGETIFF, bytes(40))[:16].rstrip(b"\0").decode()
        mac = fcntl.ioctl(tap, SIOCGIFHWADDR, bytes(40))[18:24].hex(":")
        queues[f"{name} {mac} {pid}"] += 1
    for tap, count in queues.items():
        print(tap, count)
' "$@" | sort
}

taps_said_by_list() {
    vmt list --json | jq -r '.devices[] | select(.kind == "macvtap") | "\(.name) \(.mac) \(.holders[].pid) \(.queues)"' | sort
}

# The devices of this namespace, out of `list --json` and of `ip -j`.
links_said_by_list() {
    vmt list --json | jq -c '.devices[] | select(.nsid == null) | [.name, .ifindex, .kind, .parent, .mode, .mac, .mtu]' | sort
}

links_said_by_ip() {
    hv ip -d -j link | jq -c '.[] | select(.linkinfo.info_kind | IN("macvtap", "macvlan")) |
        [.ifname, .ifindex, .linkinfo.info_kind, .link, .linkinfo.info_data.mode, .address, .mtu]' | sort
}

# For whom each device is: MAC, use, user, guest.
uses_said_by_list() {
    vmt list --json | jq -r '.devices[] | select(.kind == "macvtap") | "\(.mac[-2:]) \(.use) \(.user) \(.domain.name)"' | sort
}

a_list_of_all_kinds() {
    local name
    local -a pids=()
    vmt create tap-a --parent eth0 --mac 52:54:00:12:34:62 >/dev/null
    vmt create tap-b --parent eth0 --mac 52:54:00:12:34:66 --owner alice >/dev/null
    start_session
    domain_launch direct mac=52:54:00:12:34:61,parent=eth0,mode=bridge
    domain_launch standing mac=52:54:00:12:34:62,target=tap-a
    qemu_words exec quiet
    vmt exec --nic parent=eth0,mac=52:54:00:12:34:63,queues=2 -- "${qemu[@]}" -netdev 'tap,id=n0,fds={0.fds}' \
        -device 'virtio-net-pci,netdev=n0,mac={0.mac},mq=on' 3>&-
    start_with_helper alice helper 64 bridge,br=eth0/52:54:00:12:34:64
    start_in_session session 65 "$(bridge_interface 65 eth0/52:54:00:12:34:65)"
    start_in_session owned 66 "<interface type='ethernet'><mac address='52:54:00:12:34:66'/>
        <target dev='tap-b' managed='no'/><model type='virtio'/></interface>"
    vmt host up eth0 --guest 192.0.2.61 >/dev/null

    for name in direct standing exec helper session owned; do pids+=("$(pid_of "$name")"); done
    same "there are six guests" 6 "${#pids[@]}"
    same "list says of names, MACs, processes and queues what the taps say" "$(said_by_taps "${pids[@]}")" \
        "$(taps_said_by_list)"
    same "and of the devices in this namespace what ip says" "$(links_said_by_ip)" "$(links_said_by_list)"
    same "these are four: libvirt's, two that stand, and the shim" 4 "$(links_said_by_list | grep -c .)"
    same "list says for whom each one is" "61 null null direct
62 standing null standing
63 user root null
64 user alice null
65 user alice null
66 standing null null" "$(uses_said_by_list)"
    same "every device's holder is QEMU" "qemu-system-x86" \
        "$(vmt list --json | jq -r '.devices[].holders[].command' | sort -u)"

    domain_remove standing
    domain_remove direct
    session destroy owned
    session destroy session
    stop_session
    hv kill -KILL "$(pid_of exec)" "$(pid_of helper)"
    check "with the guests go their devices" eventually only_standing_left
    check "delete removes the two that stand" vmt delete tap-a tap-b
}

only_standing_left() { [[ $(vmt list --json | jq -r '.devices[] | select(.use != "host access").name' | xargs) == "tap-a tap-b" ]]; }
