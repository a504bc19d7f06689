from pathlib import Path
from typing import Literal

import pytest
import yaml
from pydantic import Field, field_validator, model_validator

from spec_files import (
    Spec,
    SpecError,
    did_you_mean,
    find_spec,
    nearest,
    read_json,
    read_spec,
    read_yaml,
    short,
    validate_spec,
    within,
    yaml_text,
)


class Leaf(Spec):
    size: float
    colour: Literal["red", "green"] = "red"


class Tree(Spec):
    name: str
    leaves: dict[str, Leaf] = Field(default_factory=dict)
    rows: tuple[Leaf, ...] = ()
    spare: Leaf | None = None


# Twenty levels, each of eight times the one before: written out, it would fill the memory.
LEVELS = "".join(f"&l{i} [{', '.join([f'*l{i - 1}'] * 8)}], " for i in range(1, 20))
BOMB = f"rows:\n- size: [&l0 [1], {LEVELS}]\nname: a\n"


@pytest.fixture
def write(tmp_path):
    def _write(text: str | bytes) -> Path:
        path = tmp_path / "tree.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return _write


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: a\nleafs: {}\n", ":2: leafs: unknown key; nearest is 'leaves'."),
        (
            "name: a\nleaves:\n  one:\n    size: 1\n    color: red\n",
            ":5: leaves.one.color: unknown key; nearest is 'colour'.",
        ),
        ("name: a\nleaves: {x: {siz: 1}}\n", ":2: leaves.x.siz: unknown key; nearest is 'size'."),
        ("name: a\nspare:\n  siz: 1\n", ":3: spare.siz: unknown key; nearest is 'size'."),
        ("name: a\nzzz: 1\n", ":2: zzz: unknown key; known: name, leaves, rows, spare."),
        ("name: a\nleaves:\n  x: {}\n", ":3: leaves.x.size: missing."),
        (
            "name: a\nrows:\n- size: 1\n- size: 2\n  colour: gren\n",
            ":5: rows[1].colour: unknown value 'gren'; nearest is 'green'.",
        ),
        ("name: a\nrows: 3\n", ":2: rows: read 3 where a list belongs."),
        ("name: a\nspare: 3\n", ":2: spare: read 3 where keys and values belong."),
        (
            "name: a\nspare: {size: big}\n",
            ":2: spare.size: read 'big': input should be a valid number, "
            "unable to parse string as a number.",
        ),
        (
            "name: a\nleaves:\n  x: {size: a}\n  y: {size: b}\n",
            "leaves.x.size: read 'a': input should be a valid number, unable to parse string as a"
            " number (and 1 more error).",
        ),
        ("name: a\nname: b\n", ":2: name: given twice, first on line 1."),
        ("name: [a\n", "not YAML"),
        ("name: a\n\tb: 1\n", "not YAML"),
        ("name: a\x00\n", "not YAML"),
        ("name: a\n---\nname: b\n", "not YAML"),
        ("name: !!python/object:os.system {}\n", "not YAML"),
        ("? [a]\n: 1\n", "tree.yaml"),
        ("&a [*a]\n", "an anchor that contains itself"),
        ("", "the file is empty."),
        ("# only a comment\n", "the file is empty."),
        ("- 1\n- 2\n", "read [1, 2] where keys and values belong."),
        ("just text\n", "read 'just text' where keys and values belong."),
        (b"name: \xff\xfe\n", "is not UTF-8 text."),
        ("[" * 5000, ":1: nested too deeply."),
        ("[" * 100_000, ":1: nested too deeply."),  # the C parser would end the process
        ("- " * 100_000, ":1: nested too deeply."),
        ("name: [" + "1," * 200_000 + "]", ":1: more than 200,000 keys and values."),
        ("#" * 10**7 + "\n", "is larger than 10 MB."),
        ("name: a\nrows: 99999999999999999999\n", ":2: rows: read '99999999999999999999', a whole"),
        (
            "name: a\nrows: -9_223_372_036_854_775_809\n",
            ":2: rows: read '-9_223_372_036_854_775_80",
        ),
        ("name: a\nrows: [1, " + "9" * 5000 + "]\n", "rows[1]: read '9999"),
        ("name: a\nrows: 0x" + "f" * 5000 + "\n", "ffff..., a whole number beyond 2^63."),
        ("? 0x" + "f" * 5000 + "\n: 1\n", "a whole number beyond 2^63."),
        (BOMB, ":2: rows[0].size: read [[1], [[1], [1], "),
    ],
)
def test_bad_files_give_one_sentence(write, text, says):
    path = write(text)
    with pytest.raises(SpecError) as error:
        read_spec(path, Tree)
    sentence = str(error.value)
    assert sentence.startswith(str(path))
    assert says in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < len(str(path)) + 200


