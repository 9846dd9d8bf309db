"""`record:` of a tool: what is kept beyond digests. A mask that masks nothing would be found out too late, so every
path that can be checked is, and an argument that facts name is not maskable.
"""

import re
from collections.abc import Collection, Iterator

from gateway.config.input_schemas import Finding
from gateway.config.models import RecordModel
from gateway.config.sentences import nearest
from gateway.core.recording import EACH, Recording, Steps, path_text

IN_RESOURCE = re.compile(r"\{([^{}]+)\}")


def recording(model: RecordModel | None, names: Collection[str]) -> Recording | None:
    """What it says, with the names that arguments have."""
    if model is None:
        return None
    mask = tuple(resolved(steps, names) for steps in map(steps_of, model.mask))
    return Recording(input=model.input, output=model.output, mask=mask, keep_seconds=model.keep)


def steps_of(path: str) -> Steps:
    """`items[].secret` is items, [] and secret."""
    return tuple(re.findall(r"\[\]|[^.\[\]]+", path))


def resolved(steps: Steps, names: Collection[str]) -> Steps:
    """With the longest declared name that it begins with as its first step, as that is written in a question: declared
    names may contain dots, and a header's letters may be written in any case."""
    ends = [steps.index(EACH) if EACH in steps else len(steps)]
    for length in range(ends[0], 0, -1):
        name = ".".join(steps[:length])
        if found := next((known for known in names if name in (known, known.lower()) or name.lower() == known), None):
            return (found, *steps[length:])
    return steps


def findings(model: RecordModel | None, names: Collection[str], resource: str, *, any_name: bool) -> Iterator[Finding]:
    """`names`: of all arguments, declared headers among them. `any_name`: others may come too."""
    if model is None:
        return
    kinds = (model.input, model.output)
    if "redacted" in kinds and not model.mask:
        yield ("record",), "`redacted` needs `mask`: the ways to the values that are not kept, such as [card.number]"
    if kinds == ("digest", "digest") and "keep" in model.model_fields_set:
        yield ("record", "keep"), "`keep` does nothing while only digests are kept; remove it"
    if kinds == ("digest", "digest") and not model.mask:
        yield ("record",), "this keeps nothing and masks nothing; say `input`, `output` or `mask`, or remove it"
    named = set(IN_RESOURCE.findall(resource))
    for position, path in enumerate(model.mask):
        first = resolved(steps_of(path), names)[0]
        if first in named:
            yield (
                ("record", "mask", position),
                f"`{path}` is part of `resource`, which facts and traces name; nothing can mask it there",
            )
        elif first not in names and model.output != "redacted" and not any_name:
            yield (
                ("record", "mask", position),
                f"`{path_text(steps_of(path))}` leads to no argument; {nearest(first, names)}",
            )
