"""Every documented command is parsed by the real command line, every recipe by the real schema."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import typer
import yaml

from lighten.cli.app import app
from lighten.compose.plan import read_steps
from lighten.compose.request import Request
from lighten.data import check
from lighten.data.preparation import check_steps
from lighten.recipe import parse_recipe, read_recipe

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "README.zh-CN.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
COMMAND = typer.main.get_command(app)


def _blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.M | re.S)


def _commands():
    for page in PAGES:
        for block in _blocks(page, "sh"):
            for line in block.splitlines():
                words = shlex.split(line, comments=True)
                if words:
                    yield pytest.param(words, id=f"{page.name}: {line}")


@pytest.mark.parametrize("words", _commands())
def test_documented_commands_are_understood(words):
    program, *rest = words
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M)
        assert set(rest) <= set(targets)
    elif program == "pip":
        assert rest[0] == "install"
        assert all((ROOT / word).exists() for word in rest if word.endswith(".txt"))
    elif program == "torchrun":
        module = rest.index("-m")
        assert rest[module + 1] == "lighten.train"
        read_recipe(ROOT / rest[module + 2])
    else:
        assert program in ("lighten", ".venv/bin/lighten")
        verb = COMMAND.commands[rest[0]]
        context = verb.make_context(rest[0], rest[1:])  # exits where an option or argument is unknown
        if rest[0] == "compress":
            given = context.params
            asked = Request(given["model"], given["steps"], given["data"], given["text"], given["label"])
            at = replace(asked, model=str(ROOT / given["model"]), set=tuple(given["set"] or ()))
            recipe, _ = (at if asked.from_file else asked).recipe()
            assert read_steps(recipe.steps, "steps")
        if rest[0] in ("build", "train", "plan"):
            read_recipe(ROOT / str(context.params["recipe"]), context.params["set"] or ())


def _recipes():
    yield from (pytest.param(path.read_text(), id=path.name) for path in sorted((ROOT / "examples").glob("*.yaml")))
    for page in PAGES:
        yield from (pytest.param(block, id=page.name) for block in _blocks(page, "yaml"))


@pytest.mark.parametrize("text", _recipes())
def test_every_recipe_is_one(text):
    recipe = parse_recipe(yaml.safe_load(text))
    check_steps(recipe.data)  # they exist, with the fields it gives them
    if recipe.task == "text-classification" and not recipe.data.multi_label:
        check(recipe.data)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_examples_compile_and_links_lead_somewhere(page):
    for block in _blocks(page, "python"):
        compile(block, page.name, "exec")
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (page.parent / link).exists(), link


def test_both_readmes_say_the_same():
    first, second = (ROOT / name for name in ("README.md", "README.zh-CN.md"))

    def shape(page):
        text = page.read_text()
        commands = [re.sub(r"\s*#.*", "", line) for block in _blocks(page, "sh") for line in block.splitlines()]
        return {
            "headings": [len(mark) for mark in re.findall(r"^(#+) ", text, flags=re.M)],
            "commands": commands,
            "rows": text.count("\n| "),
            "items": len(re.findall(r"^(?:-|\d\.) ", text, flags=re.M)),
            "recipes": [yaml.safe_load(block) for block in _blocks(page, "yaml")],
            "numbers": text.count("<!-- numbers: bench_compress -->"),
            "python": _blocks(page, "python"),
        }

    assert shape(first) == shape(second)


def test_the_reference_of_the_command_line_names_every_verb_and_option():
    text = (ROOT / "docs" / "reference" / "cli.md").read_text()
    sections = dict(re.findall(r"^## `lighten ([\w-]+)[^\n]*\n(.*?)(?=^## |\Z)", text, flags=re.M | re.S))
    assert set(sections) == set(COMMAND.commands)
    for verb, command in COMMAND.commands.items():
        known = {option for item in command.params for option in item.opts if option.startswith("--")}
        assert set(re.findall(r"^\| `(--[a-z-]+)", sections[verb], flags=re.M)) == known, verb


def test_every_verb_is_in_the_readme():
    text = (ROOT / "README.md").read_text()
    for verb in COMMAND.commands:
        assert f"lighten {verb}" in text


def test_no_page_names_a_place_of_this_machine():
    for page in [*PAGES, ROOT / "Makefile", ROOT / "constraints.txt", ROOT / "CHANGELOG.md"]:
        assert not re.search(r"/work/|/root/|/home/|file://|index-url", page.read_text()), page.name


def test_torch_is_pinned_once():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.+]+", line) for line in lines)
    names = [line.split("==")[0].lower() for line in lines]
    assert len(names) == len(set(names))
    assert "torch==2.13.0" in lines