def test_whole_numbers_of_63_bits_are_read(write):
    path = write("a: 9223372036854775807\nb: -9223372036854775807\nc: 0x7fffffffffffffff\n")
    assert list(read_yaml(path)[0].values()) == [2**63 - 1, 1 - 2**63, 2**63 - 1]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([1, 2], "[1, 2]"),
        ("a\nb", r"'a\nb'"),
        ("x" * 5000, "'" + "x" * 56 + "..."),
        ([[[[[[1]]]]]], "[[[[...]]]]"),
    ],
)
def test_a_bad_value_is_shown_in_short(value, says):
    assert short(value) == says


def test_a_number_that_python_does_not_write_is_shown_in_words():
    assert short(10**5000) == short([10**5000]) == "a whole number of thousands of digits"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1, "b": {"a": 2, "a": 3}}', "a.json: a: given twice."),
        ("[" * 100_000, "a.json: nested too deeply."),
        ('{\n"a": }', "a.json:2: not JSON: Expecting value."),
        ("", "a.json:1: not JSON: Expecting value."),
    ],
)
def test_bad_json_gives_one_sentence(tmp_path, text, says):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(SpecError) as error:
        read_json(tmp_path / "a.json")
    assert str(error.value) == f"{tmp_path}/{says}"


def test_json_numbers_of_any_length_are_read(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 12, "b": ' + "9" * 5000 + "}")
    assert read_json(tmp_path / "a.json") == {"a": 12, "b": "9" * 5000}


class Forest(Spec):
    tree: Tree
    spare: Tree | None = None

    @field_validator("spare", mode="before")
    @classmethod
    def _plant(cls, given: object) -> Tree:
        return validate_spec(given, Tree, "spare")

    @model_validator(mode="after")
    def _check(self) -> "Forest":
        with within("tree"), within("rows", 1):
            if len(self.tree.rows) > 1 and self.tree.rows[1].size < 0:
                raise SpecError("a leaf of nothing", at=("size",))
        return self


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "tree:\n  name: a\n  rows:\n  - size: 1\n  - size: -1\n",
            ":5: tree.rows[1].size: a leaf of nothing.",
        ),
        (
            "tree: {name: a}\nspare:\n  name: a\n  rows:\n  - sise: 1\n",
            ":5: spare.rows[0].sise: unknown key; nearest is 'size'.",
        ),
    ],
)
def test_a_fault_in_a_part_has_its_line_in_the_whole(write, text, says):
    path = write(text)
    with pytest.raises(SpecError) as error:
        read_spec(path, Forest)
    assert str(error.value) == f"{path}{says}"


def test_a_fault_of_another_file_keeps_its_place(write):
    one = write("name: a\nrows: 3\n")

    class Elsewhere(Spec):
        name: str

        @field_validator("name")
        @classmethod
        def _read(cls, name: str) -> str:
            return read_spec(one, Tree).name

    with pytest.raises(SpecError, match=r"^other: name: .*/tree\.yaml:2: rows: read 3 where"):
        validate_spec({"name": "x"}, Elsewhere, "other")


def test_two_unrelated_errors_are_counted(write):
    with pytest.raises(SpecError, match=r"leafs: unknown key.* \(and 1 more error\)\.$"):
        read_spec(write("leafs: {}\n"), Tree)  # `name` is missing too


