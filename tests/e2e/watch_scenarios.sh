# shellcheck shell=bash disable=SC2016,SC2034,SC2046,SC2154    # words are split where a function gives several; see watch.sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Scenarios of watch.sh: are guests found, whatever way they get their addresses, and lose them? Each removes its guests.

watch_scenarios=(a_silent_guest_by_dhcp guests_by_dhcp_and_slaac guests_that_speak_first guests_with_static_addresses
                 a_nic_that_is_plugged_in_and_out a_guest_that_changes_its_addresses addresses_that_move_to_another_guest
                 a_guest_without_libvirt hook_and_watcher_together what_addresses_says)

# It sends nothing but DHCP: nobody but who asks can find it.
a_silent_guest_by_dhcp() {
    check_lan "before the watcher"
    watch_start
    check_lan "with a watcher and no guest"
    domain_launch silent "$(plain 61 dhcp)"
    check "its parent has a shim" eventually has_shim
    check_reached silent 192.0.2.61
    check "it reaches its host" reaches silent 192.0.2.10
    check_lan "with a silent guest"
    domain_remove silent
    check "its route goes" eventually has_routes
    check_lan "after a silent guest"
}

has_shim() { [[ $(shims | grep -c .) == 1 ]]; }

guests_by_dhcp_and_slaac() {
    watch_start
    domain_launch red "$(plain 61 dhcp slaac)"
    check_reached red 192.0.2.61 "$(slaac_of 61)"
    check "red reaches its host by IPv4" reaches red 192.0.2.10
    check "red reaches its host by IPv6" reaches red 2001:db8:1::10
    check_lan "with one guest"
    domain_launch blue "$(plain 62 dhcp slaac)"
    check_reached blue 192.0.2.62 "$(slaac_of 62)"
    check "both share one shim" has_shim
    same "both have their routes, with their MACs" "$(for n in 61 62; do
        echo "192.0.2.$n dev $(shims) $(mac $n) src 192.0.2.10"
        echo "$(slaac_of $n) dev $(shims) $(mac $n) src 2001:db8:1::10"
    done | sort)" "$(routes)"
    check "the guests reach each other" reaches red 192.0.2.62
    check "the peer reaches a guest by IPv4" reaches peer 192.0.2.62
    check "the peer reaches a guest by IPv6" reaches peer "$(slaac_of 62)"
    check_lan "with two guests"
    domain_remove red
    check "a guest takes its routes along" eventually has_routes 192.0.2.62 "$(slaac_of 62)"
    check "the other one still reaches its host" reaches blue 192.0.2.10
    domain_remove blue
    check_lan "after the last guest"
}

guests_that_speak_first() {
    watch_start
    domain_launch red "$(plain 61 ping=192.0.2.10 ping=2001:db8:1::10 dhcp slaac)"
    check_pinged red 192.0.2.10 2001:db8:1::10
    domain_launch blue "$(plain 62 ping=192.0.2.10 ping=2001:db8:1::10 dad 192.0.2.62/24 2001:db8:1::62/64)"
    check_pinged blue 192.0.2.10 2001:db8:1::10
    check "the host reaches the first one by IPv4" reaches hv 192.0.2.61
    check "the host reaches the first one by IPv6" reaches hv "$(slaac_of 61)"
    check_talk blue 62 "having spoken first"
    check_lan "with guests that spoke first"
    domain_remove red
    domain_remove blue
}

guests_with_static_addresses() {
    watch_start
    domain_launch red "$(plain 61 $(static 61))"
    check_reached red 192.0.2.61 2001:db8:1::61
    check_talk red 61 "with static addresses"
    check_lan "with static addresses"
    domain_remove red
}

# A guest with two NICs on one LAN answers for the addresses of both with each, if it is not told otherwise.
one_answer_for_each() { guest_run "$1" "cd /proc/sys/net/ipv4/conf/all && echo 1 >arp_ignore && echo 2 >arp_announce"; }

# libvirt makes no spare slot: one for the NIC of the definition, one for the next.
pluggable=("<controller type='pci' index='1' model='pcie-root-port'/>" "<controller type='pci' index='2' model='pcie-root-port'/>")

# N: hot-plug XML
nic_xml() {
    echo "<interface type='direct'><mac address='$(mac "$1")'/><source dev='eth0' mode='bridge'/><model type='virtio'/></interface>"
}

a_nic_that_is_plugged_in_and_out() {
    local nic
    watch_start
    domain_start web "$(plain 61 $(static 61))" "${pluggable[@]}"
    one_answer_for_each web
    hv_virsh attach-device web /dev/stdin --live < <(nic_xml 62) >/dev/null
    check "the guest sees the new NIC" eventually guest_run web "grep $(mac 62) /sys/class/net/*/address"
    guest_run web "nic $(mac 62) ping=192.0.2.10 ping=2001:db8:1::10 $(static 62)" &
    check_reached web 192.0.2.62 2001:db8:1::62
    wait $!
    check_pinged web 192.0.2.10 2001:db8:1::10
    nic=$(guest_run web "grep -l $(mac 62) /sys/class/net/*/address" | cut -d / -f 5)
    check "the guest reaches its host through it by IPv4" reaches web "-I $nic 192.0.2.10"
    check "the guest reaches its host through it by IPv6" reaches web "-I $nic 2001:db8:1::10"
    check_talk web 61 "with a second NIC"
    check_lan "with a second NIC"
    hv_virsh detach-device web /dev/stdin --live < <(nic_xml 62) >/dev/null
    check "its routes go when it is unplugged" eventually has_routes 192.0.2.61 2001:db8:1::61
    check_talk web 61 "after that"
    domain_remove web
}

