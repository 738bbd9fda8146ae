# SPDX-License-Identifier: Apache-2.0
"""arm64 packages of Debian that are unpacked into .cache and never installed: the guest's kernel, its busybox, and
libfdt for the EL2 build. apt runs with a state of its own, so the host's architectures and lists stay as they are."""
import json
import re
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from . import paths, ui

# The host's settings (proxy, mirrors, keys) are read first, this file last.
APT_CONF = """\
#clear APT::Architectures;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Architecture "arm64";
APT::Architectures {{ "arm64"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::State "{state}";
Dir::State::status "{state}/status";
Dir::Cache "{cache}";
"""

# Used when the host's own sources do not offer arm64 (a mirror of one architecture, [arch=amd64]).
DEBIAN_SOURCES = """\
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian {suite} main
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian-security {suite}-security main
"""


def _suite() -> str:
    text = Path("/etc/os-release").read_text(encoding="utf-8")
    found = re.search(r"^VERSION_CODENAME=(\S+)", text, re.MULTILINE)
    return found.group(1) if found else "bookworm"


class Apt:
    """A private apt for arm64 in .cache/apt."""

    def __init__(self):
        self._home = paths.CACHE / "apt"
        state, cache = self._home / "state", self._home / "cache"
        (state / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (cache / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        (state / "status").touch()
        conf = self._home / "apt.conf"
        conf.write_text(APT_CONF.format(state=state, cache=cache), encoding="utf-8")
        self._options = ["-c", str(conf)]
        self._update()

    def _update(self) -> None:
        for sources in ("the host's sources", "deb.debian.org"):
            if sources == "deb.debian.org":
                own = self._home / "sources.list"
                own.write_text(DEBIAN_SOURCES.format(suite=_suite()), encoding="utf-8")
                self._options += ["-o", f"Dir::Etc::SourceList={own}", "-o", "Dir::Etc::SourceParts=/nonexistent"]
            with ui.Step(f"reading Debian's arm64 package lists ({sources})") as step:
                try:
                    step.run(["apt-get", *self._options, "-q", "update"], log="apt-arm64-update")
                except ui.Failure:
                    pass  # one bad third-party source is no obstacle; what counts is whether the packages are there
            if self._record("linux-image-arm64"):
                return
        raise ui.Failure("Debian's arm64 packages are not reachable, neither by this host's apt sources nor at "
                         f"deb.debian.org: check the network or the proxy (apt's output: {paths.LOGS}/apt-arm64-update.log)")

    def _record(self, package: str) -> str:
        return subprocess.run(["apt-cache", *self._options, "show", "--no-all-versions", package],
                              capture_output=True, text=True, check=False).stdout

    def kernel_package(self) -> str:
        """linux-image-arm64 is only a name; it depends on the image of the current version."""
        found = re.search(r"^Depends:.*?\b(linux-image-\S*-arm64)\b", self._record("linux-image-arm64"), re.MULTILINE)
        if not found:
            raise ui.Failure("linux-image-arm64 names no kernel package: pass a kernel of your own with --kernel")
        return found.group(1)

    def fetch(self, package: str, into: Path) -> Path:
        with ui.Step(f"downloading {package} (arm64)") as step:
            step.run(["apt-get", *self._options, "-q", "download", package], log="apt-arm64-download", cwd=into)
        return next(into.glob(f"{package}_*.deb"))


    def fetch_with_dependencies(self, package: str) -> list[Path]:
        """All that the package needs, from nothing: this apt thinks that no package is installed."""
        with ui.Step(f"downloading {package} (arm64) and what it needs") as step:
            step.run(["apt-get", *self._options, "-q", "install", "--download-only", "--yes", "--no-install-recommends", package],
                     log="apt-arm64-download")
        return sorted((self._home / "cache" / "archives").glob("*.deb"))


@contextmanager
def _unpacked(package: str, apt: Apt, members: list[str]):
    """The wanted members of a package, unpacked in a directory that lives as long as the `with`."""
    with TemporaryDirectory(dir=paths.CACHE, prefix="unpack-") as folder:
        work = Path(folder)
        deb = apt.fetch(package, work)
        with ui.Step(f"unpacking {package}") as step:
            step.run(["sh", "-c", 'dpkg-deb --fsys-tarfile "$0" | tar -x --wildcards "$@"', deb.name, *members],
                     log="unpack", cwd=work)
        yield work


def _fetch_kernel(apt: Apt) -> None:
    package = apt.kernel_package()
    version = package.removeprefix("linux-image-")
    with _unpacked(package, apt, ["./boot/vmlinuz-*", "./boot/config-*"]) as work:
        image = (work / "boot" / f"vmlinuz-{version}").read_bytes()
        if image[56:60] != b"ARM\x64":
            raise ui.Failure(f"{package} holds no arm64 Image: pass a kernel of your own with --kernel")
        guest = paths.GUEST_KERNEL.parent
        shutil.copyfile(work / "boot" / f"config-{version}", guest / "config")
        (guest / "kernel.json").write_text(json.dumps({"version": version}) + "\n", encoding="utf-8")
        _place(work / "boot" / f"vmlinuz-{version}", paths.GUEST_KERNEL)
    ui.say(f"the guest's kernel is Debian's {version}")


def _fetch_busybox(apt: Apt) -> None:
    with _unpacked("busybox-static", apt, ["./bin/busybox"]) as work:
        _place(work / "bin" / "busybox", paths.GUEST_BUSYBOX)


def _fetch_libfdt(apt: Apt) -> None:
    with _unpacked("libfdt-dev", apt, ["./usr/include/*", "./usr/lib/aarch64-linux-gnu/libfdt.a"]) as work:
        (paths.LIBFDT / "lib").mkdir(parents=True, exist_ok=True)
        shutil.copytree(work / "usr" / "include", paths.LIBFDT / "include", dirs_exist_ok=True)
        _place(work / "usr" / "lib" / "aarch64-linux-gnu" / "libfdt.a", paths.LIBFDT / "lib" / "libfdt.a")


def _place(source: Path, target: Path) -> None:
    """The file that says a package is complete comes last and in one move."""
    shutil.move(source, target.with_suffix(".new"))
    target.with_suffix(".new").replace(target)


def ensure() -> None:
    wanted = {paths.LIBFDT / "lib" / "libfdt.a": _fetch_libfdt, paths.GUEST_BUSYBOX: _fetch_busybox,
              paths.GUEST_KERNEL: _fetch_kernel}
    absent = [fetch for target, fetch in wanted.items() if not target.exists()]
    if not absent:
        return
    paths.GUEST_KERNEL.parent.mkdir(parents=True, exist_ok=True)
    apt = Apt()
    for fetch in absent:
        fetch(apt)


def kernel_version() -> str:
    return json.loads((paths.GUEST_KERNEL.parent / "kernel.json").read_text(encoding="utf-8"))["version"]
