"""Workloads: what is refused, and the passes that one consists of."""

import pytest

from roofline import SpecError, Workload


@pytest.mark.parametrize("field", ["batch", "prompt", "generate"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "8", None])
def test_sizes_are_whole_numbers_of_at_least_one(field, value):
    with pytest.raises(SpecError, match=f"workload {field} must be a whole number") as error:
        Workload(**{field: value})
    assert repr(value) in str(error.value)


def test_sizes_end_before_numbers_overflow():
    with pytest.raises(SpecError, match="workload batch must be at most 1,000,000,000"):
        Workload(batch=10**400)


@pytest.mark.parametrize(
    ("field", "value", "nearest"),
    [("mask", "casual", "causal"), ("logits", "lst", "last"), ("attention", "unfusd", "unfused")],
)
def test_options_name_the_nearest(field, value, nearest):
    with pytest.raises(SpecError, match=f"workload {field}: unknown option '{value}'.*{nearest}"):
        Workload(**{field: value})


def test_prefill_is_all_queries_and_decode_one_a_sequence():
    work = Workload(batch=3, prompt=10, generate=5, logits="all")
    prefill, decode = work.prefill(), work.decode(11)
    assert (prefill.tokens, prefill.keys, prefill.logit_tokens) == (30, 10, 30)
    assert (decode.tokens, decode.keys, decode.logit_tokens) == (3, 11, 3)
    assert Workload(batch=3, prompt=10).prefill().logit_tokens == 3
    assert decode.seeing(12).keys == 12


def test_a_dictionary_makes_an_equal_workload():
    work = Workload(batch=2, prompt=7, mask="full", attention="unfused")
    assert Workload(**work.to_dict()) == work
