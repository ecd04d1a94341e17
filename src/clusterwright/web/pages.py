"""The pages: each a command of the command line, with examples that fill its form."""

from __future__ import annotations

from clusterwright.records import Record


class Example(Record, frozen=True, kw_only=True):
    """A question worth looking at, one click away."""

    title: str
    query: dict[str, str]


class Page(Record, frozen=True, kw_only=True):
    """One page.

    ``words``: of its command. ``view``: the function that says what of an answer is shown, as
    ``module:name`` in `clusterwright.web.views`. ``open``: fields that are seen at once; the others
    wait under their headings. ``hidden``: options that a page has no use for.
    """

    path: str
    words: tuple[str, ...]
    title: str
    about: str
    view: str
    open: tuple[str, ...]
    examples: tuple[Example, ...] = ()
    hidden: tuple[str, ...] = ()


COLOSSUS = {"model": "llama-3.1-405b", "cluster": "xai-colossus-1", "tokens": "15T"}
META = {
    "model": "llama-3.1-405b",
    "cluster": "meta-24k",
    "accelerators": "16384",
    "tokens": "15.6T",
}

PAGES = (
    Page(
        path="/plan/train",
        words=("plan", "train"),
        title="Plan training",
        about="The fastest strategy that fits for a training run, and why.",
        view="training:plan",
        open=("model", "cluster", "accelerator", "accelerators", "tokens", "precision"),
        examples=(
            Example(title="Meta's 16,384 H100", query=META),
            Example(title="100,000 H100 of Colossus", query=COLOSSUS),
        ),
        hidden=("sites", "outer", "inner-steps", "exchange", "stay"),
    ),
    Page(
        path="/estimate/train",
        words=("estimate", "train"),
        title="One estimate",
        about="Time, memory and losses of one given training strategy.",
        view="training:estimate",
        open=("model", "cluster", "accelerator", "accelerators", "tp", "pp", "zero", "micro-batch"),
        examples=(
            Example(
                title="Llama 3.1 405B as Meta ran it",
                query={**META, "tp": "8", "pp": "16", "batch-tokens": "16M"},
            ),
        ),
    ),
)

BY_PATH = {page.path: page for page in PAGES}
