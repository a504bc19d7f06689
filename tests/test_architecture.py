"""The house stands as docs/architecture.md draws it: imports point down, no room is missing."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("spec_files", "hardware_specs", "arch_space", "roofline")


def floors() -> dict[str, int]:
    """Read the floor of each room from the table of the document."""
    found = {}
    for line in (ROOT / "docs" / "architecture.md").read_text().splitlines():
        if row := re.match(r"\| (\d+) \| ([^|]+) \|", line):
            for room in re.findall(r"`([^`]+)`", row[2]):
                found[room] = int(row[1])
    return found


def room_of(module: str) -> str:
    parts = module.split(".")
    if parts[-1] == "__main__":  # a command, wherever it stands
        return "roofline/cli"
    return "/".join(parts[:2]) if parts[0] == "roofline" and len(parts) > 1 else parts[0]


def imports() -> list[tuple[str, str]]:
    """Return every import between our packages, those inside functions included."""
    found = []
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(
                ".__init__"
            )
            for node in ast.walk(ast.parse(file.read_text())):
                targets = []
                if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                    targets = [node.module]
                    if node.module == "roofline":
                        targets = [f"roofline.{alias.name}" for alias in node.names]
                elif isinstance(node, ast.Import):
                    targets = [alias.name for alias in node.names]
                found += [(module, t) for t in targets if t.split(".")[0] in PACKAGES]
    return found


def test_every_room_is_on_the_plan() -> None:
    plan = floors()
    rooms = {"spec_files", "hardware_specs", "arch_space"} | {
        f"roofline/{entry.stem}"
        for entry in (ROOT / "roofline").iterdir()
        if not entry.name.startswith("_")
        and (entry.suffix == ".py" or (entry / "__init__.py").exists())
    }
    assert rooms == set(plan)


def test_imports_point_down() -> None:
    plan, upward = floors(), []
    for importer, imported in sorted(set(imports())):
        above, below = room_of(importer), room_of(imported)
        if above == below or importer == "roofline":  # the package's own front door
            continue
        if imported != "roofline.__version__" and plan[below] >= plan[above]:
            upward.append(f"{importer} imports {imported}, which is not below it")
    assert not upward, "\n".join(upward)
