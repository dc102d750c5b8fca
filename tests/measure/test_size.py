import pytest

from lighten.measure.size import size_mb


def test_counts_what_serving_needs_and_nothing_else(model_folder):
    serving = ["config.json", "tokenizer.json", "onnx/model.onnx", "lighten.json"]
    expected = sum((model_folder / name).stat().st_size for name in serving)
    assert size_mb(model_folder) == pytest.approx(expected / 1e6)
    (model_folder / "notes.txt").write_text("not part of the model")
    (model_folder / "model.safetensors").unlink()
    assert size_mb(model_folder) == pytest.approx(expected / 1e6)
