# The guard, part: `run`, which takes the payload, makes the attempt's directory and starts keeper and front.

# ${#} counts bytes only in some locales, so the hash decides; it covers the length.
ops_take_payload() {
    ops_payload=$(dd bs="$ops_length" count=1 iflag=fullblock <&3)
    ops_sum=$(printf %s "$ops_payload" | sha256sum)
    [ "${ops_sum%% *}" = "$ops_hash" ] || ops_refuse upload
}

ops_make_attempt() {
    ops_read_spool_id || ops_refuse spool.missing
    [ "$ops_found_id" = "$ops_spool_id" ] || ops_refuse spool.changed
    if ! mkdir -m 700 "$ops_dir"; then
        [ -d "$ops_dir" ] && ops_refuse exists
        ops_refuse spool.full
    fi
    { mkfifo "$ops_dir/out.pipe" "$ops_dir/err.pipe" && true >"$ops_dir/out" && true >"$ops_dir/err" && true >"$ops_dir/output"; } || ops_refuse spool.full
}

# What a caller no longer needs; never one that is still at work.
ops_forget_old() {
    for ops_line in $ops_forget; do
        [ "$ops_line" = - ] && continue
        ops_hex "$ops_line" >/dev/null
        [ -e "$ops_spool/attempts/$ops_line/running" ] && continue
        for ops_rest in "$ops_spool/attempts/$ops_line"/stopping.*; do
            [ -e "$ops_rest" ] && continue 2
        done
        rm -rf "$ops_spool/attempts/$ops_line"
    done
}

# In a scope the keeper is a new process that systemd-run becomes, so it is given the guard once more.
ops_keep_stream() {
    printf 'opsportal-guard %s %s\n%s' "$ops_n" "${#ops_g}" "$ops_g"
    printf 'keep %s %s %s scope %s %s %s %s %s 0 0 no .\n%s\n-\n' "$ops_attempt" "$ops_installation" "$ops_spool_id" \
        "$ops_length" "$ops_hash" "$ops_timeout" "$ops_grace" "$ops_limit" "$ops_spool"
    printf %s "$ops_payload"
}

ops_keep_in_scope() {
    systemd-run --quiet --scope --collect --unit="opsportal-$ops_attempt" \
        --description="OpsPortal attempt $ops_attempt" sh -c "$ops_boot_line" <&3 && return 0
    # Where systemd refuses, nothing has been read yet.
    [ -e "$ops_dir/start" ] || sh -c "$ops_boot_line" <&3
}

# No `&` on the script's side: a shell without job control starts such processes with SIGINT and SIGQUIT
# ignored, and no script could undo that.
ops_run() {
    command -v bash >/dev/null || ops_refuse interpreter.missing
    ops_take_payload
    ops_make_attempt
    ops_find_detach
    if [ "$ops_forget" != - ]; then
        ops_forget_old >/dev/null 3<&- 4>&- &
    fi
    if [ "$ops_detach" = scope ]; then ops_keep_stream; else printf %s "$ops_payload"; fi 3<&- 4>&- | {
        unset ops_payload
        ops_reader <&3 3<&- 4>&- &
        exec 3<&0 4>&- </dev/null
        if [ "$ops_detach" = scope ]; then ops_keep_in_scope; else ops_keep; fi
        echo over
    } | { unset ops_payload; ops_front 3<&-; }
}
