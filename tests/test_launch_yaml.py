"""Manifests that we write are read back by PyYAML as they were."""

from __future__ import annotations

import yaml as reader
from hypothesis import example, given
from hypothesis import strategies as st

from clusterwright.launch.yaml import Noted, documents, yaml

SCALARS = (
    st.text()
    | st.text("ab \n\t#:-'\"|>{}[]&*!%@`\\\u00e9\u2028\x85\x7f")
    | st.integers()
    | st.booleans()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
MAPPINGS = st.dictionaries(st.text(), VALUES, max_size=4)


@given(value=MAPPINGS)
@example(value={"a": ["x\ny\n", {"b": "x\n\ny\n"}, [["- a"]], {}, []]})
@example(value={"no": "off", "~": "null", "1": "1e3", "x": "\ufeff\U0001f600"})
def test_what_is_written_is_read_back(value) -> None:
    assert reader.safe_load(yaml(value)) == value


@given(values=st.lists(MAPPINGS, min_size=1, max_size=3))
def test_documents_stay_apart(values) -> None:
    assert list(reader.safe_load_all(documents(values))) == values


def test_scripts_stay_readable() -> None:
    script = "#!/bin/sh\n\nif true; then\n  echo 'a: b'\nfi\n"
    text = yaml({"data": {"run.sh": script}})
    assert "    if true; then\n      echo 'a: b'\n" in text


@given(note=st.text())
def test_comments_are_no_values(note) -> None:
    inner = Noted({"a": 1, "b": {"c": 2}}, {"a": note, "b": "two\nlines"})
    assert reader.safe_load(yaml({"top": inner, "list": [inner]})) == {
        "top": {"a": 1, "b": {"c": 2}},
        "list": [{"a": 1, "b": {"c": 2}}],
    }
