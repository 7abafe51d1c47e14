# The guard, part: the keeper, which owns the script until its end, and its watcher, which stops it.
#
# An attempt's directory: running (pid, its start time, boot, its descriptors of out and err) -> stopping.HOW -> exit.CODE.HOW, each step one
# rename; start/ (made once, by the keeper or by who fences); out, err, output, session, left.
#
# The script writes into pipes, not into the files: `echo >/dev/stderr` would cut a file to nothing. tee goes
# on reading when the disk is full, so that the script does not die of it.

# --norc: bash under sshd may read .bashrc otherwise, with the payload as its input.
ops_start_bash() {
    unset BASH_ENV
    if [ "$ops_detach" = group ]; then
        # Without setsid, job control gives the script a process group of its own.
        OPSPORTAL_ATTEMPT=$ops_attempt OPSPORTAL_OUTPUT=$ops_output \
            bash --norc -c 'set -m; bash --norc -c "$1" bash <&0 & wait $!' bash "$ops_bash"
    else
        OPSPORTAL_ATTEMPT=$ops_attempt OPSPORTAL_OUTPUT=$ops_output setsid bash --norc -c "$ops_bash" bash
    fi
}

# The script's shell writes its session's number; where the disk is too full for that, it is our marked child.
ops_find_session() {
    read -r ops_sid <"$ops_dir/session" && [ -n "$ops_sid" ] && return 0
    ops_marked
    for ops_name in $(IFS=,; echo $ops_left); do
        ops_sid=${ops_name##*:}
        ops_stat "$ops_sid" && [ "$ops_parent" = "$ops_me" ] && return 0
    done
    return 1
}

# Processes of the script that still live: all of its session (or group), and of its scope but us.
ops_members() {
    ops_found= ops_line='[0-9]* [0-9]*'
    [ "$ops_detach" = group ] && ops_line='[0-9]*'
    # One grep for all of /proc; the shell would make a call for each byte of it.
    for ops_line in $(grep -ls ") [A-Z] $ops_line ${ops_sid:-none} " /proc/[0-9]*/stat); do
        ops_line=${ops_line%/stat}
        ops_pid=${ops_line#/proc/}
        ops_stat "$ops_pid" && [ "$ops_state" != Z ] && [ "$ops_began" -ge "$ops_mine" ] &&
            ops_found="$ops_found $ops_pid"
    done
    # What is in the scope and in our own session is ours: keeper, watcher, pumps, and the naps they take.
    [ -n "$ops_scope" ] && while read -r ops_pid; do
        ops_stat "$ops_pid" && [ "$ops_state" != Z ] && [ "$ops_session" != "$ops_home" ] &&
            ops_found="$ops_found $ops_pid"
    done <"$ops_scope/cgroup.procs"
    [ -n "$ops_found" ]
}

# TERM, grace, KILL until nothing is left; then name what got away.
ops_stop_all() {
    # It may be a moment before the script's shell is there to be stopped.
    until ops_find_session || [ -n "$ops_over" ]; do ops_nap 0.05; done
    ops_clock
    ops_until=$((ops_now + ops_grace * 100))
    ops_members && kill -TERM $ops_found && kill -CONT $ops_found
    while ops_members && ops_clock && [ "$ops_now" -lt "$ops_until" ]; do ops_nap 0.1; done
    while ops_members; do
        kill -KILL $ops_found
        ops_nap 0.1
    done
    ops_marked
    [ -n "$ops_left" ] && printf '%s\n' "$ops_left" >"$ops_dir/left"
    # Until it answers: a signal just before its `wait` is lost on it.
    until [ -n "$ops_over" ] || [ ! -d "/proc/$ops_me" ]; do ops_release_keeper; done
}

# What got away, or a daemon that the script means to leave, may hold the pipes open for ever. The pumps have
# long taken what the script wrote; so the keeper need not wait for their end.
ops_release_keeper() {
    ops_nap 0.2
    kill -USR1 "$ops_me"
}

# The script is over and the attempt is not: the keeper waits for the pumps.
ops_script_over() {
    [ -n "$ops_sid" ] || read -r ops_sid <"$ops_dir/session"
    [ -n "$ops_sid" ] && [ ! -d "/proc/$ops_sid" ]
}

# Bytes written so far: the place of the descriptors that the script writes to. Only a script that itself
# wrote much can be ended for a full disk; else none could be used to clean one up.
ops_too_much() {
    read -r ops_line ops_out_end </proc/self/fdinfo/5
    read -r ops_line ops_err_end </proc/self/fdinfo/6
    ops_sum=$((ops_out_end + ops_err_end))
    [ "$ops_sum" = "$ops_said" ] && ops_quiet=$((ops_quiet + 1)) || ops_quiet=-100
    ops_said=$ops_sum
    [ "$ops_sum" -gt "$ops_limit" ] && return 0
    [ "$ops_sum" -gt "$ops_checked" ] || return 1
    ops_checked=$((ops_sum + 1048576))
    set -- $(stat -f -c '%a %b' "$ops_dir")
    [ "$((${1:-0} * 10))" -lt "$2" ]
}

# Often for ten seconds after the script said something, for somebody may be watching; less when it is quiet:
# each nap is a process. The line makes the front look; there may be none.
ops_tick() {
    case $ops_quiet in -* | [0-3]) ops_nap 0.1 ;; ? | ?? | 1??) ops_nap 0.25 ;; *) ops_nap 0.5 ;; esac
    echo tick
}

