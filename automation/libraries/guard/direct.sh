# The guard, part: `direct`, for a target without a place for a spool. The script writes to the channel and
# is bound to it: when the connection is lost, nobody can tell how it ended.

ops_signal_marked() {
    ops_marked
    for ops_name in $(IFS=,; echo $ops_left); do kill "-$1" "${ops_name##*:}"; done
    [ -n "$ops_left" ]
}

ops_direct_reader() {
    while read -r ops_word ops_wish; do
        [ "$ops_word" = "$ops_n" ] || continue
        case $ops_wish in cancel | expire) ;; *) continue ;; esac
        ops_clock
        ops_until=$((ops_now + ops_grace * 100))
        # BEGIN is said before the script's shell has its mark: a stop in that moment must find it all the same.
        until ops_signal_marked TERM || ! kill -0 $$; do ops_nap 0.1; done
        while ops_signal_marked CONT && ops_clock && [ "$ops_now" -lt "$ops_until" ]; do ops_nap 0.1; done
        while ops_signal_marked KILL; do ops_nap 0.1; done
    done
}

ops_direct() {
    command -v bash >/dev/null || ops_refuse interpreter.missing
    ops_take_payload
    ops_find_detach
    [ "$ops_detach" = scope ] && ops_detach=session
    ops_output=/dev/null
    ops_say BEGIN
    ops_say BEGIN >&4
    ops_direct_reader <&3 3<&- 4>&- >/dev/null &
    printf %s "$ops_payload" | ops_start_bash 2>&4 3<&- 4>&-
    ops_code=$?
    ops_say END >&4
    ops_say "END ended $ops_code - - - no"
}
