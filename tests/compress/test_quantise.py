"""The note on precision."""

from __future__ import annotations

import json

import pytest
from tests.helpers.checkpoints import same_state

from lighten.compress.steps import Linear, Quantise
from lighten.errors import InputError
from lighten.models.checkpoint import read_state
from lighten.pipeline.files import read_json


@pytest.mark.parametrize("bits", [7, 8])
def test_quantise_notes_what_is_wanted(bert, target, make_context, bits):
    assert Quantise(bits=bits).apply(bert, target, make_context()) == {"format": "int8", "bits": bits}
    assert json.loads((target / "quantise.json").read_text()) == {"format": "int8", "bits": bits}
    assert same_state(read_state(target), read_state(bert))


def test_quantise_again_changes_its_own_note_alone(bert, tmp_path, make_context):
    for name in "ab":
        (tmp_path / name).mkdir()
    Quantise(bits=7).apply(bert, tmp_path / "a", make_context())
    (tmp_path / "a/manifest.json").write_text("{}")
    Quantise(bits=8).apply(tmp_path / "a", tmp_path / "b", make_context())
    assert [read_json(tmp_path / name / "quantise.json")["bits"] for name in "ab"] == [7, 8]


def test_a_linear_model_has_no_int8_form(bert, tmp_path, target, make_context):
    (tmp_path / "linear").mkdir()
    Linear().apply(bert, tmp_path / "linear", make_context())
    with pytest.raises(InputError, match=r"step 'quantise': a linear model has no int8 form"):
        Quantise().apply(tmp_path / "linear", target, make_context())
