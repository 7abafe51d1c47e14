"""The apt repositories inside the tree: real updates, the old nginx, and one that cannot be installed."""

import hashlib
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from tests.hosts.place import Place
from tests.hosts.processes import HostsError, output_of, run, write

_OWN_SUFFIX = "+opsportal1"
_BAD_SUFFIX = "+opsportal.bad1"


def fill_repositories(place: Place) -> None:
    """Put every update that this machine's mirror has for the tree into it, beside what is installed.

    Afterwards `/srv/apt-repo` holds an nginx later than the installed one, and the installed one too;
    `/srv/apt-repo-bad` holds a still later nginx whose installation fails.
    """
    options = _private_apt(place)
    run("apt-get", *options, "update")
    run("apt-get", *options, "-y", "--download-only", "--no-install-recommends", "upgrade")
    good = place.rootfs / "srv/apt-repo"
    good.mkdir(parents=True)
    for package in (place.cache / "apt/cache/archives").glob("*.deb"):
        shutil.copy(package, good)
    installed = _installed_nginx(place.rootfs)
    for name, version in installed.items():
        run("apt-get", *options, "download", f"{name}={version}", cwd=good)
    _index(good, "opsportal-hosts")
    later = _later_nginx(good, installed["nginx"])
    _fill_bad(good, later, place.rootfs / "srv/apt-repo-bad")


def _private_apt(place: Place) -> list[str]:
    """Options that make the machine's apt look with the tree's eyes, in folders of its own."""
    folder = place.cache / "apt"
    for part in ("state/lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    settings = {
        "Dir::State": folder / "state",
        "Dir::Cache": folder / "cache",
        "Dir::State::status": place.rootfs / "var/lib/dpkg/status",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "1",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def _installed_nginx(root: Path) -> dict[str, str]:
    listing = output_of(
        "dpkg-query",
        f"--admindir={root}/var/lib/dpkg",
        "-W",
        "-f",
        "${Package}\t${Version}\n",
        "nginx",
        "nginx-common",
    )
    return dict(line.split("\t") for line in listing.splitlines())


def _later_nginx(folder: Path, installed: str) -> Path:
    """The package to upgrade to; made here when the mirror has one version only."""
    for package in sorted(folder.glob("nginx_*.deb")):
        version = output_of("dpkg-deb", "-f", package, "Version")
        if run("dpkg", "--compare-versions", version, "gt", installed, check=False).returncode == 0:
            return package
    for package in [*folder.glob("nginx_*.deb"), *folder.glob("nginx-common_*.deb")]:
        _rebuild(package, folder, _OWN_SUFFIX)
    _index(folder, "opsportal-hosts")
    return next(path for path in folder.glob("nginx_*.deb") if "opsportal1" in path.name)


def _fill_bad(good: Path, nginx: Path, bad: Path) -> None:
    bad.mkdir(parents=True)
    version = nginx.name.split("_")[1]
    for common in good.glob(f"nginx-common_{version}_*.deb"):
        _rebuild(common, bad, _BAD_SUFFIX)
    _rebuild(nginx, bad, _BAD_SUFFIX, change=_break_installation)
    _index(bad, "opsportal-hosts-bad")


def _break_installation(unpacked: Path) -> None:
    script = "#!/bin/sh\necho 'nginx: test fault: post-installation fails' >&2\nexit 1\n"
    write(unpacked / "DEBIAN/postinst", script, 0o755)


def _rebuild(
    package: Path, folder: Path, suffix: str, *, change: Callable[[Path], None] | None = None
) -> None:
    """A copy of a package under a later version, with its tree changed where asked."""
    work = folder / ".rebuild"
    shutil.rmtree(work, ignore_errors=True)
    run("dpkg-deb", "-R", package, work)
    text = (work / "DEBIAN/control").read_text()
    old = _control_field(text, "Version")
    text = text.replace(f"Version: {old}", f"Version: {old}{suffix}")
    write(work / "DEBIAN/control", text.replace(f"= {old})", f"= {old}{suffix})"))
    if change:
        change(work)
    name, architecture = _control_field(text, "Package"), _control_field(text, "Architecture")
    version = f"{old}{suffix}".replace(":", "%3a")
    run("dpkg-deb", "--root-owner-group", "-b", work, folder / f"{name}_{version}_{architecture}.deb")
    shutil.rmtree(work)


def _control_field(text: str, field: str) -> str:
    found = re.search(rf"^{field}: (.*)$", text, re.MULTILINE)
    if found is None:
        raise HostsError(f"a package without the field {field}:\n{text}")
    return found.group(1)


def _index(folder: Path, label: str) -> None:
    """Write Packages and Release for a flat repository."""
    stanzas = []
    for package in sorted(folder.glob("*.deb")):
        data = package.read_bytes()
        stanzas.append(
            f"{output_of('dpkg-deb', '-f', package)}\nFilename: ./{package.name}\n"
            f"Size: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
        )
    packages = "\n".join(stanzas)
    write(folder / "Packages", packages)
    date = time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime())
    digest, size = hashlib.sha256(packages.encode()).hexdigest(), len(packages.encode())
    head = f"Origin: {label}\nLabel: {label}\nSuite: {label}\nDate: {date}\n"
    write(folder / "Release", f"{head}SHA256:\n {digest} {size} Packages\n")
