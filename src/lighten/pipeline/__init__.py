"""Steps, artifacts, the journal: how work is named, kept and found again."""

from lighten.pipeline.artifact import Artifact, Workspace
from lighten.pipeline.clock import Clock
from lighten.pipeline.examples import Examples, read_examples, read_texts, write_examples, write_texts
from lighten.pipeline.files import new_folder, read_json, write_bytes, write_json, write_text
from lighten.pipeline.journal import Journal
from lighten.pipeline.step import Step, digest, plan_from_text, step_from_spec, step_in_short, step_to_dict, steps_of

__all__ = [
    "Artifact",
    "Clock",
    "Examples",
    "Journal",
    "Step",
    "Workspace",
    "digest",
    "new_folder",
    "plan_from_text",
    "read_examples",
    "read_json",
    "read_texts",
    "step_from_spec",
    "step_in_short",
    "step_to_dict",
    "steps_of",
    "write_bytes",
    "write_examples",
    "write_json",
    "write_text",
    "write_texts",
]
