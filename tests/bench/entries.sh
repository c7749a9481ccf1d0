# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What scripts/bench times, part by part, for tests/bench/bench. Sourced by it: $work has the programs and scripts.

names=$(seq -s ' ' -f 't%g' 100)
guest='52:54:00:12:34:56 198.18.15.61 198.18.0.10 2001:db8::f61 2001:db8::10'
first='52:54:00:12:34:56 198.18.240.61 198.18.240.10 2001:db8:f::f61 2001:db8:f::10'

# A part's entries, one per line: name, set-up, standard input, command, what its ratio is of ("-": none), and the PID of
# whose namespaces it runs in ("-": the part's own). The first one is thrown away: it warms up what the second would pay for.
row() { printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "$5" "${6--}" >>"$work/$part.entries"; }
entries_of() {
    local part=$1 gone="sh $work/gone.sh"
    row throw-away - - "$work/empty" -
    case $part in
        hook)
            row empty - - "$work/empty" -
            row nothing - "$work/guest.xml" "$work/virt-macvtap-hook static migrate begin -" empty
            row parse - "$work/other.xml" "$work/virt-macvtap-hook others start begin -" empty
            row recipe-up - - "sh $work/up.sh" -
            row recipe-down - - "sh $work/down.sh" -
            row ip-batch-up - - "ip -batch $work/up.batch" -
            row ip-batch-down - - "ip -batch $work/down.batch" -
            row python-start - "$work/guest.xml" "$PWD/tests/bench/python-hook static start begin -" -
            row python-release - "$work/guest.xml" "$PWD/tests/bench/python-hook static release end -" -
            row start - "$work/guest.xml" "$work/virt-macvtap-hook static start begin -" recipe-up,ip-batch-up,python-start
            row release - "$work/guest.xml" "$work/virt-macvtap-hook static release end -" recipe-down,ip-batch-down,python-release
            ;;
        fd)
            row bridge-helper "$gone" - "/usr/lib/qemu/qemu-bridge-helper --use-vnet --br=br0 --fd={fd}" -
            row floor-self-removing "$gone" - "$work/floor_tap self-removing eth0 {fd}" bridge-helper
            row helper "$gone" - "$work/qemu-macvtap-helper --use-vnet --br=eth0/52:54:00:00:00:07 --fd={fd}" bridge-helper,floor-self-removing
            row helper-adopting "$gone" - "$work/qemu-macvtap-helper --use-vnet --br=eth0 --fd={fd}" bridge-helper
            row floor-exec "$gone" - "$work/floor_tap self-removing eth0 {fd} $work/probe" bridge-helper
            row exec "$gone" - "$work/virt-macvtap exec --nic parent=eth0 -- $work/probe {0.fd} {fd}" bridge-helper,floor-exec
            row floor-exec-standing "$gone" - "$work/floor_tap standing eth0 {fd} $work/probe" bridge-helper
            row exec-standing "$gone" - "$work/virt-macvtap exec --standing --nic parent=eth0,name=st0 -- $work/probe {0.fd} {fd}" bridge-helper,floor-exec-standing
            ;;
        many)
            row floor-create-100 "sh $work/none.sh" - "$work/floor_create eth0 100" -
            row ip-create-100 "sh $work/none.sh" - "sh $work/ip-create.sh" -
            row ip-batch-delete-100 - - "ip -batch $work/ip-delete" -
            row create-100 "sh $work/none.sh" - "$work/virt-macvtap create --parent eth0 $names" ip-create-100,floor-create-100
            row delete-100 - - "$work/virt-macvtap delete $names" ip-batch-delete-100
            ;;
        growth)
            row create-at-10 "sh $work/no-x.sh" - "$work/virt-macvtap create x --parent few" -
            row create-at-1000 "sh $work/no-x.sh" - "$work/virt-macvtap create x --parent many" create-at-10
            row helper-at-10 "$gone" - "$work/qemu-macvtap-helper --use-vnet --br=few/52:54:00:00:00:07 --fd={fd}" -
            row helper-at-1000 "$gone" - "$work/qemu-macvtap-helper --use-vnet --br=many/52:54:00:00:00:07 --fd={fd}" helper-at-10
            ;;
    esac
}

# Of the lab whose process is PID: `start` and `stop` of a guest on a parent that has some, `first` and `last` of one on a
# parent that has none, and what the whole host costs.
guest_entries_of() { # LAB PID
    local part=guests lab=$1 pid=$2 node=test://$work/$1.xml hook=$work/virt-macvtap-hook
    row "floor-start/$lab" - - "$work/floor_hook start e0 $guest" - "$pid"
    row "floor-stop/$lab" - - "$work/floor_hook stop e0 $guest" - "$pid"
    row "start/$lab" - "$work/beside.xml" "$hook static start begin -" - "$pid"
    row "stop/$lab" - "$work/beside.xml" "$hook static release end -" - "$pid"
    row "floor-first/$lab" - - "$work/floor_hook first ex $first" - "$pid"
    row "floor-last/$lab" - - "$work/floor_hook last ex $first" - "$pid"
    row "first/$lab" - "$work/first.xml" "$hook static start begin -" - "$pid"
    row "last/$lab" - "$work/first.xml" "$hook static release end -" - "$pid"
    row "libvirt/$lab" - - "$work/floor_libvirt $node" - "$pid"
    row "status/$lab" - - "$work/virt-macvtap status --json --connect $node" - "$pid"
    row "plan/$lab" - - "$work/virt-macvtap plan --json --connect $node" - "$pid"
}
