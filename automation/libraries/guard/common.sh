# The guard, part 1: what every order needs. POSIX sh with coreutils or busybox; no `local`, no arrays.
#
# The names all begin with ops_, because a variable that the login exports under the same name would reach
# the script's environment with our value. Nothing here changes umask, directory, locale or signals of the
# login: the script must find them as the login left them.
#
# fd 3: the channel's input. fd 4: the channel's error stream. `true >file`, never `: >file`: a failing
# redirection of a special builtin ends dash.

exec 3<&0 4>&2 </dev/null 2>/dev/null
unset ops_payload

# A record for the client. Only records that carry the nonce count; 036 keeps the client's search cheap.
ops_say() { printf '\036%s %s\n' "$ops_n" "$*"; }

ops_refuse() { ops_say "REFUSED $1"; exit 0; }

# sleep, also where it knows no fractions
ops_nap() { sleep "$1" || sleep 1; }

# State, parent, session and start time of a process, by builtins alone. The name in the middle may hold blanks.
ops_stat() {
    ops_state= ops_parent= ops_session= ops_began=
    while read -r ops_raw; do
        case $ops_raw in *') '*) break ;; esac
    done <"/proc/$1/stat" || return 1
    set -- ${ops_raw##*) }
    ops_state=$1 ops_parent=$2 ops_session=$4 ops_began=${20-}
    [ -n "$ops_began" ]
}

# Containers share the kernel's boot id, so the start of process 1 belongs to the identity.
ops_identify() {
    ops_boot=none ops_first=0 ops_up=0
    read -r ops_boot </proc/sys/kernel/random/boot_id
    read -r ops_up ops_line </proc/uptime
    ops_stat 1 && ops_first=$ops_began
    ops_boot=$ops_boot.$ops_first
}

# Hundredths of a second since boot: no clock change can move it. The 1 before the fraction, because 0.95 must
# not become 095: to the shell that is a broken octal number, and such an error ends it.
ops_clock() {
    read -r ops_now ops_line </proc/uptime
    ops_now=$((${ops_now%.*} * 100 + 1${ops_now#*.} - 100))
}

ops_hex() { case $1 in '' | *[!0123456789abcdef]*) ops_refuse header ;; esac; }
ops_number() { case $1 in '' | *[!0123456789]*) ops_refuse header ;; esac; }
ops_word() { case $1 in '' | *[!0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.-]*) ops_refuse header ;; esac; }
ops_path() {
    case $1 in
        - ) ;;
        *[!0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_./-]* | */../* | */..) ops_refuse header ;;
        /*) ;;
        *) ops_refuse header ;;
    esac
}

# Three lines. The stop at the end of the first shows that it came whole; `read` fails on a cut line.
ops_header() {
    read -r ops_op ops_attempt ops_installation ops_spool_id ops_detach ops_length ops_hash \
        ops_timeout ops_grace ops_limit ops_out_at ops_err_at ops_become ops_stop <&3 &&
        read -r ops_spool <&3 && read -r ops_forget <&3 && [ "$ops_stop" = . ] || ops_refuse header
    ops_word "$ops_op"
    ops_hex "$ops_attempt"
    [ "${#ops_attempt}" = 32 ] || ops_refuse header
    ops_word "$ops_installation"
    ops_word "$ops_spool_id"
    ops_word "$ops_detach"
    ops_hex "$ops_hash"
    ops_path "$ops_spool"
    for ops_line in "$ops_length" "$ops_timeout" "$ops_grace" "$ops_limit" "$ops_out_at" "$ops_err_at"; do
        ops_number "$ops_line"
    done
    # Ours, so that sudo speaks English; the script must not see it.
    [ "$ops_become" = yes ] && [ "${LC_ALL-}" = C ] && unset LC_ALL
    ops_dir=$ops_spool/attempts/$ops_attempt
}

ops_user_id() {
    ops_uid=
    while read -r ops_line ops_uid ops_rest; do
        [ "$ops_line" = Uid: ] && { set -- $ops_rest; ops_uid=$1; break; }
    done </proc/self/status
}

# How a script is taken out of the login's session, so that it outlives the connection.
ops_find_detach() {
    [ "$ops_detach" = auto ] || return 0
    ops_user_id
    if [ "$ops_uid" = 0 ] && [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then
        ops_detach=scope
    elif command -v setsid >/dev/null; then
        ops_detach=session
    else
        ops_detach=group
    fi
}

# A directory of ours, no link, with the id that was recorded: then it is the spool that we made.
ops_own() { [ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ]; }

ops_read_spool_id() {
    ops_found_id=-
    ops_own "$ops_spool" && ops_own "$ops_spool/attempts" && read -r ops_found_id <"$ops_spool/id"
}

# What carries this attempt's mark in its environment: names and pids, for people.
ops_marked() {
    ops_left=
    for ops_line in $(grep -ls "OPSPORTAL_ATTEMPT=$ops_attempt" /proc/[0-9]*/environ); do
        ops_line=${ops_line%/environ}
        ops_stat "${ops_line#/proc/}" && [ "$ops_state" != Z ] || continue
        ops_name=$(tr -c 'A-Za-z0-9_.\n-' '?' <"$ops_line/comm")
        ops_left="$ops_left${ops_left:+,}$ops_name:${ops_line#/proc/}"
    done
}
