"""When a training looks at validation, and what it makes of it; in the loop: test_stopping, test_schedules_in_loop."""

from __future__ import annotations

import pytest

from lighten.train import looks
from lighten.train.settings import Look, Settings
from lighten.train.state import State

CLOCK = Settings(epochs=None, seconds=60.0)


@pytest.mark.parametrize(
    ("settings", "state", "share", "wanted"),
    [
        (Settings(), State(step=10), 0.1, True),
        (Settings(), State(step=11), 0.5, False),
        (Settings(), State(step=10), 0.95, False),
        (Settings(), State(step=10, cooling=[5, 20]), 0.1, False),
        (CLOCK, State(step=11), 0.39, False),
        (CLOCK, State(step=11), 0.4, True),
        (CLOCK, State(step=11, validation_seconds=2.0), 0.4, False),
        (CLOCK, State(step=20, validation_seconds=2.0), 0.4, True),
    ],
)
def test_when_to_look(settings, state, share, wanted):
    assert looks.look_now(settings, state, 10, share) == wanted


def test_no_step_is_looked_at_twice():
    step, look = {"step": 3, "validation": None}, {"step": 3, "validation": 50.0}
    assert not looks.seen_now(State(step=3))
    assert not looks.seen_now(State(step=3, history=[look, step]))
    assert looks.seen_now(State(step=3, history=[step, look]))
    assert not looks.seen_now(State(step=4, history=[step, look]))


def test_the_best_look_is_the_first_of_equals():
    state = State()
    found = []
    for state.step, score in enumerate([10.0, 30.0, 30.0, 20.0, 31.0]):
        found.append((looks.is_best(state, Look(score)), state.best, state.best_step, state.stale))
    assert found == [
        (True, 10.0, 0, 0),
        (True, 30.0, 1, 0),
        (False, 30.0, 1, 1),
        (False, 30.0, 1, 2),
        (True, 31.0, 4, 0),
    ]


@pytest.mark.parametrize(("schedule", "scales"), [("plateau", [1.0, 1.0, 0.5, 0.5, 0.25]), ("linear", [1.0] * 5)])
@pytest.mark.parametrize("by", [lambda value: Look(0.0, value), lambda value: Look(-value)], ids=["loss", "score"])
def test_a_plateau_lowers_the_rate(schedule, scales, by):
    settings, state = Settings(schedule=schedule, plateau_patience=2, plateau_factor=0.5), State()
    found = []
    for value in [2.0, 3.0, 2.0, 2.5, 2.0]:
        looks.follow_plateau(settings, state, by(value))
        found.append(state.rate_scale)
    assert found == scales
    assert state.lowest_loss == 2.0


@pytest.mark.parametrize(
    ("patience", "stale", "share", "stops"),
    [(3, 3, 0.5, True), (3, 2, 0.9, False), (3, 9, 0.49, False), (None, 99, 0.9, False)],
)
def test_early_stops(patience, stale, share, stops):
    assert looks.stop_early(Settings(patience=patience), State(step=50, stale=stale), share) == stops


def test_a_cooldown_comes_before_the_stop():
    settings, state = Settings(patience=1, cooldown=0.2), State(step=50, stale=1)
    assert looks.cooling_factor(state) == 1.0 and not looks.cooled_down(state)
    assert not looks.stop_early(settings, state, 0.6) and state.cooling == [50, 60]
    assert not looks.stop_early(settings, state, 0.6)  # it goes on
    for state.step, factor in ((50, 1.0), (55, 0.5), (60, 0.0)):
        assert looks.cooling_factor(state) == factor
        assert looks.cooled_down(state) == (state.step == 60)
