import json
import re

import pytest

from hardware_specs import device_schema, load_device, shipped_devices
from hardware_specs.library import FOLDER
from hardware_specs.schema import FILE, schema_text
from spec_files import read_yaml


def test_committed_schema_is_up_to_date():
    assert FILE.read_text(encoding="utf-8") == schema_text(), "run python -m hardware_specs.schema"


def _check(value, schema, definitions, path="device"):
    """Check the part of JSON Schema that the device schema uses."""
    if "$ref" in schema:
        return _check(value, definitions[schema["$ref"].rsplit("/", 1)[1]], definitions, path)
    if "anyOf" in schema:
        failures = []
        for arm in schema["anyOf"]:
            try:
                return _check(value, arm, definitions, path)
            except AssertionError as failure:
                failures.append(str(failure))
        raise AssertionError(failures)
    types = {
        "object": dict, "array": list, "string": str, "number": int | float, "integer": int,
        "null": type(None),
    }  # fmt: skip
    if "type" in schema:
        assert isinstance(value, types[schema["type"]]), f"{path}: {value!r}"
    if "enum" in schema:
        assert value in schema["enum"], path
    if "const" in schema:
        assert value == schema["const"], path
    if "pattern" in schema:
        assert re.search(schema["pattern"], value), f"{path}: {value!r}"
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        assert set(schema.get("required", [])) <= set(value), path
        for key, inner in value.items():
            if "propertyNames" in schema:
                assert key in schema["propertyNames"]["enum"], f"{path}.{key}"
            rule = properties.get(key, schema.get("additionalProperties", True))
            assert rule is not False, f"{path}.{key}"
            if isinstance(rule, dict):
                _check(inner, rule, definitions, f"{path}.{key}")
    if isinstance(value, list):
        for item in value:
            _check(item, schema["items"], definitions, path)
    return None


@pytest.mark.parametrize("name", shipped_devices())
def test_schema_accepts_shipped_profiles(name):
    schema = device_schema()
    for data in (
        read_yaml(FOLDER / f"{name}.yaml")[0],
        load_device(name).model_dump(mode="json", exclude_none=True),
    ):
        _check(data, schema, schema["$defs"])


@pytest.mark.parametrize("value", ["5.3", "5.3 GB", "fast", "-1 TFLOP/s"])
def test_schema_refuses_what_the_loader_refuses(value):
    schema = device_schema()
    data, _ = read_yaml(FOLDER / "sd8elite.yaml")
    data["processors"]["gpu"]["peaks"]["fp16"]["value"] = value
    with pytest.raises(AssertionError):
        _check(data, schema, schema["$defs"])


def test_every_field_is_described():
    text = json.dumps(device_schema())
    for words in ("Fractions of the peaks", "always dense", "A key of the profile"):
        assert words.lower() in text.lower()
