# What this machine is, as lines name=value. It reads and changes nothing; what is not known is left out.
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/sbin:/sbin
has() { command -v "$1" >/dev/null 2>&1; }
say() { [ -z "$2" ] || printf '%s=%s\n' "$1" "$2"; }
# A package manager may wait for a lock or a network.
soon() { if has timeout; then timeout 20 "$@"; else "$@"; fi; }

release=/etc/os-release
[ -r $release ] || release=/usr/lib/os-release
if [ -r $release ]; then
    say os.distribution "$(. $release; printf '%s' "$ID")"
    say os.version "$(. $release; printf '%s' "$VERSION_ID")"
    say os.name "$(. $release; printf '%s' "$PRETTY_NAME")"
fi
say hostname "$(uname -n)"
say kernel "$(uname -r)"
say architecture "$(uname -m)"
say cpus "$(getconf _NPROCESSORS_ONLN 2>/dev/null || nproc 2>/dev/null || grep -c ^processor /proc/cpuinfo)"

if [ -r /proc/meminfo ]; then
    while read -r name size _; do
        case $name in
            MemTotal:) say memory.mb $((size / 1024)) ;;
            MemAvailable:) say memory.available_mb $((size / 1024)) ;;
            SwapTotal:) say memory.swap_mb $((size / 1024)) ;;
        esac
    done </proc/meminfo
fi
df -Pk / 2>/dev/null | {
    read -r _
    read -r _ size used free _
    [ -n "$free" ] || exit
    say disk.root.mb $((size / 1024))
    say disk.root.free_mb $((free / 1024))
    [ $((used + free)) -eq 0 ] || say disk.root.used_percent $((used * 100 / (used + free)))
}

for manager in apt-get dnf yum zypper pacman apk emerge xbps-install; do
    if has $manager; then
        say package_manager "${manager%-get}"
        break
    fi
done

if [ -d /run/systemd/system ]; then
    say init systemd
elif has openrc-run || [ -x /sbin/openrc ]; then
    say init openrc
elif [ -r /proc/1/comm ]; then
    read -r first </proc/1/comm
    say init "$first"
fi

virtualisation() {
    if has systemd-detect-virt; then
        systemd-detect-virt 2>/dev/null
        return
    fi
    if [ -e /.dockerenv ]; then echo docker; return; fi
    if [ -e /run/.containerenv ]; then echo podman; return; fi
    maker=$(cat /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name 2>/dev/null)
    case $maker in
        *KVM* | *QEMU*) echo kvm ;;
        *VMware*) echo vmware ;;
        *VirtualBox*) echo oracle ;;
        *Xen*) echo xen ;;
        *Microsoft*Virtual*) echo microsoft ;;
        *)
            if grep -qw hypervisor /proc/cpuinfo 2>/dev/null; then echo vm-other; else echo none; fi
            ;;
    esac
}
say virtualisation "$(virtualisation)"

reboot_needed() {
    if [ -e /run/reboot-required ] || [ -e /var/run/reboot-required ]; then echo true; return; fi
    if has needs-restarting; then
        soon needs-restarting -r >/dev/null 2>&1
        case $? in 0) echo false ;; 1) echo true ;; esac
        return
    fi
    if has zypper; then
        soon zypper -n needs-rebooting >/dev/null 2>&1
        case $? in 0) echo false ;; 102) echo true ;; esac
        return
    fi
    # An update took away the modules of the kernel that runs; a container has none of its own.
    if [ -n "$(ls /lib/modules 2>/dev/null)" ] && [ ! -d "/lib/modules/$(uname -r)" ]; then
        echo true
        return
    fi
    if has apt-get || has pacman || has apk; then echo false; fi
}
say reboot_needed "$(reboot_needed)"
