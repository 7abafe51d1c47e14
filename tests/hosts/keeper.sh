# Starts a host again when it asked for a reboot: the kernel ends its process 1 with SIGHUP (129) then.
# $1: the host's cgroup; $2: its network namespace; $3: folder; the rest are the arguments of boot.sh.
cgroup=$1 netns=$2 base=$3
shift 2
while :; do
  read -r uptime _ < /proc/uptime
  uptime=${uptime%%.*}
  # a time namespace, so that the uptime of the host starts at zero with each of its boots
  sh -c 'echo $$ > "$0/cgroup.procs"; exec "$@"' "$cgroup" \
    nsenter --net="$netns" \
    unshare --mount --uts --ipc --pid --cgroup --time --boottime "-$uptime" --monotonic "-$uptime" \
    --fork --kill-child sh "$base/boot.sh" "$@"
  code=$?
  [ "$code" = 129 ] || exit "$code"
done
