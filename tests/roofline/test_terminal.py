"""What reaches a terminal and what reaches a program: colour, width, progress, broken pipes."""

import os
import pty
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest

from roofline.cli import show

ROOT = Path(__file__).parents[2]
ESCAPE = "\x1b"
QUIET = {
    key: value
    for key, value in os.environ.items()
    if key not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM", "PY_COLORS", "TTY_COMPATIBLE"}
}
LISTS = [
    ["devices"],
    ["devices", "show", "rpi5"],
    ["models"],
    ["laws"],
    ["runtimes"],
    ["estimate", "-m", "qwen3-0.6b", "-d", "phone"],
    ["compare", "-m", "llama-3.2-1b", "-m", "qwen3-0.6b", "-d", "phone", "-d", "rpi5"],
]


def piped(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose output a program reads."""
    return subprocess.run(
        [sys.executable, "-m", "roofline", *words],
        env={**QUIET, "PYTHONPATH": str(ROOT), **environment}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


in_a_pipe = cache(piped)


def seen(*words: str, columns: int, cwd: Path | None = None, **environment: str) -> str:
    """Run a command in a terminal of so many columns, and return what a person is sent."""
    main, other = pty.openpty()
    set_size(other, columns)
    process = subprocess.Popen(
        [sys.executable, "-m", "roofline", *words],
        env={**QUIET, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **environment},
        stdin=other, stdout=other, stderr=other, close_fds=True, cwd=cwd,
    )  # fmt: skip
    os.close(other)
    read = bytearray()
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # Linux says so where the last writer is gone
            break
        if not part:
            break
        read += part
    os.close(main)
    assert process.wait(timeout=60) == 0, read.decode()
    return read.decode().replace("\r\n", "\n")


def set_size(descriptor: int, columns: int) -> None:
    import fcntl
    import struct
    import termios

    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def width(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def words_of(text: str) -> str:
    """Letters and digits alone: what is said, however it is laid out."""
    return re.sub(r"[\W_]+", "", re.sub(r"[│┃━─┏┓┗┛┡┩╇┳└┘┴╭╮╰╯]", "", plain(text)))


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
class TestTables:
    def test_a_pipe_gets_whole_lines_and_no_escape_codes(self, words):
        done = in_a_pipe(*words)
        assert done.returncode == 0
        assert ESCAPE not in done.stdout
        assert "…" not in done.stdout
        assert done.stderr == ""
        rows = [line for line in done.stdout.splitlines() if line.startswith("│")]
        assert rows
        assert all(row.split("│")[1].strip() for row in rows if words[0] != "estimate"), (
            "a row of a pipe is one line, whose first cell is never empty"
        )

    @pytest.mark.parametrize("columns", [60, 100])
    def test_a_narrow_terminal_cuts_nothing(self, words, columns):
        text = plain(seen(*words, columns=columns))
        assert "…" not in text
        assert max(map(width, text.splitlines())) <= columns
        whole = in_a_pipe(*words).stdout
        heads = Counter("".join(re.findall(r"^┃ *(\w*)", whole, flags=re.M)))  # none beside rows
        lost = Counter(words_of(whole)) - Counter(words_of(text)) - heads
        assert not lost, "letters that a pipe gets and a narrow terminal does not"

    def test_a_wide_terminal_has_colour_and_the_same_words(self, words):
        text = seen(*words, columns=2000)
        assert ESCAPE + "[" in text
        assert words_of(text) == words_of(in_a_pipe(*words).stdout)


def test_a_device_is_named_whole_in_a_narrow_terminal():
    from hardware_specs import shipped_devices

    text = plain(seen("devices", columns=60))
    for name in shipped_devices():
        assert re.search(rf"^{re.escape(name)}\s*$", text, flags=re.M), name


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
@pytest.mark.parametrize("words", [["devices", "--kind", "sbc"], ["laws", "show", "codesign"]])
def test_no_escape_codes_where_they_are_not_wanted(words, environment):
    assert ESCAPE not in seen(*words, columns=100, **environment)


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize("words", [["--help"], ["sweep", "--help"], ["estimate", "-h"]])
def test_help_fits(words, columns):
    text = plain(seen(*words, columns=columns))
    assert max(map(width, text.splitlines())) <= columns
    assert columns == 60 or "…" not in text


class TestProgress:
    SPACE = """
name: small
fixed: {vocabulary: 32000, head_size: 64, kv_heads: all, weight_format: q4_0, ffn_ratio: 4}
dimensions:
  layers: [8, 16]
  width: [512, 1024]
"""

    def sweep(self, tmp_path: Path, out: str) -> list[str]:
        (tmp_path / "small.yaml").write_text(self.SPACE)
        return [
            "sweep", "-d", "phone", "--space", str(tmp_path / "small.yaml"), "--reference", "none",
            "-o", str(tmp_path / out),
        ]  # fmt: skip

    def test_a_pipe_sees_none(self, tmp_path):
        done = piped(*self.sweep(tmp_path, "piped"))
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert "searching" not in done.stdout
        assert "━━ " not in done.stdout

    def test_a_terminal_sees_it_on_standard_error(self, tmp_path):
        """Standard output goes to a file: what is left on the terminal is progress."""
        words = self.sweep(tmp_path, "seen")
        script = f"exec {sys.executable} -m roofline {' '.join(words)} > {tmp_path}/said"
        main, other = pty.openpty()
        set_size(other, 100)
        with subprocess.Popen(
            ["sh", "-c", script], stderr=other, stdin=other,
            env={**QUIET, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)},
        ) as process:  # fmt: skip
            os.close(other)
            read = bytearray()
            while True:
                try:
                    part = os.read(main, 65536)
                except OSError:
                    break
                read += part
        os.close(main)
        assert process.returncode == 0
        assert b"drawing" in read
        assert "drawing" not in (tmp_path / "said").read_text()


@pytest.mark.parametrize(
    "command",
    [
        "devices | head -1",
        "models --json | head -c 10",
        "laws | true",
        "--help | head -1",
        "new-device mine -o - | head -1",
        "sweep --help | true",
    ],
)
def test_a_reader_that_leaves_is_no_error(command):
    script = f"set -o pipefail; {sys.executable} -m roofline {command}"
    done = subprocess.run(
        ["bash", "-c", script], env={**QUIET, "PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 0


class TestWidths:
    """Who gives way where a table is too wide."""

    COLUMNS: ClassVar[Any] = [
        ["name", "one-two three", "x"],
        ["number", "1", "2"],
        ["said", "a b c d e f", ""],
    ]

    def test_whole_where_there_is_room(self):
        assert show._widths(self.COLUMNS, 30) == [13, 6, 11]

    def test_then_words(self):
        found = show._widths(self.COLUMNS, 25)
        assert sum(found) == 25 or sum(found) in (24, 23)
        assert found[0] >= len("one-two")
        assert found[1] == len("number")

    def test_then_nothing(self):
        assert show._widths(self.COLUMNS, 16) is None

    @pytest.mark.parametrize("room", range(18, 40))
    def test_never_more_than_the_room(self, room):
        found = show._widths(self.COLUMNS, room)
        assert found is None or sum(found) <= room
