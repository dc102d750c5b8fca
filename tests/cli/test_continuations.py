from __future__ import annotations

import json

from tests.helpers.decoders import decoder, decoder_folder

from lighten.runtime import load_generator

__all__ = ["decoder", "decoder_folder"]


def test_predict_continues_each_text(run, decoder_folder):
    done = run("predict", decoder_folder, "the film", "a dull", "--new-tokens", 6)
    assert done.exit_code == 0, done.stderr
    model = load_generator(decoder_folder)
    assert done.stdout == "".join(model.generate(text, 6).text + "\n" for text in ("the film", "a dull"))


def test_json_is_one_list(run, decoder_folder):
    arguments = ["--new-tokens", 6, "--temperature", 1.0, "--seed", 5, "--json", "--threads", 1]
    found = json.loads(run("predict", decoder_folder, "the film", *arguments).stdout)
    expected = load_generator(decoder_folder).generate("the film", 6, temperature=1.0, seed=5)
    (row,) = found
    assert row["text"] == "the film" and row["generated"] == expected.text
    assert (row["tokens"], row["stopped"]) == (expected.tokens, expected.stopped)


def test_an_empty_text_is_refused_without_a_traceback(run, decoder_folder):
    done = run("predict", decoder_folder, "")
    assert done.exit_code == 2 and "the prompt is empty" in done.stderr
