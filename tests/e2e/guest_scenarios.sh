# shellcheck shell=bash disable=SC2034,SC2154    # shares variables with host_access.sh, which sources this
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Scenarios of host_access.sh: which guests get host access, and at which address? Each removes its guests.

guest_scenarios=(guests_of_all_kinds guests_without_access a_numbered_shim a_broken_configuration_file
                 a_passthrough_guest_and_an_idle_shim)

# Addresses from metadata and from the configuration; a network instead of a parent; a NIC in another mode beside.
guests_of_all_kinds() {
    local notes
    check_lan "before the first guest"
    configure '[guest blue]\n52:54:00:12:34:62 = 192.0.2.62 2001:db8:1::62\n'
    domain_launch red "$(nic 61),trust=yes" "$(given 61)"
    domain_launch blue mac=52:54:00:12:34:62,network=lan,address=192.0.2.62/24,address=2001:db8:1::62/64
    domain_launch green "$(nic 63),trust=yes" "$(given 63)" mac=52:54:00:12:34:73,parent=eth0,mode=vepa
    guest_wait red
    check_talk red 61 "with addresses in the metadata"
    guest_wait blue
    check_talk blue 62 "with a <network> and addresses in the configuration"
    guest_wait green
    check_talk green 63 "with a vepa NIC beside"
    check_lan "with three guests"

    check "one guest reaches another by IPv4" reaches red 192.0.2.63
    check "one guest reaches another by IPv6" reaches red 2001:db8:1::63
    check "and is reached by IPv4" reaches green 192.0.2.61
    check "and is reached by IPv6" reaches green 2001:db8:1::61
    check "the peer reaches a guest" reaches peer 192.0.2.62
    same "all guests share one shim" 1 "$(shims | grep -c .)"
    notes=$(notes_on green)
    same "the hook has one thing to say about the vepa NIC" 1 "$(grep -c . <<<"$notes")"
    check "and says why it has no host access" grep -q '52:54:00:12:34:73 on eth0.*mode vepa' <<<"$notes"
    same "it has nothing to say about a guest in order" "" "$(notes_on blue)"
    status_agrees "with three guests"
    same "and finds one thing wrong" 1 "$(health | grep -c .)"
    check "the vepa NIC" grep -q '52:54:00:12:34:73.*vepa' <<<"$(health)"

    # The console closes before there is an exit status.
    guest_run red "poweroff -f" >/dev/null 2>&1 || true
    check "a guest shuts down from inside" eventually in_state red "shut off"
    same "its routes are gone" "" "$(hv ip route show 192.0.2.61; hv ip -6 route show 2001:db8:1::61)"
    check "the others still reach their host" reaches blue 192.0.2.10
    domain_remove red
    domain_remove blue    # its XML has forgotten the parent by then
    same "the network's guest takes its routes along" "" "$(hv ip route show 192.0.2.62; hv ip -6 route show 2001:db8:1::62)"
    check "the last one still reaches its host" reaches green 2001:db8:1::10
    domain_remove green
    check_lan "after the last guest"
}

in_state() { [[ $(hv_virsh domstate "$1") == "$2" ]]; }

guests_without_access() {
    domain_launch off mac=52:54:00:12:34:61,parent=eth0,mode=bridge \
        metadata="<x:host-access xmlns:x='urn:virt-macvtap:host-access:1' enabled='no'/>"
    same "a guest with enabled='no' gets no shim" "" "$(shims)"
    same "and no word" "" "$(notes_on off)"
    domain_launch vepa mac=52:54:00:12:34:62,parent=eth0,mode=vepa "$(given 62)"
    same "a vepa guest gets no shim" "" "$(shims)"
    same "and a line that says why" 1 "$(notes_on vepa | grep -c 'mode vepa: .*hairpin')"
    domain_launch private mac=52:54:00:12:34:63,parent=eth0,mode=private "$(given 63)"
    same "a private guest gets no shim" "" "$(shims)"
    same "and a line that says why" 1 "$(notes_on private | grep -c 'mode private: ')"
    check "all three run" eventually in_state private running
    same "nobody has a route" "" "$(hv ip route show proto 118; hv ip -6 route show proto 118)"
    domain_remove off
    domain_remove vepa
    domain_remove private
}

a_numbered_shim() {
    configure '[parent eth0]\naddress = 192.0.2.60/32 2001:db8:1::60\n'
    domain_start red "$(nic 61)" "$(given 61)"
    check "the guest reaches the host's second address by IPv4" reaches red 192.0.2.60
    check "the guest reaches the host's second address by IPv6" reaches red 2001:db8:1::60
    check "the host reaches the guest by IPv4" reaches hv 192.0.2.61
    check "the host reaches the guest by IPv6" reaches hv 2001:db8:1::61
    same "the host talks to the guest from its second address" 192.0.2.60 \
        "$(hv ip -j route get 192.0.2.61 | jq -r '.[0].prefsrc')"
    check_lan "with a numbered shim"
    domain_remove red
}

a_broken_configuration_file() {
    local notes
    configure '[guest red]\n52:54:00:12:34:61 = 192.0.2.300\n'
    check "the guest starts" domain_launch red "$(nic 61)" "$(given 61)"
    check "its routes are there" hv ip route get 192.0.2.61 oif "$(shims)"
    notes=$(notes_on red)
    same "the hook says one thing" 1 "$(grep -c . <<<"$notes")"
    check "namely which line is wrong" grep -q '/etc/virt-macvtap.conf:2: ' <<<"$notes"
    domain_remove red
}

# What remains when host and libvirtd lose a guest: a shim without a macvtap. The kernel refuses a passthrough macvtap
# beside it.
a_passthrough_guest_and_an_idle_shim() {
    hook lost start < <(domain_xml lost mac=52:54:00:12:34:61,parent=eth1,mode=bridge)
    same "there is an idle shim" 1 "$(shims | grep -c .)"
    check "the passthrough guest starts" domain_launch whole mac=52:54:00:12:34:62,parent=eth1,mode=passthrough
    same "the shim is gone" "" "$(shims)"
    same "libvirt's macvtap has the parent" passthru "$(hv ip -j -d link show type macvtap | jq -r '.[].linkinfo.info_data.mode')"
    domain_remove whole
}
