# shellcheck shell=bash disable=SC2016,SC2034,SC2154    # shares variables with host_access.sh, which sources this
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Scenarios of host_access.sh: guests with <target managed='no'>, whose device the hook makes. Each removes its guests.

premade_scenarios=(a_device_that_the_hook_makes a_passthru_device_that_the_hook_makes devices_without_their_guests)

# NAME N [PARENT MODE]: launches a guest with two queues; the hook is told to make the device.
launch_premade() {
    local mac=52:54:00:12:34:$2 parent=${3:-eth0} mode=${4:-bridge}
    domain_launch "$1" "<interface type='ethernet'>
        <mac address='$mac'/><target dev='web0' managed='no'/><model type='virtio'/><driver name='qemu' queues='2'/>
      </interface>" "vmt.nic=$mac,192.0.2.$2/24,2001:db8:1::$2/64" \
        metadata="<vmt:host-access xmlns:vmt='urn:virt-macvtap:host-access:1'><vmt:nic mac='$mac'>
          <vmt:direct dev='$parent' mode='$mode'/>
          <vmt:address>192.0.2.$2</vmt:address><vmt:address>2001:db8:1::$2</vmt:address>
        </vmt:nic></vmt:host-access>"
}

index_of() { hv cat "/sys/class/net/$1/ifindex"; }

# GUEST DEVICE: how many queues of the device QEMU has open
open_queues() {
    hv bash -c 'readlink "/proc/$(</run/libvirt/qemu/$1.pid)/fd/"* | grep -c "^/dev/tap$2\$"' bash "$1" "$(index_of "$2")"
}

# As if the hook had been killed.
destroy_without_hook() {
    hv mv /etc/libvirt/hooks/qemu.d/virt-macvtap /run/hook-away
    hv_virsh destroy "$1" >/dev/null
    hv mv /run/hook-away /etc/libvirt/hooks/qemu.d/virt-macvtap
}

a_device_that_the_hook_makes() {
    local refusal
    check "the guest starts" launch_premade red 61
    guest_wait red
    same "its device is a macvtap on the parent, with the MAC, up" 'eth0 macvtap bridge 52:54:00:12:34:61 true true' \
        "$(hv ip -d -j link show web0 | jq -r '.[0] | "\(.link) \(.linkinfo.info_kind) \(.linkinfo.info_data.mode)
            \(.address) \(.flags | contains(["UP"])) \(.flags | contains(["ALLMULTI"]))"' | xargs)"
    same "QEMU has both queues" 2 "$(open_queues red web0)"
    check_lan_talk red 61 "as soon as it is up"
    check_talk red 61 "as soon as it is up"
    status_agrees "with a pre-made device"
    same "and finds nothing wrong" "" "$(health)"
    same "sync has nothing to do" "[]" "$(vmt plan --json | jq -c '.changes')"

    if refusal=$(launch_premade blue 62 2>&1); then refusal='it starts'; fi
    check "a second guest with the same device is refused, and virsh says why" \
        grep -q "web0 belongs to another guest" <<<"$refusal"
    domain_remove blue
    check_talk red 61 "after that"

    restart_libvirtd red
    check_talk red 61 "after a restart of libvirtd"
    hv_virsh managedsave red >/dev/null
    check_unchanged "while the guest is saved"
    hv_virsh start red >/dev/null
    check_talk red 61 "restored"
    hv_virsh destroy red >/dev/null
    check_unchanged "after destroy"
    domain_remove red
}

a_passthru_device_that_the_hook_makes() {
    hook lost start < <(domain_xml lost mac=52:54:00:12:34:61,parent=eth1,mode=bridge)
    same "there is an idle shim" 1 "$(shims | grep -c .)"
    check "the guest starts" launch_premade whole 64 eth1 passthrough
    same "the shim is gone" "" "$(shims)"
    same "its device has the parent" passthru "$(hv ip -j -d link show web0 | jq -r '.[].linkinfo.info_data.mode')"
    guest_wait whole
    # A MAC of its own: the switch still expects those of earlier guests at the other port.
    ip -n "$LAB-sw" link set hv1 master br0
    check_lan_talk whole 64 "in passthru mode"
    ip -n "$LAB-sw" link set hv1 nomaster
    domain_remove whole
}

devices_without_their_guests() {
    local index
    launch_premade red 61
    guest_wait red
    destroy_without_hook red
    index=$(index_of web0)
    check "a device whose release was lost: plan sees it" grep -qx 'delete web0' <<<"$(vmt plan)"
    check "the guest starts again all the same" hv_virsh start red
    guest_wait red
    check_talk red 61 "started again"
    check "with a device of its own" test "$index" != "$(index_of web0)"

    hv ip link delete web0
    check "status finds that a running guest's device is gone" grep -q "guest 'red' .*: its device web0 is gone" <<<"$(health)"
    hv_virsh destroy red >/dev/null
    check_unchanged "after destroy"

    hv_virsh start red >/dev/null
    destroy_without_hook red
    check "sync takes away what a lost release has left" grep -qx 'delete web0' <<<"$(vmt sync)"
    domain_remove red
}
