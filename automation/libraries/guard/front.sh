# The guard, part: the front, which shows the client what the script writes. It may die at any time; the
# keeper and the script do not notice.
#
# Three helpers send it lines, each of which means "look now": the keeper (begin and end), its watcher (or,
# in a reclaim, a ticker) and the reader of the channel's input. So it sleeps in one `read`, with no timer.

# "nonce cancel" and "nonce expire" rename the file that says "running": atomic, also on a full disk, and of
# the script's own end and this, only one can win. The file may be a moment away.
ops_stop_running() {
    for ops_count in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        mv "$ops_dir/running" "$ops_dir/stopping.$1" && return 0
        for ops_line in "$ops_dir"/exit.* "$ops_dir"/stopping.*; do
            [ -e "$ops_line" ] && return 0
        done
        ops_nap 0.25
    done
}

ops_reader() {
    while read -r ops_word ops_wish; do
        [ "$ops_word" = "$ops_n" ] || continue
        case $ops_wish in
            cancel) ops_stop_running cancelled ;;
            expire) ops_stop_running timed_out ;;
        esac
    done
    echo gone
}

# $1: our descriptor, $2: the keeper's. Equal places: nothing new. Costs no process.
ops_new() {
    ops_there= ops_here=
    read -r ops_line ops_there <"/proc/$ops_keeper/fdinfo/$2"
    read -r ops_line ops_here <"/proc/self/fdinfo/$1"
    [ "$ops_there" != "$ops_here" ]
}

# The descriptors 5 and 6 keep the place, so nothing is read twice. dd takes turns of 16 MiB, so that one
# stream cannot starve the other.
ops_pump() {
    ops_new 5 "$ops_out_fd" && dd bs=65536 count=256 <&5
    ops_new 6 "$ops_err_fd" && dd bs=65536 count=256 <&6 >&4
}

# $1: how it ended, $2: exit code or -, $3: names left, $4: was the target restarted since it began? The places of 5 and 6 are the bytes that were sent.
ops_end() {
    [ -s "$ops_dir/out" ] && cat <&5
    [ -s "$ops_dir/err" ] && cat <&6 >&4
    ops_out_end=0 ops_err_end=0
    read -r ops_line ops_out_end </proc/self/fdinfo/5
    read -r ops_line ops_err_end </proc/self/fdinfo/6
    ops_say OUTPUTS
    [ -s "$ops_dir/output" ] && dd bs=65537 count=1 <"$ops_dir/output"
    ops_say "END $1 $2 $ops_out_end $ops_err_end ${3:--} $4"
}

ops_ended() {
    set -- "$ops_dir"/exit.*
    [ -e "$1" ] || return 1
    ops_restarted=yes
    # It is the file that said "running", under its last name.
    read -r ops_rest ops_rest ops_when ops_rest <"$1" && [ "$ops_when" = "$ops_boot" ] && ops_restarted=no
    ops_line=${1##*/exit.}
    ops_how=${ops_line#*.} ops_code=${ops_line%%.*} ops_left=
    [ -s "$ops_dir/left" ] && read -r ops_left <"$ops_dir/left"
    [ "$ops_how" = lost_guard ] && ops_code=-
    ops_end "$ops_how" "$ops_code" "$ops_left" "$ops_restarted"
}

# Whoever keeps the attempt is named in the file that says "running" or "stopping". A pid alone may be
# another process by now; but reading /proc costs a call for each byte, so not every look is a close one.
ops_keeper_lives() {
    for ops_line in "$ops_dir"/running "$ops_dir"/stopping.*; do
        [ -n "$ops_keeper" ] && break
        read -r ops_keeper ops_since ops_when ops_out_fd ops_err_fd <"$ops_line"
    done
    [ -n "$ops_keeper" ] || return 0
    ops_looks=$(((ops_looks + 1) % 16))
    [ "$ops_looks" != 1 ] && [ -d "/proc/$ops_keeper" ] && return 0
    [ "$ops_when" = "$ops_boot" ] && ops_stat "$ops_keeper" && [ "$ops_state" != Z ] && [ "$ops_began" = "$ops_since" ]
}

# True when there is nothing more to come.
ops_look() {
    ops_ended && return 0
    ops_keeper_lives && { ops_pump; return 1; }
    # It may have ended between the two looks.
    ops_ended && return 0
    if [ "$ops_when" = "$ops_boot" ]; then
        ops_marked
        ops_end lost_guard - "$ops_left" no
    else
        ops_end rebooted - "" yes
    fi
}

ops_begin() {
    ops_begun=yes
    exec 5<"$ops_dir/out" 6<"$ops_dir/err"
    ops_say BEGIN
    ops_say BEGIN >&4
    [ "$ops_out_at" = 0 ] || tail -c "+$((ops_out_at + 1))" <&5
    [ "$ops_err_at" = 0 ] || tail -c "+$((ops_err_at + 1))" <&6 >&4
}

# A keeper that died before it said a word: whoever makes "start" decides whether the script may have begun.
ops_keeper_silent() {
    ops_keeper_lives && return 1
    mkdir "$ops_dir/start" && ops_refuse keeper
    ops_begin
}

ops_front() {
    ops_begun= ops_keeper= ops_looks=0
    while read -r ops_event ops_line; do
        case $ops_event in
            started) ops_begin ;;
            refused) ops_refuse "$ops_line" ;;
            # The shell above waits for the keeper; without a client there is nothing to wait for.
            gone) kill -KILL $$; exit 0 ;;
        esac
        [ -n "$ops_begun" ] || ops_keeper_silent || continue
        ops_look && break
    done
}
