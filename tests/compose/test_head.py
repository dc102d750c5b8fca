from __future__ import annotations

import pytest
from tests.compose.conftest import write_fitted

from lighten.compose.head import check_not_quantised, labels_of_model, why_not_fitted
from lighten.errors import InputError
from lighten.models.checkpoint import read_config


def test_the_labels_of_a_head_are_in_its_order(tmp_path):
    folder = write_fitted(tmp_path / "model", labels=("b", "a", "c"))
    assert labels_of_model(folder, read_config(folder)) == ["b", "a", "c"]
    assert why_not_fitted(folder, read_config(folder), ["b", "a", "c"]) is None
    reason = why_not_fitted(folder, read_config(folder), ["a", "b"])
    assert reason == "its head is for the labels b, a, c, the data has a, b"


@pytest.mark.parametrize(
    "change",
    [
        {"id2label": None},
        {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}},  # nobody named them
        {"id2label": {"0": "bad", "1": "good", "2": "fair"}},  # the head has two
        {"id2label": {"first": "bad", "second": "good"}},
    ],
)
def test_what_is_no_head_for_named_labels(fitted, change):
    config = {**read_config(fitted), **change}
    assert labels_of_model(fitted, config) is None
    assert "no classification head" in str(why_not_fitted(fitted, config, ["bad", "good"]))


def test_an_encoder_alone_has_no_head(tmp_path, fitted):
    from transformers import AutoModel

    AutoModel.from_pretrained(fitted).save_pretrained(tmp_path / "encoder")
    config = {**read_config(tmp_path / "encoder"), "id2label": {"0": "bad", "1": "good"}}
    assert labels_of_model(tmp_path / "encoder", config) is None


def test_quantised_models_are_refused(tmp_path):
    check_not_quantised(tmp_path, {})
    with pytest.raises(InputError, match="quantization_config"):
        check_not_quantised(tmp_path, {"quantization_config": {"bits": 4}})
    (tmp_path / "quantise.json").write_text("{}")
    with pytest.raises(InputError, match="quantised already"):
        check_not_quantised(tmp_path, {})