# GUEST N: leaves its addresses, and takes these
readdress() { guest_run "$1" "ip address flush dev eth0 scope global; nic $(mac_of "$1") $(static "$2")"; }

mac_of() { hv_virsh domiflist "$1" | awk '/direct/ {print $5}'; }

a_guest_that_changes_its_addresses() {
    watch_start
    domain_start red "$(plain 61 $(static 61))"
    check_reached red 192.0.2.61 2001:db8:1::61
    readdress red 65 &
    check_reached red 192.0.2.65 2001:db8:1::65
    wait $!
    check_talk red 65 "at its new addresses"
    check "the old ones have no answer" misses hv 192.0.2.61
    check "nor by IPv6" misses hv 2001:db8:1::61
    check "their routes go" eventually has_routes 192.0.2.65 2001:db8:1::65
    check_lan "after a change of addresses"
    domain_remove red
}

addresses_that_move_to_another_guest() {
    watch_start
    domain_launch red "$(plain 61 $(static 61))"
    domain_start blue "$(plain 62 $(static 62))"
    guest_wait red
    check_reached red 192.0.2.61 2001:db8:1::61
    guest_run red "ip address flush dev eth0 scope global"
    readdress blue 61 &
    check_reached blue 192.0.2.61 2001:db8:1::61
    wait $!
    same "they are at the other guest's MAC" "$(for address in 192.0.2.61 2001:db8:1::61; do
        echo "$address $(mac 62)"
    done)" "$(routes | awk '/:61 / || /\.61 / {print $1, $4}')"
    check_talk blue 61 "with another's addresses"
    check_lan "after addresses have moved"
    domain_remove red
    domain_remove blue
}

# How many ms after it has been made the first shim is there: exec's command runs when the device is.
time_to_shim() {
    vmt exec --nic parent=eth0 -- bash -c 'begin=${EPOCHREALTIME/./}    # {0.fd}
        until ip link show group 1986884609 | grep -q .; do
            if ((${EPOCHREALTIME/./} - begin > 5000000)); then echo never; exit; fi
        done
        echo $(((${EPOCHREALTIME/./} - begin) / 1000))' 3>&-
}

a_guest_without_libvirt() {
    watch_start
    within 50 "a self-removing macvtap has its parent get a shim" time_to_shim
    qemu_words one "vmt.nic=$(mac 61),$(static 61 | tr ' ' ,)"
    check "exec starts a guest" vmt exec --nic "parent=eth0,mac=$(mac 61)" -- "${qemu[@]}" \
        -netdev 'tap,id=n0,fd={0.fd}' -device 'virtio-net-pci,netdev=n0,mac={0.mac}' 3>&-
    check_reached one 192.0.2.61 2001:db8:1::61
    check_talk one 61 "without libvirt"
    check_lan "with a guest without libvirt"
    hv kill -KILL "$(pid_of one)"
    check "after kill -9 its routes go" eventually has_routes
}

# A restart within the time that an idle shim stays.
hook_and_watcher_together() {
    local shim events
    hv install -D "$build/virt-macvtap-hook" /etc/libvirt/hooks/qemu.d/virt-macvtap
    lab libvirtd-restart
    watch_start
    domain_start red "$(plain 61 192.0.2.61/24 2001:db8:1::61/64)" "metadata=$(metadata_xml "$(mac 61)" 192.0.2.61 2001:db8:1::61)"
    check_talk red 61 "with hook and watcher"
    shim=$(hv ip -o link show group 1986884609)
    hv bash -c 'ip -o monitor link >/run/links 2>&1 & echo $! >/run/links.pid' 3>&- >/dev/null
    hv_virsh destroy red >/dev/null
    hv_virsh start red >/dev/null
    guest_wait red
    check_talk red 61 "started again"
    check_lan "with hook and watcher"
    hv bash -c 'kill "$(</run/links.pid)"'
    events=$(hv cat /run/links)
    check "the guest's devices were seen to come and go" grep -q 'Deleted .*macvtap' <<<"$events"
    same "but no shim went" "" "$(grep 'Deleted .*vmt-' <<<"$events")"
    same "it is the same one" "${shim%%:*}" "$(hv ip -o link show group 1986884609 | cut -d : -f 1)"
    domain_remove red
    hv rm /etc/libvirt/hooks/qemu.d/virt-macvtap
    lab libvirtd-restart
}

addresses_said() { vmt addresses --json "$@" | jq -r '.[] | "\(.domain) \(.mac) \(.address) \(.origin)"' | sort; }

what_addresses_says() {
    local waited
    watch_start
    domain_launch red "$(plain 61 dhcp slaac)"
    waited=$(vmt addresses red --wait 30 --json)
    check "--wait returns when there is one" grep -qE '192\.0\.2\.61|2001:db8:1:' <<<"$waited"
    check_reached red 192.0.2.61 "$(slaac_of 61)"
    same "it has both addresses, and that they were learned" "red $(mac 61) 192.0.2.61 learned
red $(mac 61) $(slaac_of 61) learned" "$(addresses_said red)"
    check "the table has them" grep -q "192.0.2.61" <<<"$(vmt addresses)"
    check "--wait fails when there is none in time" fails vmt addresses nobody --wait 1
    domain_remove red
}

fails() { ! "$@"; }
