# The guard, part: `reclaim`, which makes sure that an attempt can never start, or else reads on from it.

ops_say_fenced() {
    true >"$ops_dir/start/fenced"
    ops_say "FENCED $ops_found_id"
    exit 0
}

# The order of the looks follows the order of the renames, so that none can slip between them.
ops_has_begun() {
    [ -e "$ops_dir/running" ] && return 0
    for ops_line in "$ops_dir"/stopping.*; do [ -e "$ops_line" ] && return 0; done
    for ops_line in "$ops_dir"/exit.*; do [ -e "$ops_line" ] && return 0; done
    return 1
}

ops_reclaim() {
    if ! ops_read_spool_id; then
        ops_say "FENCED -"
        exit 0
    fi
    mkdir -m 700 "$ops_dir"
    mkdir "$ops_dir/start" && ops_say_fenced
    [ -d "$ops_dir/start" ] || ops_refuse spool.full
    # Fenced before, by somebody whose answer was lost.
    { [ -e "$ops_dir/start/fenced" ] || ! ops_has_begun; } && ops_say_fenced
    {
        echo started
        ops_reader <&3 3<&- 4>&- &
        while ops_nap 0.2 && echo tick; do :; done </dev/null 3<&- 4>&- &
    } | ops_front 3<&-
}
