# What the stand-ins of a practice host share. POSIX sh.
#
# State: packages/NAME "ii VERSION" (dpkg's), lists/NAME one version a line, newest last (apt's lists),
# /srv/apt-repo/NAME likewise (the repository), units/NAME/ (a service; `pid` in it while it is active),
# faults/NAME (what was broken on purpose).

S=/var/lib/practice

log() { printf '%s %s %s\n' "$(date '+%b %e %T')" "$(uname -n)" "$*" >>/var/log/syslog; }

installed() { { read -r status version <"$S/packages/$1"; } 2>/dev/null && echo "$version"; }

# dpkg's abbreviation: two letters, and a third that is always blank here.
status() { { read -r status version <"$S/packages/$1"; } 2>/dev/null && echo "$status"; }

candidate() { tail -n 1 "$S/lists/$1" 2>/dev/null; }

available() { grep -qxF -- "$2" "$S/lists/$1" 2>/dev/null; }

# Packages that are only ever changed together, in the order in which they are set up.
together() { case $1 in nginx | nginx-common) echo nginx-common nginx ;; *) echo "$1" ;; esac; }

unit_of() { u=${1%.service}; case $u in sshd) u=ssh ;; esac; echo "$u"; }

start_unit() {
    if [ "$1" = nginx ] && ! nginx -q -t 2>/dev/null; then
        rm -f "$S/units/$1/pid"
        log "systemd[1]: nginx.service: Failed with result 'exit-code'."
        echo "Job for $1.service failed because the control process exited with error code." >&2
        return 1
    fi
    count=$(cat "$S/starts" 2>/dev/null || echo 600)
    echo $((count + 17)) >"$S/starts"
    echo $((count + 17)) >"$S/units/$1/pid"
    tr -d - </proc/sys/kernel/random/uuid >"$S/units/$1/invocation"
    date '+%a %Y-%m-%d %T UTC' >"$S/units/$1/since"
    log "systemd[1]: Started $1.service."
}
