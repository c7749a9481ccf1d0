# shellcheck shell=bash disable=SC2016,SC2034,SC2154    # shares variables with tap_paths.sh, which sources this
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Scenarios of tap_paths.sh: QEMU, started by an ordinary user, asks qemu-macvtap-helper for its tap. Each removes its guests.

helper_scenarios=(guests_of_an_ordinary_user who_is_refused)

# USER NAME N NETDEV: a guest with the addresses and the MAC of N; NETDEV is what stands before ",helper="
start_with_helper() {
    local mac=52:54:00:12:34:$3
    qemu_words "$2" "$(nic_words "$mac" "$3")"
    as "$1" "${qemu[@]}" -netdev "$4,id=n0,helper=$helper" -device "virtio-net-pci,netdev=n0,mac=$mac"
}

# USER PID MAC: of the tap that this process of the user's holds
change_mac() {
    as "$1" python3 -c '
import ctypes, fcntl, os, sys
SIOCSIFHWADDR, PIDFD_GETFD, ARPHRD_ETHER = 0x8924, 438, 1
pid, mac = int(sys.argv[1]), bytes.fromhex(sys.argv[2].replace(":", ""))
fd = next(fd for fd in os.listdir(f"/proc/{pid}/fd") if os.readlink(f"/proc/{pid}/fd/{fd}").startswith("/dev/tap"))
tap = ctypes.CDLL(None).syscall(PIDFD_GETFD, os.pidfd_open(pid), int(fd), 0)
fcntl.ioctl(tap, SIOCSIFHWADDR, bytes(16) + bytes([ARPHRD_ETHER, 0]) + mac + bytes(16))
' "$2" "$3"
}

guests_of_an_ordinary_user() {
    local name
    check "a user's QEMU starts with -netdev bridge and the MAC in the name" \
        start_with_helper alice told-b 61 bridge,br=eth0/52:54:00:12:34:61
    check "with -netdev bridge and the parent only" start_with_helper alice mute-b 62 bridge,br=eth0
    check "with -netdev tap and the MAC in the name" start_with_helper alice told-t 63 tap,br=eth0/52:54:00:12:34:63
    check "with -netdev tap and the parent only" start_with_helper alice mute-t 64 tap,br=eth0
    same "QEMU has no privilege" "64101 0000000000000000" \
        "$(hv awk '/^Uid|^CapPrm/ {print $2}' "/proc/$(pid_of told-b)/status" | xargs)"
    for name in told-b mute-b told-t mute-t; do guest_wait "$name"; done
    check_guest told-b 61 52:54:00:12:34:61 "with -netdev bridge"
    check_guest mute-b 62 52:54:00:12:34:62 "with -netdev bridge and a MAC from the first frame"
    check_guest told-t 63 52:54:00:12:34:63 "with -netdev tap"
    check_guest mute-t 64 52:54:00:12:34:64 "with -netdev tap and a MAC from the first frame"
    same "no process of the helper's is left" "" "$(hv pgrep -f "$helper --" || true)"
    check "whoever holds a tap may change its MAC, so the list's mac= is no barrier" \
        change_mac alice "$(pid_of told-t)" 06:54:00:12:34:63
    same "and it is changed" 06:54:00:12:34:63 "$(devices_of told-t | jq -r '.[0].mac')"
    for name in told-b mute-b told-t mute-t; do check_killed "$name" 1; done
}

no_device() { [[ $(vmt list) == "no macvtap and no macvlan" ]]; }

# SENTENCE PATTERN USER NETDEV: QEMU must exit with what the helper says, and nothing may be left.
check_refused() {
    local said rc=0
    said=$(start_with_helper "$3" refused 61 "$4" 2>&1) || rc=$?
    same "$1: QEMU exits with status 1" 1 "$rc"
    check "$1: and shows the helper's line" grep -q "^qemu-macvtap-helper: .*$2" <<<"$said"
    same "$1: no process is left" "" "$(hv pgrep -u "$3" || true)"
    check "$1: no device is left" no_device
    check_unchanged "$1"
}

who_is_refused() {
    check "a user's group allows another parent" start_with_helper bob other 61 bridge,br=eth1/52:54:00:12:34:61
    check "of which there may be one" grep -q "user 64103 has 1 macvtap already" \
        <<<"$(start_with_helper bob more 62 bridge,br=eth1/52:54:00:12:34:62 2>&1)"
    hv kill -KILL "$(pid_of other)"
    check "and its device goes" eventually no_device
    check_refused "a user with a deny" "uid 64102.*line 3 of /etc/qemu/macvtap.conf denies it" mallory bridge,br=eth0
    check_refused "a parent without an allow" "macvtap on eth1.*no rule of /etc/qemu/macvtap.conf allows it" alice bridge,br=eth1
    check_refused "a MAC without an allow" "06:54.*no rule of /etc/qemu/macvtap.conf allows it" bob \
        bridge,br=eth1/06:54:00:12:34:61
    check_refused "a mode without an allow" "mode passthru.*no rule of /etc/qemu/macvtap.conf allows it" alice \
        tap,br=eth0/passthru
    hv mv /etc/qemu/macvtap.conf /etc/qemu/away
    check_refused "nobody has an allow without a list" /etc/qemu/macvtap.conf alice bridge,br=eth0
    hv mv /etc/qemu/away /etc/qemu/macvtap.conf
}
