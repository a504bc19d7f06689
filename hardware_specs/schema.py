"""JSON Schema of a device profile, for editors; `python -m hardware_specs.schema` rewrites it."""

import json
from pathlib import Path
from typing import Any

from hardware_specs.device import Device

FILE = Path(__file__).parent / "device.schema.json"


def device_schema() -> dict[str, Any]:
    """Return the schema that the YAML profiles name in their first line."""
    schema = Device.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def schema_text() -> str:
    """Return the text of the committed schema file."""
    return json.dumps(device_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(schema_text(), encoding="utf-8")
