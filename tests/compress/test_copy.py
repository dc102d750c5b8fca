"""Folders handed on: links between artifacts, copies of what is not ours."""

from __future__ import annotations

from lighten.compress.copy import carry_notes, copy_checkpoint


def test_all_files_but_the_manifest(tmp_path, target):
    source = tmp_path / "source"
    (source / "deeper").mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "manifest.json", "deeper/x"):
        (source / name).write_text(name)
    copy_checkpoint(source, target)
    assert {f.name: f.read_text() for f in target.iterdir()} == {
        "config.json": "config.json",
        "model.safetensors": "model.safetensors",
    }
    assert (target / "config.json").samefile(source / "config.json")  # an artifact's: a link costs nothing


def test_a_model_of_the_user_is_copied(tmp_path, target):
    """Its owner may write into the file, and an artifact must not change with it."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "config.json").write_text("before")
    copy_checkpoint(source, target)
    (source / "config.json").write_text("after")
    assert (target / "config.json").read_text() == "before"


def test_symbolic_links_are_followed(tmp_path, target):
    """The cache of a hub keeps relative links, which would point nowhere from another folder."""
    for name in ("plain", "ours"):
        source = tmp_path / name
        source.mkdir()
        (tmp_path / "blob").write_text("content")
        (source / "model.safetensors").symlink_to("../blob")
        if name == "ours":
            (source / "manifest.json").write_text("{}")
        (target / name).mkdir()
        copy_checkpoint(source, target / name)
        copied = target / name / "model.safetensors"
        assert copied.read_text() == "content" and not copied.is_symlink()


def test_notes(tmp_path, target):
    for name in ("quantise.json", "frozen.safetensors", "other"):
        (tmp_path / name).write_text(name)
    carry_notes(tmp_path, target, head=False)
    assert [f.name for f in target.iterdir()] == ["quantise.json"]
    carry_notes(tmp_path, target, head=True)
    assert sorted(f.name for f in target.iterdir()) == ["frozen.safetensors", "quantise.json"]
