"""What the operating system says of this computer: its processor, its caches, its memory.

Linux answers through /proc and /sys, macOS through sysctl; what neither says stays unknown.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")


@dataclass(frozen=True)
class Cache:
    """One level of cache: its name, the bytes of one instance, and how many the cores have."""

    name: str
    each: int
    instances: int

    @property
    def size(self) -> int:
        """Bytes of all instances together."""
        return self.each * self.instances


@dataclass(frozen=True)
class Machine:
    """What is known of a computer before anything is measured.

    cores: physical ones that this process may use. memory: bytes that the system, or the limit of
    the container, leaves it; free: of those, what is free now. caches: data caches, innermost
    first. system: name and version of the operating system.
    """

    title: str
    family: str
    kind: str
    cores: int
    memory: int
    free: int
    caches: tuple[Cache, ...]
    system: str


def this_machine(root: Path = ROOT) -> Machine:
    """Ask the operating system; `root` is where /proc and /sys stand."""
    apple = platform.system() == "Darwin"
    words = _read(root / "proc/cpuinfo")
    board = _read(root / "proc/device-tree/model").strip("\0\n ")
    cores = _cores(root, apple)
    memory = _memory(root)
    available = _field(_read(root / "proc/meminfo"), "MemAvailable")
    free = int(available.split()[0]) * 1024 if available else int(0.75 * memory)
    title = (
        _sysctl("machdep.cpu.brand_string")
        if apple
        else _field(words, "model name") or board or platform.processor()
    )
    return Machine(
        title=title or platform.machine() or "unknown processor",
        family=family(platform.machine(), words, apple),
        kind=_apple_kind() if apple else kind(root, words, board, cores),
        cores=cores,
        memory=memory,
        free=min(free, memory),
        caches=_apple_caches() if apple else caches(root),
        system=f"{platform.system()} {platform.release()}",
    )


def family(architecture: str, cpuinfo: str = "", apple: bool = False) -> str:
    """Return the processor's family, under the names that profiles use."""
    if apple:
        return "apple-cpu"
    if architecture.lower() in ("x86_64", "amd64", "i686", "i386"):
        return "x86-cpu"
    if architecture.lower().startswith("riscv"):
        return "riscv-cpu"
    maker = _field(cpuinfo, "CPU implementer").lower()
    if maker == "0x61":
        return "apple-cpu"
    if maker == "0x51" and _field(cpuinfo, "CPU part").lower() == "0x001":
        return "qualcomm-oryon"
    if architecture.lower().startswith(("arm", "aarch")):
        return "arm-cortex"
    return f"{re.sub(r'[^a-z0-9]+', '-', architecture.lower()).strip('-') or 'unknown'}-cpu"


def kind(root: Path, cpuinfo: str, board: str, cores: int) -> str:
    """Guess what sort of computer this is: its board, its battery, its chassis, its cores."""
    if board:
        return "jetson" if "jetson" in board.lower() else "sbc"
    supplies = (root / "sys/class/power_supply").glob("*/type")
    if any(_read(supply).strip() == "Battery" for supply in supplies):
        return "laptop"
    chassis = _read(root / "sys/devices/virtual/dmi/id/chassis_type").strip()
    if chassis in ("8", "9", "10", "14", "31", "32"):
        return "laptop"
    server = re.search(r"Xeon|EPYC|Neoverse|Graviton|\bhypervisor\b", cpuinfo)
    if chassis in ("17", "23", "28", "29") or server or cores >= 32:
        return "datacentre"
    return "desktop"


def caches(root: Path = ROOT) -> tuple[Cache, ...]:
    """Return the data caches of the cores that this process may use, innermost first."""
    levels: dict[int, dict[str, int]] = {}
    for core in sorted(_allowed()):
        folder = root / f"sys/devices/system/cpu/cpu{core}/cache"
        for entry in sorted(folder.glob("index*")):
            if _read(entry / "type").strip() not in ("Data", "Unified"):
                continue
            size = re.fullmatch(r"(\d+)([KMG]?)", _read(entry / "size").strip())
            level = _read(entry / "level").strip()
            if size and level.isdigit() and int(size[1]):
                number = int(size[1]) * 1024 ** " KMG".index(size[2] or " ")
                sharers = _read(entry / "shared_cpu_list").strip() or str(core)
                levels.setdefault(int(level), {})[sharers] = number
    return tuple(
        Cache(f"L{level}", max(found.values()), len(found))
        for level, found in sorted(levels.items())
    )


def _allowed() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def _cores(root: Path, apple: bool) -> int:
    """Physical cores: threads of one core are counted once."""
    if apple:
        return int(_sysctl("hw.physicalcpu") or os.cpu_count() or 1)
    folder = root / "sys/devices/system/cpu"
    siblings = [
        _read(folder / f"cpu{core}/topology/thread_siblings_list").strip() or str(core)
        for core in _allowed()
    ]
    return max(1, len(set(siblings)))


def _memory(root: Path) -> int:
    """Bytes of memory, or of the container's limit where that is less."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = _read(root / "sys/fs/cgroup/memory.max").strip()
    return min(total, int(limit)) if limit.isdigit() and int(limit) else total


def _apple_caches() -> tuple[Cache, ...]:
    """Caches of the performance cores, whose level is number 0."""
    cores = int(_sysctl("hw.perflevel0.physicalcpu") or _sysctl("hw.physicalcpu") or 1)
    sharing = int(_sysctl("hw.perflevel0.cpusperl2") or 1)
    found = []
    for name, key, instances in (
        ("L1", "l1dcachesize", cores),
        ("L2", "l2cachesize", max(1, cores // sharing)),
    ):
        size = _sysctl(f"hw.perflevel0.{key}") or _sysctl(f"hw.{key}")
        if size.isdigit() and int(size):
            found.append(Cache(name, int(size), instances))
    return tuple(found)


def _apple_kind() -> str:
    return "laptop" if "book" in _sysctl("hw.model").lower() else "desktop"


def _sysctl(key: str) -> str:
    try:
        return subprocess.run(
            ["/usr/sbin/sysctl", "-n", key], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _field(text: str, name: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.*)$", text, re.M)
    return found[1].strip() if found else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
