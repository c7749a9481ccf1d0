# shellcheck shell=bash disable=SC2016,SC2034,SC2154    # shares variables with tap_paths.sh, which sources this
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Scenarios of tap_paths.sh: guests of qemu:///session. Each removes its guests.

session_scenarios=(guests_of_a_session a_session_guest_with_a_device_of_its_own)

session() { as alice virsh --quiet --connect qemu:///session "$@"; }

session_answers() { session version; }

# A session's libvirtd would be started by its first client; here it is to be there for sure.
start_session() {
    as alice mkdir -p /var/home/alice/.config/libvirt
    echo "bridge_helper = \"$helper\"" | as alice tee /var/home/alice/.config/libvirt/qemu.conf >/dev/null
    as alice libvirtd --daemon
    eventually session_answers
}

stop_session() {
    hv bash -c 'pid=$(</run/user/alice/libvirt/libvirtd.pid)
        pkill -TERM -u alice -x "libvirtd|virtlogd"
        tail --pid="$pid" --sleep-interval=0.05 -f /dev/null'
}

# NAME N INTERFACE: validated against libvirt's schema, and started
start_in_session() {
    domain_xml "$1" "$3" "$(nic_words "52:54:00:12:34:$2" "$2")" | as alice tee "/var/home/alice/$1.xml" >/dev/null || return
    session define --validate "/var/home/alice/$1.xml" || return
    session start "$1"
}

bridge_interface() { echo "<interface type='bridge'><mac address='52:54:00:12:34:$1'/><source bridge='$2'/><model type='virtio'/></interface>"; }

# A session's daemon runs the system's hooks, as its user: ours must keep out of it. Another one notes who calls.
watch_hooks() {
    hv install -m 666 /dev/null /run/vmt/calls
    hv install -m 755 /dev/stdin "$hook-watch" <<'SH'
#!/bin/sh
echo "$(id -u) $1 $2" >>/run/vmt/calls
SH
}

guests_of_a_session() {
    local xml op
    watch_hooks
    start_session
    check "a session's guest starts with the MAC in the bridge's name" \
        start_in_session told 61 "$(bridge_interface 61 eth0/52:54:00:12:34:61)"
    check "and with the parent only" start_in_session mute 62 "$(bridge_interface 62 eth0)"
    same "QEMU has no privilege" "64101 0000000000000000" \
        "$(hv awk '/^Uid|^CapPrm/ {print $2}' "/proc/$(pid_of told)/status" | xargs)"
    guest_wait told
    guest_wait mute
    check_guest told 61 52:54:00:12:34:61 "in a session"
    check_guest mute 62 52:54:00:12:34:62 "in a session and with a MAC from the first frame"

    check "the session runs the hooks as its user" hv grep -qx '64101 told started' /run/vmt/calls
    xml=$(session dumpxml told)
    for op in prepare start started reconnect stopped release; do
        same "there, our hook does nothing at $op and says nothing" "rc=0" \
            "$(as alice "$hook" told "$op" begin - <<<"$xml" 2>&1 && echo rc=0)"
    done

    session destroy told
    check "destroy takes the device away" eventually is_gone 61
    check "and the other guest keeps its own" reaches peer 192.0.2.62
    check_killed mute 1
    check "libvirt sees that QEMU was killed" eventually session_is mute "shut off"
    stop_session
    hv rm "$hook-watch"
}

session_is() { [[ $(session domstate "$1") == "$2" ]]; }

# N: no device has the MAC of this guest
is_gone() { ! vmt list --json | grep -q "52:54:00:12:34:$1"; }

# What the user sees of the device tap-s: use, holders, guest.
seen_by_user() {
    as alice /run/vmt/virt-macvtap list --connect qemu:///session --json |
        jq -c '.devices[] | select(.name == "tap-s") | [.use, [.holders[].pid], .domain.name]'
}

a_session_guest_with_a_device_of_its_own() {
    local mac=52:54:00:12:34:63
    check "create makes a device for a user" vmt create tap-s --parent eth0 --mac $mac --owner alice
    start_session
    check "the session's guest starts with managed='no'" start_in_session own 63 \
        "<interface type='ethernet'><mac address='$mac'/><target dev='tap-s' managed='no'/><model type='virtio'/></interface>"
    guest_wait own
    check_guest own 63 $mac "with managed='no' in a session"
    same "list shows QEMU, and in the session the guest, too" "[\"standing\",[$(pid_of own)],\"own\"]" "$(seen_by_user)"
    session destroy own
    same "after destroy it stays, and nobody has it" '["standing",[],null]' "$(seen_by_user)"
    check "the same guest starts again" session start own
    session destroy own
    stop_session
    check "delete removes it" vmt delete tap-s
    check "and it is gone" is_gone 63
}
