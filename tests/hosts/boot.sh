# Builds a host's root directory inside its fresh namespaces and becomes its process 1.
# $1: the host's folder; $2: its name; $3: the shared tree; $4: capabilities to drop.
set -eu
base=$1 name=$2 lower=$3 caps=$4
new=$base/mnt
mount --make-rprivate /
read -r pid _ < /proc/self/stat # our pid as the machine sees it: /proc is still the machine's

mount -t overlay overlay -o "lowerdir=$lower,upperdir=$base/disk/upper,workdir=$base/disk/work" "$new"
if [ ! -e "$new/etc/.seeded" ]; then
  cp -a "$base/seed/." "$new/"
  chown -R 1000:1000 "$new/home/ops"
  chroot "$new" chpasswd < "$base/secret"
  : > "$new/etc/.seeded"
fi

mount -t tmpfs -o mode=755,size=32m run "$new/run"
mkdir -p "$new/run/lock"
mount -t tmpfs -o mode=1777,size=5m,nosuid,nodev,noexec lock "$new/run/lock"
mount -t tmpfs -o mode=1777,size=64m tmp "$new/tmp"

mount -t proc -o nosuid,noexec,nodev proc "$new/proc"
for part in sys sysrq-trigger irq bus fs; do
  [ -e "$new/proc/$part" ] || continue
  mount --bind "$new/proc/$part" "$new/proc/$part"
  mount -o remount,bind,ro "$new/proc/$part"
done
# the kernel's boot id is the machine's and outlives a host's reboot: each boot of a host gets its own
cat /proc/sys/kernel/random/uuid > "$base/boot_id"
mount --bind "$base/boot_id" "$new/proc/sys/kernel/random/boot_id"
mount -o remount,bind,ro "$new/proc/sys/kernel/random/boot_id"
mount -t sysfs -o ro,nosuid,noexec,nodev sysfs "$new/sys"
mount -t cgroup2 cgroup2 "$new/sys/fs/cgroup"

mount -t tmpfs -o mode=755,size=1m,nosuid,noexec dev "$new/dev"
for device in null zero full random urandom tty; do
  : > "$new/dev/$device"
  mount --bind "/dev/$device" "$new/dev/$device"
done
mkdir "$new/dev/pts" "$new/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$new/dev/pts"
mount -t tmpfs -o mode=1777,size=16m shm "$new/dev/shm"
ln -s pts/ptmx "$new/dev/ptmx"
ln -s /proc/self/fd "$new/dev/fd"
ln -s fd/0 "$new/dev/stdin"
ln -s fd/1 "$new/dev/stdout"
ln -s fd/2 "$new/dev/stderr"

hostname "$name"
echo "$pid" > "$base/pid.new"
mv "$base/pid.new" "$base/pid"
cd "$new"
pivot_root . mnt
umount -l /mnt
exec env -i container=opsportal PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  setpriv --bounding-set "$caps" /lib/systemd/systemd --log-level=info --show-status=0