def test_a_misspelt_required_key_is_one_error(write):
    with pytest.raises(SpecError, match=r"nam: unknown key; nearest is 'name'\.$"):
        read_spec(write("nam: a\n"), Tree)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(SpecError, match=r"nothing\.yaml: no such file\.$"):
        read_spec(tmp_path / "nothing.yaml", Tree)
    with pytest.raises(SpecError, match=r"is a folder, not a file\.$"):
        read_spec(tmp_path, Tree)


def test_lines_and_yaml_1_1_traps(write):
    path = write("a: 1e-3\nb:\n  - 2022-12-05\n  - {c: 1E5}\nd: 2.5e3\ne: e5\n")
    data, lines = read_yaml(path)
    assert data == {"a": 0.001, "b": ["2022-12-05", {"c": 1e5}], "d": 2500.0, "e": "e5"}
    assert lines[("a",)] == 1
    assert lines[("b",)] == 2
    assert lines[("b", 0)] == 3
    assert lines[("b", 1, "c")] == 4
    assert lines[("d",)] == 5


def test_byte_order_mark_is_forgiven(write):
    assert read_spec(write(b"\xef\xbb\xbfname: a\n"), Tree).name == "a"


def test_aliases_are_shared_values(write):
    tree = read_spec(write("name: a\nleaves: {x: &l {size: 2}, y: *l}\n"), Tree)
    assert tree.leaves["x"] == tree.leaves["y"]


def test_find_spec(tmp_path, monkeypatch):
    shipped = tmp_path / "shipped"
    here = tmp_path / "here"
    for folder in (shipped, here):
        folder.mkdir()
    (shipped / "phone.yaml").touch()
    (shipped / "orin-64gb.yaml").touch()
    monkeypatch.chdir(here)
    for name in ("phone", "phone.yaml", Path("phone"), "shipped/phone.yaml"):
        assert find_spec(name, shipped, "device") == shipped / "phone.yaml"
    (here / "phone.yaml").touch()
    assert find_spec("phone.yaml", shipped, "device") == Path("phone.yaml")
    assert find_spec("phone", shipped, "device") == shipped / "phone.yaml"
    with pytest.raises(SpecError, match=r"no device 'phnoe': .*nearest is 'phone'\.$"):
        find_spec("phnoe", shipped, "device")
    with pytest.raises(SpecError, match=r"no device 'elsewhere/phone\.yaml'"):
        find_spec("elsewhere/phone.yaml", shipped, "device")
    with pytest.raises(SpecError, match="is a folder"):
        find_spec(here, shipped, "device")
    for name in ("", "  "):
        with pytest.raises(SpecError, match=r"^no device was named; known: orin-64gb, phone\.$"):
            find_spec(name, shipped, "device")
    with pytest.raises(SpecError, match=r"^no device 'x{50,60}\.\.\.: no such file or shipped"):
        find_spec("x" * 5000, shipped, "device")
    with pytest.raises(SpecError, match=r"^no device 'phone\\x00': no such .*nearest is 'phone'"):
        find_spec("phone\0", shipped, "device")


def test_nearest():
    assert nearest("bandwith", ["size", "bandwidth"]) == "bandwidth"
    assert nearest("FP16", ["fp16", "fp32"]) == "fp16"
    assert nearest("zzz", ["size"]) is None
    assert did_you_mean("zzz", ["a", "b"]) == "; known: a, b"
    assert did_you_mean("bandwith", ["bandwidth"]) == "; nearest is 'bandwidth'"


def test_what_is_written_is_read_and_as_python_writes_it():
    """Whether PyYAML writes in C or in Python, a file has the same bytes."""
    data = {"words": "ö — a: b # c", "no": "no", "small": 1e-9, "none": None, "date": "2026-01-01",
            "long": "word " * 60, "nested": [{"z": 1, "a": [True, 2.5]}]}  # fmt: skip
    for style in ({}, {"allow_unicode": True, "width": 100}, {"default_flow_style": None}):
        text = yaml_text(data, **style)
        assert text == yaml.safe_dump(data, sort_keys=False, **style)
        assert yaml.safe_load(text) == data
