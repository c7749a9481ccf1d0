# shellcheck shell=bash disable=SC2016    # quotes in XML; what stands in single quotes is for a shell in hv
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Functions to describe, start and talk to a guest in the hv node of scripts/lab. Source it; it runs nothing.
#
#   hv COMMAND...              run a command in the hypervisor node
#   domain_xml NAME ITEM...    print domain XML
#   domain_launch NAME ITEM... define it and start it
#   domain_start NAME ITEM...  the same, and wait until the guest is ready
#   metadata_xml MAC ADDRESS...  the <metadata> that gives a NIC its addresses
#   domain_remove NAME         destroy and undefine it; no error when it is not there
#   libvirtd_uri LAB           where a client outside the lab finds its libvirtd
#   guest_wait NAME            wait until the guest says that its network is configured
#   guest_run NAME COMMAND     run a shell command in the guest: its output, its exit status
#   guest_said NAME REGEX [N]  wait until its console has N (1) lines that match; prints the last one of these
#
# An ITEM is one of
#   mac=MAC,KEY=VALUE...       a NIC. Keys: parent, mode (type=direct); network, portgroup (type=network);
#                              target (type=ethernet, managed=no); address (repeat it; also each other word of
#                              vmt.nic: address=dhcp, address=slaac);
#                              trust=yes (trustGuestRxFilters: without it the LAN cannot find a guest's IPv6 address
#                              before the guest has spoken, for macvtap drops multicast that it did not join)
#   '<interface ...'           a NIC, verbatim; or '<controller ...'
#   vmt.nic=... vmt.route=...  a word for the guest's kernel command line (see scripts/guest-image)
#   metadata=XML               what stands inside <metadata>
#   uuid=UUID                  libvirt makes one up without

_lab=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)/scripts/lab

hv() { "$_lab" exec hv "$@"; }

hv_virsh() { hv virsh --quiet --connect qemu:///system "$@"; }

# The interface element and the kernel word of one NIC, in the caller's variables.
_domain_nic() {
    local -A key=()
    local pair word
    local -a pairs
    IFS=, read -ra pairs <<<"$1"
    for pair in "${pairs[@]}"; do
        if [[ ${pair%%=*} == address ]]; then addresses+=",${pair#*=}"; else key[${pair%%=*}]=${pair#*=}; fi
    done
    for word in "${!key[@]}"; do
        case $word in
            mac | parent | mode | network | portgroup | target | trust) ;;
            *) echo "domain_xml: unknown key '$word' in '$1'" >&2; return 1 ;;
        esac
    done

    local type source
    if [[ ${key[network]:-} ]]; then
        type=network
        source="<source network='${key[network]}'${key[portgroup]:+ portgroup='${key[portgroup]}'}/>"
    elif [[ ${key[target]:-} ]]; then
        type=ethernet
        source="<target dev='${key[target]}' managed='no'/>"
    else
        type=direct
        source="<source dev='${key[parent]:?}'${key[mode]:+ mode='${key[mode]}'}/>"
    fi
    interfaces+="    <interface type='$type'${key[trust]:+ trustGuestRxFilters='${key[trust]}'}>
      <mac address='${key[mac]:?}'/>
      $source
      <model type='virtio'/>
    </interface>
"
    words+=" vmt.nic=${key[mac]}$addresses"
}

metadata_xml() {
    echo "<vmt:host-access xmlns:vmt='urn:virt-macvtap:host-access:1'><vmt:nic mac='$1'>"
    shift
    printf '<vmt:address>%s</vmt:address>' "$@"
    echo "</vmt:nic></vmt:host-access>"
}

domain_xml() {
    local name=$1 item interfaces='' words='' metadata='' uuid='' addresses
    shift
    for item; do
        addresses=''
        case $item in
            mac=*) _domain_nic "$item" || return ;;
            '<interface '* | '<controller '*) interfaces+="    $item"$'\n' ;;
            vmt.*) words+=" $item" ;;
            metadata=*) metadata="  <metadata>${item#metadata=}</metadata>" ;;
            uuid=*) uuid="  <uuid>${item#uuid=}</uuid>" ;;
            *) echo "domain_xml: what is '$item'?" >&2; return 1 ;;
        esac
    done
    cat <<XML
<domain type='qemu'>
  <name>$name</name>
$uuid
$metadata
  <memory unit='MiB'>128</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>/var/lib/libvirt/images/vmlinuz</kernel>
    <initrd>/var/lib/libvirt/images/initrd</initrd>
    <cmdline>console=ttyS0 quiet$words</cmdline>
  </os>
  <features>
    <acpi/>
  </features>
  <devices>
$interfaces    <serial type='unix'>
      <source mode='bind' path='/var/lib/libvirt/qemu/$name.console'/>
      <log file='/var/log/libvirt/qemu/$name-console.log' append='off'/>
    </serial>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
XML
}

domain_launch() {
    domain_xml "$@" | hv_virsh define /dev/stdin >/dev/null || return
    hv_virsh start "$1" >/dev/null
}

domain_start() {
    domain_launch "$@" || return
    guest_wait "$1"
}

domain_remove() {
    hv_virsh destroy "$1" >/dev/null 2>&1 || true
    hv_virsh undefine "$1" --managed-save >/dev/null 2>&1 || true
}

# A guest boots in 3 seconds on an idle machine without KVM; the bound leaves room for a busy one.
guest_wait() {
    hv bash -c 'log=/var/log/libvirt/qemu/$1-console.log
        for _ in {1..600}; do
            if grep -q guest-ready "$log" 2>/dev/null; then exit 0; fi
            sleep 0.1
        done
        echo "guest_wait: $1 is not ready; the end of its console:" >&2
        tail -n 20 "$log" >&2
        exit 1' bash "$1"
}

# A word of our own comes before the output: what an earlier command that timed out still prints is skipped.
guest_run() {
    local name=$1
    shift
    hv python3 -c '
import os, socket, sys
path, command = sys.argv[1:]
token = "begin-%d" % os.getpid()
def run():
    with socket.socket(socket.AF_UNIX) as console:
        console.settimeout(60)
        console.connect(path)
        console.sendall(f"echo {token}; {command}\n".encode())
        begun = False
        for line in console.makefile(errors="replace"):
            line = line.rstrip("\n")
            if line == token:
                begun = True
            elif begun and line.startswith("rc="):
                sys.exit(int(line[3:]))
            elif begun and not line.startswith("guest-"):    # said meanwhile by `nic` in the guest
                print(line, flush=True)
    sys.exit("guest_run: the console closed")
try:
    run()
except TimeoutError:    # a word got lost on the serial line, once in many hundred guests
    print(f"guest_run: no answer at {path} to: {command}; once more", file=sys.stderr)
    run()
' "/var/lib/libvirt/qemu/$name.console" "$*"
}

guest_said() {
    hv bash -c 'log=/var/log/libvirt/qemu/$1-console.log
        for _ in {1..1500}; do
            line=$(grep -m "$3" -E "$2" "$log" 2>/dev/null | tail -n +"$3" | tr -d "\r")
            if [[ $line ]]; then echo "$line"; exit 0; fi
            sleep 0.01
        done
        echo "guest_said: $1 has not said $2; the end of its console:" >&2
        tail -n 20 "$log" >&2
        exit 1' bash "$1" "$2" "${3:-1}"
}

libvirtd_uri() {
    local pid
    for pid in $(ip netns pids "$1-hv"); do
        if [[ $(<"/proc/$pid/comm") == libvirtd ]]; then
            echo "qemu+unix:///system?socket=/proc/$pid/root/run/libvirt/libvirt-sock"
        fi
    done
}
