"""How long the library takes: every device profile, 2,000 model names, every published row.

python benchmarks/library_speed.py

Each is also given beside the plain parse of the same YAML files in this run.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import yaml

import hardware_specs
from arch_space.names import resolve_model
from hardware_specs import load_device, shipped_devices
from hardware_specs.measurements.rows import load_rows
from roofline.calibration.validation import validate
from spec_files import SpecError


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    files = sorted(Path(hardware_specs.__file__).parent.glob("*.yaml"))
    parsed = seconds(lambda: [yaml.load(f.read_bytes(), yaml.CSafeLoader) for f in files])
    loaded = seconds(lambda: [load_device(name) for name in shipped_devices()])
    rows = load_rows()
    names = (rows["model"].tolist() * 2)[:2000]

    def resolve() -> None:
        for name in names:
            with suppress(SpecError):
                resolve_model(name)

    resolved = seconds(resolve)
    validated = seconds(lambda: validate(rows))
    print(f"plain parse of {len(files)} YAML files        {parsed:.2f} s")
    print(f"the same as checked profiles       {loaded:.2f} s, {loaded / parsed:.1f} x")
    print(f"{len(names):,} model names resolved     {resolved:.2f} s")
    print(f"{len(rows):,} published rows predicted  {validated:.2f} s")


if __name__ == "__main__":
    main()
