import pytest

from lighten.errors import LightenError
from lighten.measure.cold_start import cold_start_ms


def test_a_cold_start_takes_a_process(shared_model_folder):
    assert 20 < cold_start_ms(shared_model_folder, runs=1) < 30_000


def test_a_failing_start_says_why(tmp_path):
    with pytest.raises(LightenError, match=r"cold start failed: .*no such model folder"):
        cold_start_ms(tmp_path / "nowhere", runs=1)
