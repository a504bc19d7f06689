"""The folder of a run: every file that a sweep leaves behind."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.outputs import FIGURE_DPI, write_text
from spec_files import SpecError, yaml_text

if TYPE_CHECKING:
    from roofline.search.problem import Problem
    from roofline.search.run import SweepRun
    from roofline.search.sweep import Sweep

SWEEP = "sweep.yaml"
CHECKPOINT = ".checkpoint.npz"
DRAWN = 5_000  # members whose roofline the report can show: about 2 MB of the page


@dataclass(frozen=True)
class RunFolder:
    """Where a run is written; nothing that stood there before is touched.

    begun: whether an earlier, interrupted run stands there already; made: the folders that this run
    had to make, the innermost last.
    """

    path: Path
    begun: bool = False
    made: list[Path] = field(default_factory=list)

    @classmethod
    def create(cls, wanted: Path | None, device: str) -> RunFolder:
        """Choose the folder of a new run, without making it yet.

        Without a wish: sweep-DEVICE, numbered where that exists. Raises SpecError where the wanted
        path holds something already.
        """
        if wanted is None:
            names = (f"sweep-{device}" + (f"-{n}" if n > 1 else "") for n in range(1, 10_000))
            return cls(next(Path(name) for name in names if not Path(name).exists()))
        try:
            wanted.stat()
        except FileNotFoundError:
            return cls(wanted)
        except OSError as refused:
            raise SpecError(f"--out: {wanted}: {refused.strerror}") from None
        if wanted.is_dir() and any(wanted.iterdir()):
            unfinished = (wanted / SWEEP).exists() and not (wanted / "front.csv").exists()
            hint = (
                f"`roofline sweep --resume {wanted}` finishes it" if unfinished else "name another"
            )
            raise SpecError(f"--out: {wanted} is not empty, and nothing is overwritten; {hint}")
        if not wanted.is_dir():
            raise SpecError(f"--out: {wanted} is a file; name a folder")
        return cls(wanted)

    @classmethod
    def reopen(cls, path: Path) -> RunFolder:
        """Return the folder of an interrupted run; SpecError if it is none, or is complete."""
        if not (path / SWEEP).is_file():
            raise SpecError(f"--resume: {path} holds no {SWEEP}, so there is no sweep to finish")
        if (path / "front.csv").exists():
            raise SpecError(f"--resume: the sweep of {path} is complete; --repeat runs it again")
        return cls(path, begun=True)

    @property
    def sweep_file(self) -> Path:
        """The file that the run can be repeated from."""
        return self.path / SWEEP

    @property
    def checkpoint(self) -> Path:
        """The file that an interrupted search continues from."""
        return self.path / CHECKPOINT

    def config(self, run: SweepRun, row: int) -> Path:
        """Return the file of one member's architecture."""
        digits = len(str(len(run.front) - 1))
        return self.path / "configs" / f"front-{row:0{digits}d}.yaml"

    def begin(self, sweep: Sweep) -> None:
        """Make the folder, and write what the run can be resumed and repeated from."""
        if self.begun:
            return
        try:
            missing = [p for p in (self.path, *self.path.parents) if not p.exists()]
            for folder in reversed(missing):
                folder.mkdir(exist_ok=True)
                self.made.append(folder)
            with (self.path / SWEEP).open("x", encoding="utf-8") as file:
                file.write(sweep.to_yaml())
        except FileExistsError:
            raise SpecError(f"--out: another sweep has just begun in {self.path}") from None
        except OSError as refused:
            raise SpecError(f"--out: cannot write {self.path}: {refused.strerror}") from None

    def withdraw(self) -> None:
        """Take back the folder of a failed run, if it was begun by it and holds nothing more."""
        mine = {self.sweep_file, *self._checkpoints()}
        if self.begun or not set(self.path.iterdir()) <= mine:
            return
        for file in mine:
            file.unlink(missing_ok=True)
        for folder in reversed(self.made):
            with suppress(OSError):  # another run may have come to stand there
                folder.rmdir()

    def write(self, run: SweepRun, problem: Problem, progress: Callable[[int, int], None]) -> None:
        """Write the front, its figures, the report, the chosen architectures; all, if asked for.

        front.csv comes last: a folder that holds one is complete.
        """
        from roofline.report.figures import candidate_title, front_figure, roofline_figure
        from roofline.report.html import report_html
        from roofline.report.laws import laws_figure
        from roofline.report.rooflines import rooflines

        rows = _drawn(len(run.front), run.knee, run.runner_up)
        members = run.architectures()
        found = run.sweep.estimate(members[rows], breakdown=True)
        points = rooflines(found, run.device, run.processor, arch=members[rows])
        knee = points.at(int(np.searchsorted(rows, run.knee)))
        self._figure("front.png", front_figure(run))
        self._figure("roofline.png", roofline_figure(knee, candidate_title(run, run.knee)))
        if len(run.laws) > 1:
            self._figure("laws.png", laws_figure(run))
        self._text("report.html", report_html(run, points, rows.tolist()))
        self._configs(run)
        self._text("summary.json", json.dumps(run.to_dict() | {"points": None}, indent=2) + "\n")
        run.references.to_csv(self.path / "references.csv", index=False)
        if run.sweep.all_candidates:
            self._all_candidates(problem, progress)
        run.front.to_parquet(self.path / "front.parquet", index=False)
        self._text("front.csv", run.front.to_csv(index=False))
        for file in self._checkpoints():
            file.unlink(missing_ok=True)

    def _checkpoints(self) -> list[Path]:
        """The checkpoint, and those of searches under other laws beside it."""
        return list(self.path.glob(f"{self.checkpoint.stem}*.npz"))

    def _all_candidates(
        self, problem: Problem, progress: Callable[[int, int], None], chunk: int = 2**18
    ) -> None:
        """Write every candidate of the space, judged, to all_candidates.parquet, chunk by chunk."""
        import pandas as pd
        import pyarrow as pa
        import pyarrow.parquet as pq

        size = problem.space.size
        draft = self.path / ".all_candidates.parquet"
        writer = None
        for start in range(0, size, chunk):
            arch, indices = problem.space.candidates(start, start + chunk)
            if len(indices):
                judged = problem.evaluate(arch)
                table = pd.DataFrame(
                    {"index": indices, **judged.quantities, "feasible": judged.feasible}
                )
                rows = pa.Table.from_pandas(
                    pd.concat([table, arch.to_frame()], axis=1), preserve_index=False
                )
                writer = writer or pq.ParquetWriter(draft, rows.schema)
                writer.write_table(rows)
            progress(min(start + chunk, size), size)
        if writer is not None:
            writer.close()
            os.replace(draft, self.path / "all_candidates.parquet")

    def _configs(self, run: SweepRun) -> None:
        """Write each member as a model file that `--model` reads."""
        for row, arch in enumerate(run.architectures()):
            file = self.config(run, row)
            file.parent.mkdir(exist_ok=True)
            text: dict[str, Any] = {
                "name": file.stem,
                "title": f"Member {row} of a front on {run.device.name}"
                + (", the knee" if row == run.knee else "")
                + (
                    f"; beyond the law's data: {why}"
                    if (why := run.front.at[row, "out_of_range"])
                    else ""
                ),
                "architecture": arch.row(),
            }
            file.write_text(yaml_text(text))

    def _text(self, name: str, text: str) -> None:
        write_text(self.path / name, text)

    def _figure(self, name: str, figure: Any) -> None:
        figure.savefig(self.path / name, dpi=FIGURE_DPI)


def _drawn(length: int, *always: int | None) -> np.ndarray:
    """Return up to DRAWN rows, evenly spread, the named ones among them."""
    spread = np.linspace(0, length - 1, min(length, DRAWN)).round().astype(int)
    return np.unique(np.r_[spread, [row for row in always if row is not None]])
