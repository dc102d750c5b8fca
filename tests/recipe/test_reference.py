from __future__ import annotations

import pytest
from tests.recipe.reference import DOCS, recipe_page, result_page, training_page

PAGES = [("recipe.md", recipe_page), ("result.md", result_page), ("training.md", training_page)]


@pytest.mark.parametrize(("name", "make"), PAGES)
def test_the_reference_says_what_the_code_says(name, make):
    assert (DOCS / name).read_text() == make(), "run: python -m tests.recipe.reference"
