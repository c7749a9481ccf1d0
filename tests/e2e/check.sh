# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Functions to say what is expected, and to count what is not so. Source it after network.sh.
#
#   check SENTENCE COMMAND...     the command must succeed; its output is shown when it does not
#   same SENTENCE WANTED GOT      two texts must be the same; the difference is shown when they are not
#   eventually COMMAND...         wait for a command to succeed, for something that has no event to wait for
#   verdict                       print "N passed, N failed"; false when one failed
#
# A check that fails prints "not ok - SENTENCE", after an "ok - SENTENCE" for each that went well before it in the same
# scenario: what is well otherwise is counted and not printed, or nobody would find the rest.

checks_passed=0
checks_failed=0
_unsaid=''
_state_shown=none

_pass() {
    checks_passed=$((checks_passed + 1))
    _unsaid+="ok - $1"$'\n'
}

# SENTENCE DETAILS; with the first failure of a scenario, the state of the hypervisor.
_fail() {
    checks_failed=$((checks_failed + 1))
    printf '%snot ok - %s\n' "$_unsaid" "$1"
    _unsaid=''
    printf '%s\n' "$2" | head -n 30 | sed 's/^/#   /'
    if [[ ${scenario:-} != "$_state_shown" ]]; then network_summary 2>&1 | sed 's/^/#   hv: /'; fi
    _state_shown=${scenario:-}
}

check() {
    local sentence=$1 output
    shift
    if output=$("$@" 2>&1); then _pass "$sentence"; else _fail "$sentence" "$output"; fi
}

same() {
    local difference
    if difference=$(diff --label wanted --label got -U 0 <(printf '%s\n' "$2") <(printf '%s\n' "$3")); then
        _pass "$1"
    else
        _fail "$1" "$difference"
    fi
}

eventually() {
    local _
    for _ in {1..200}; do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    echo "not within 20 s: $*"
    return 1
}

verdict() {
    echo "$checks_passed passed, $checks_failed failed"
    [[ $checks_failed == 0 && $checks_passed -gt 0 ]]
}
