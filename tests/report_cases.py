"""Plans to report, some with names that try to be more than text, and readers of reports."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from typing import Any

import msgspec
from serving_cases import asked

from clusterwright.asking import ask_training
from clusterwright.asking_account import with_account
from clusterwright.planner import plan_training
from clusterwright.planner_serving import plan_serving
from clusterwright.serving.plan import ServingPlan
from clusterwright.training.plan import TrainingPlan

HOSTILE = (
    "<script>alert(1)</script><img src=http://evil.test/x onerror=alert(1)> "
    "[a](javascript:alert(1)) ``` #eval(\"1\") $x$ |b| *c* _d_ \\ & &amp; 'e' {{f}} {% g %} "
    "http://evil.test\n\n  step time    1.00 s  (80 % interval 1 s to 2 s)\n\u202eback\u202c "
    + 100
    * "W"
)
TAME = HOSTILE.replace("\n", "\ufffd").replace("\u202e", "\ufffd").replace("\u202c", "\ufffd")
"""What is read of it: nothing but what is not seen is changed."""


@cache
def training() -> TrainingPlan:
    """A run of eight accelerators' nodes, with its account."""
    question = ask_training("llama-3.1-8b", accelerator="h100", accelerators=64, tokens="1T")
    return plan_training(with_account(question))


@cache
def serving() -> ServingPlan:
    """A small service."""
    return plan_serving(asked(ttft=1.0))


@cache
def hostile_training() -> TrainingPlan:
    """A plan whose every free text is hostile."""
    return _with(
        training(),
        question__model__name=HOSTILE,
        question__cluster__name=HOSTILE,
        question__cluster__accelerator__name=HOSTILE,
        question__software__name=HOSTILE,
        question__profile__name=HOSTILE,
        question__assumed=[HOSTILE],
        best__likeness__software=HOSTILE,
        account__region=HOSTILE,
        account__priced=HOSTILE,
        version=HOSTILE,
        catalogue=HOSTILE,
    )


@cache
def hostile_serving() -> ServingPlan:
    """The same for serving."""
    return _with(
        serving(),
        question__model__name=HOSTILE,
        question__cluster__accelerator__name=HOSTILE,
        question__engine__name=HOSTILE,
        question__assumed=[HOSTILE],
        version=HOSTILE,
        catalogue=HOSTILE,
    )


def _with(plan: Any, **changes: object) -> Any:
    data = msgspec.to_builtins(plan)
    for path, value in changes.items():
        *above, last = path.split("__")
        inside = data
        for name in above:
            inside = inside[name]
        assert last in inside
        inside[last] = value
    return msgspec.convert(data, type(plan))


class Read(HTMLParser):
    """What a browser takes a file for: its text, its elements, their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return flat(" ".join(self.words))


def flat(text: str) -> str:
    """Text with single spaces."""
    return re.sub(r"\s+", " ", text.replace("\u200b", "")).strip()


def read_markdown(text: str) -> tuple[str, set[str]]:
    """The text that a reader of Markdown shows, and the kinds of elements that it finds."""
    from markdown_it import MarkdownIt

    found, kinds = [], set()
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        for one in [token, *(token.children or ())]:
            kinds.add(one.type)
            if one.type in ("text", "text_special", "fence", "html_inline", "html_block"):
                found.append(one.content)
    return flat(" ".join(found)), kinds
