#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# hardening: are the programs built as programs of root ought to be? Reads what the linker made, not what it was told.
#
#   hardening.sh BUILD-DIRECTORY
#
# All: RELRO bound before main, a stack and data that are never executed, no code that is written to, no RPATH; our own
# objects with stack protectors and FORTIFY's checks. (Those of the static programs tell nothing: their C library brings
# the same symbols.) All but the hook lie at a random address. The hook does not: making its 4,200 pointers at each
# start costs 15 page faults (1.07 of a start, 1.15 of a call that has nothing to do), and what it reads is libvirtd's.
# The helper, which any user may start, pays that (1.03 of the time until QEMU has its tap).
set -uo pipefail
cd "$1" || exit 1

failures=0
fail() { printf 'FAIL: %s\n' "$*"; failures=$((failures + 1)); }
# has WHAT FILE PATTERN TEXT; no: must not match.
has() { grep -qE "$3" <<<"$4" || fail "$2: $1"; }
no() { if grep -qE "$3" <<<"$4"; then fail "$2: $1"; fi; }

check_program() {
    local program=$1 type=$2 segments dynamic
    if ! { segments=$(readelf -Wl "$program") && dynamic=$(readelf -Wd "$program"); }; then
        fail "$program: unreadable"
        return
    fi
    has "its type is not $type" "$program" "^Elf file type is $type " "$segments"
    has "no GNU_RELRO" "$program" '^ *GNU_RELRO ' "$segments"
    has "no GNU_STACK, so the stack is executable" "$program" '^ *GNU_STACK ' "$segments"
    no "an executable stack" "$program" '^ *GNU_STACK .* RWE ' "$segments"
    no "a segment that is written to and executed" "$program" '^ *LOAD .* RWE ' "$segments"
    no "RPATH or RUNPATH" "$program" '\((RPATH|RUNPATH)\)' "$dynamic"
    no "relocations in the code" "$program" '\(TEXTREL\)|FLAGS.*TEXTREL' "$dynamic"
    # What is static and not relocatable has nothing to bind.
    if [[ $type == DYN ]]; then has "bound lazily" "$program" 'BIND_NOW|FLAGS_1.* NOW' "$dynamic"; fi
}

# check_objects WHAT MISSING PATTERN OBJECT-OR-ARCHIVE...
check_objects() {
    local wanted
    wanted=$(nm -u "${@:4}" 2>&1) || { fail "$1: unreadable"; return; }
    has "$2" "$1" "$3" "$wanted"
}
check_fortify() { check_objects "$1" "nothing that FORTIFY checks" ' U __[a-z]+_chk$' "${@:2}"; }
check_stack() { check_objects "$1" "no stack protector" ' U __stack_chk_fail$' "${@:2}"; }

check_program virt-macvtap-hook EXEC
check_program virt-macvtap DYN
check_program qemu-macvtap-helper DYN
no "an interpreter, which the caller's environment would reach" qemu-macvtap-helper INTERP "$(readelf -Wl qemu-macvtap-helper)"
for archive in libvmt*.a; do check_stack "$archive" "$archive"; done
# The others, and two programs' own objects, have no call that needs the check.
for archive in libvmt.a libvmt_cli.a; do check_fortify "$archive" "$archive"; done
check_fortify "objects of virt-macvtap-hook" CMakeFiles/virt-macvtap-hook.dir/hooks/main.cc.o
for program in virt-macvtap-hook virt-macvtap qemu-macvtap-helper; do
    mapfile -t objects < <(find "CMakeFiles/$program.dir" -name '*.o')
    check_stack "objects of $program" "${objects[@]}"
    # Most objects have none, so that all are compiled with it is read from what the compiler was told.
    mapfile -t compiled < <(ninja -t commands "$program" | grep -- ' -c ')
    [[ ${#compiled[@]} -gt 10 ]] || fail "$program: how it is compiled is unknown"
    for command in "${compiled[@]}"; do
        has "without FORTIFY" "${command##* }" ' -D_FORTIFY_SOURCE=2 ' "$command"
        no "without FORTIFY" "${command##* }" ' -U_FORTIFY_SOURCE| -O0' "$command"
    done
done
[[ $failures == 0 ]] && echo "ok"
exit $((failures > 0))
