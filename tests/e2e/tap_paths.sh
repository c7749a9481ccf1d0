#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tap_paths.sh BUILD_DIR [SCENARIO]...: real guests on each path that hands out a tap: exec, qemu-macvtap-helper with QEMU
# and with qemu:///session, managed='no'. Each is on the LAN with its own MAC, and with its host; and nothing of it is left.
#
# Runs as host_access.sh does, which see.
set -euo pipefail

here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
build=$(cd "${1:?usage: tap_paths.sh BUILD_DIR [SCENARIO]...}" && pwd)
shift
export LAB=${LAB:-vmttap}
labs=("$LAB")

# shellcheck source=tests/e2e/scenarios.sh
. "$here/scenarios.sh"
# shellcheck source=tests/e2e/vmm.sh
. "$here/vmm.sh"
# shellcheck source=tests/e2e/exec_scenarios.sh
. "$here/exec_scenarios.sh"
# shellcheck source=tests/e2e/helper_scenarios.sh
. "$here/helper_scenarios.sh"
# shellcheck source=tests/e2e/session_scenarios.sh
. "$here/session_scenarios.sh"
# shellcheck source=tests/e2e/list_scenarios.sh
. "$here/list_scenarios.sh"

helper=/run/vmt/qemu-macvtap-helper
hook=/etc/libvirt/hooks/qemu.d/virt-macvtap

# NAME UID: with a home and a run-time directory, and without any privilege
# shellcheck disable=SC2016    # for a shell in hv
add_user() {
    hv bash -euo pipefail -c 'echo "$1:x:$2:$2::/var/home/$1:/bin/sh" >>/etc/passwd
        echo "$1:x:$2:" >>/etc/group
        install -d -o "$1" -g "$1" -m 700 "/var/home/$1" "/run/user/$1"' bash "$1" "$2"
}

# shellcheck disable=SC2016    # for a shell in hv
set_up() {
    lab up
    hv install -D "$build/virt-macvtap-hook" "$hook"
    lab libvirtd
    hv chmod 1777 /var/lib/libvirt/qemu /var/log/libvirt/qemu    # where domain.sh has the consoles
    add_user alice 64101
    add_user mallory 64102
    add_user bob 64103
    hv install -D -m 4755 "$build/qemu-macvtap-helper" "$helper"
    hv install "$build/virt-macvtap" "$build/virt-macvtap-lookup" /run/vmt/    # users may not reach the build directory
    hv bash -c 'sed -i /^kvm:/d /etc/group && echo kvm:x:64104:bob >>/etc/group'
    hv ip link add eth1 type veth peer name eth1-end
    hv install -D -m 644 /dev/stdin /etc/qemu/macvtap.conf <<'ACL'
allow eth0 user=alice max=8
allow eth1 group=kvm mode=bridge,passthru mac=52:54:00 max=1
deny  all  user=mallory
ACL
    # Whoever asks for devices elsewhere gets his own namespace numbered, and the number stays.
    vmt exec --nic parent=eth0 -- sh -c '"$1" list # {0.fd}' sh "$build/virt-macvtap" >/dev/null
}

between_scenarios() {
    vmt host down eth0 >/dev/null
    peer ip neigh flush dev eth0    # the next guests have the same addresses, with other MACs
}

if [[ $# == 0 ]]; then
    set -- "${exec_scenarios[@]}" "${helper_scenarios[@]}" "${session_scenarios[@]}" "${list_scenarios[@]}"
fi
run_scenarios "$@"
