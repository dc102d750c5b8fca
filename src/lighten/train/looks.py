"""When to look at the validation split, and what follows from a look: best score, plateau, early stop."""

from __future__ import annotations

from lighten.train.settings import Look, Settings
from lighten.train.state import State


def look_now(settings: Settings, state: State, every: int, share: float) -> bool:
    """Whether to validate now: at equal distances, and under a clock early enough to know how long it takes.

    Args:
        settings: how to train.
        state: where the training stands.
        every: steps between two looks.
        share: of the budget that is used, 0 to 1.
    """
    if share >= 0.95 or state.cooling:  # the last look comes anyway
        return False
    unknown = settings.seconds is not None and not state.validation_seconds
    return state.step % every == 0 or (unknown and share >= 0.4)


def seen_now(state: State) -> bool:
    """Whether the last entry of the history is a look at this very step."""
    last = state.history[-1] if state.history else None
    return last is not None and last["validation"] is not None and bool(last["step"] == state.step)


def is_best(state: State, look: Look) -> bool:
    """Whether a look is the best so far; counts the looks since."""
    if look.score > state.best:
        state.best, state.best_step, state.stale = look.score, state.step, 0
        return True
    state.stale += 1
    return False


def follow_plateau(settings: Settings, state: State, look: Look) -> None:
    """Lower the rate where the validation loss (or, unknown, the score) has not got better for some looks."""
    value = -look.score if look.loss is None else look.loss
    if value < state.lowest_loss:
        state.lowest_loss, state.flat = value, 0
        return
    state.flat += 1
    if settings.schedule == "plateau" and state.flat >= settings.plateau_patience:
        state.rate_scale, state.flat = state.rate_scale * settings.plateau_factor, 0


def stop_early(settings: Settings, state: State, share: float) -> bool:
    """Whether to stop early now; with a cooldown, begin it instead."""
    if settings.patience is None or state.stale < settings.patience or share < 0.5 or state.cooling:
        return False
    steps = int(settings.cooldown * state.step)
    if steps:
        state.cooling = [state.step, state.step + steps]
    return not steps


def cooled_down(state: State) -> bool:
    """Whether a cooldown has come to its end."""
    return state.cooling is not None and state.step >= state.cooling[1]


def cooling_factor(state: State) -> float:
    """Return the factor on the rate: it falls to zero over a cooldown, and is 1 without one."""
    if state.cooling is None:
        return 1.0
    first, last = state.cooling
    return 1 - (state.step - first) / max(1, last - first)