ops_watch() {
    trap : HUP INT TERM PIPE
    trap ops_over=yes USR1
    ops_over= ops_sid= ops_quiet=0 ops_said=0
    read -r ops_watcher ops_line </proc/self/stat
    ops_clock
    ops_deadline=$((ops_now + ops_timeout * 100)) ops_checked=16777216
    while :; do
        ops_tick
        if [ -e "$ops_dir/running" ]; then
            ops_clock
            [ "$ops_now" -ge "$ops_deadline" ] && mv "$ops_dir/running" "$ops_dir/stopping.timed_out"
            ops_too_much && mv "$ops_dir/running" "$ops_dir/stopping.output_limit"
        fi
        ops_script_over && ops_release_keeper
        [ -d "/proc/$ops_me" ] || return 0
        [ -e "$ops_dir/running" ] && continue
        set -- "$ops_dir"/stopping.*
        # Neither may be seen in the moment of the rename; whoever leaves then leaves the script without a watch.
        [ -e "$1" ] || continue
        ops_stop_all
        return 0
    done
}

# The directory of the scope we are in; empty when systemd did not put us in one.
ops_find_scope() {
    ops_scope=
    [ "$ops_detach" = scope ] || return 0
    ops_detach=session
    while read -r ops_line; do
        case $ops_line in *"opsportal-$ops_attempt.scope") ;; *) continue ;; esac
        for ops_scope in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
            ops_scope=$ops_scope${ops_line#*:*:}
            [ -r "$ops_scope/cgroup.procs" ] && return 0
        done
    done </proc/self/cgroup
    ops_scope=
}

ops_record_end() {
    # Without this file the script's shell never came as far as the script: then its code means nothing.
    [ -e "$ops_dir/session" ] && ops_how=ended || ops_how=lost_guard
    wait "$ops_out_pump"
    [ -n "$ops_released" ] || wait "$ops_err_pump"
    # More than once, because a target that goes down signals everything, and may end mv before it moved.
    while [ -e "$ops_dir/running" ]; do
        mv "$ops_dir/running" "$ops_dir/exit.$ops_code.$ops_how" && return 0
        ops_nap 0.1
    done
    # Somebody is stopping it: the end is true only when the watcher has seen that nothing is left.
    kill -USR1 "$ops_watcher"
    # Looked at, not waited for: after its signal to us, a second `wait` never returns in some shells.
    while ops_stat "$ops_watcher" && [ "$ops_state" != Z ]; do ops_nap 0.05; done
    for ops_line in "$ops_dir"/stopping.*; do
        until [ ! -e "$ops_line" ] || mv "$ops_line" "$ops_dir/exit.$ops_code.${ops_line##*/stopping.}"; do
            ops_nap 0.1
        done
    done
}

# fd 3: the payload. Output: lines for the front, which may be gone; so a broken pipe must not end us. Signals
# are caught, not ignored: the script gets them back as the login had them.
ops_keep() {
    trap : HUP INT QUIT TERM PIPE
    trap ops_released=yes USR1
    ops_released=
    read -r ops_me ops_line </proc/self/stat
    ops_stat "$ops_me"
    ops_mine=$ops_began ops_home=$ops_session
    ops_find_scope
    ops_output=$ops_dir/output
    printf '%s %s %s 5 6\n' "$ops_me" "$ops_mine" "$ops_boot" >"$ops_dir/running" || { echo refused spool.full; exit 0; }
    exec 5>>"$ops_dir/out" 6>>"$ops_dir/err"
    # The last act before the script: of this and a fence, only one can be.
    mkdir "$ops_dir/start" || { mv "$ops_dir/running" "$ops_dir/fenced"; echo refused fenced; exit 0; }
    tee /dev/null <"$ops_dir/out.pipe" >&5 3<&- 5>&- 6>&- &
    ops_out_pump=$!
    tee /dev/null <"$ops_dir/err.pipe" >&6 3<&- 5>&- 6>&- &
    ops_err_pump=$!
    ops_watch 3<&- &
    ops_watcher=$!
    echo started
    ops_start_bash <&3 >"$ops_dir/out.pipe" 2>"$ops_dir/err.pipe" 3<&- 4>&- 5>&- 6>&-
    ops_code=$?
    ops_record_end
    echo ended
}
