"""Pictures as SVG that stands in a file: drawn once, in the light theme, without links or scripts.

The colours are attributes, so that they hold where no style sheet is read; `DARK_RULES` turn them
into those of the dark theme where one is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any, Final, TypeVar, cast

from clusterwright.errors import ClusterwrightError
from clusterwright.report import cluster_map
from clusterwright.report.pictures.theme import DARK, LIGHT, PHONE, Colours, config
from clusterwright.report.shown.picture import Picture

Part = TypeVar("Part")
WIDE: Final = 720
"""Width that pictures are usually drawn at. [px]"""
ONLY_SEEN_ON_PAGES: Final = ("href", "tooltip")
EXTRA: Final = "pip install 'clusterwright[report]'"
_USELESS: Final = re.compile(
    r' (?:font-family="[^"]*"|opacity="1"|pointer-events="none"|role="[^"]*"|xmlns:xlink="[^"]*"'
    r'|aria-roledescription="[^"]*"|aria-hidden="[^"]*"|class="[^"]*"|stroke-miterlimit="10")'
)
_EMPTY: Final = re.compile(r'<path(?: [a-z-]+="[^"]*")* d="(?:M0,0h0v0h0Z)?"[^>]*/>')
_NAME: Final = re.compile(r'(?<= id=")[^"]*|(?<="url\(#)[^)]*')
_ID: Final = re.compile(r'<[a-zA-Z]+(?: [a-zA-Z:-]+="[^"]*")*? id="([^"]*)"')
_TAG: Final = re.compile(r"<[a-zA-Z][^<>]*>")
_HEAD: Final = re.compile(r"<svg[^>]*>")
_PRECISE: Final = re.compile(r"(\d+\.\d{2})\d+")


class MissingExtraError(ClusterwrightError):
    """A library of the extra ``report`` is not installed."""

    def __init__(self, what: str, library: str) -> None:
        super().__init__(f"{what} needs {library}: {EXTRA}")


def svg_of(picture: Picture, *, number: int = 0, width: float = WIDE, font: str = "") -> str:
    """Draw a picture as an SVG element that stands alone.

    Parameters
    ----------
    picture
        With a ``spec`` or an ``svg``.
    number
        Of the picture in its file, which keeps its inner names apart from those of others.
    width
        It is drawn at, where it is a ``spec``: words are smaller in what is drawn wider; what is
        drawn for a phone takes its ``narrow`` one. [px]
    font
        Family of its words; "" leaves it to what is around.

    Raises
    ------
    MissingExtraError
        The extra ``report`` is not installed.
    """
    made = picture.narrow if picture.narrow and width <= PHONE else picture.svg
    drawn = _compiled(picture.spec, width) if picture.spec is not None else made
    size = re.search(r'viewBox="([^"]*)"', drawn)
    assert size is not None, "every picture has a size"
    family = f' font-family="{escape(font)}"' if font else ""
    box = f'viewBox="{size[1]}" width="{size[1].split()[2]}" height="{size[1].split()[3]}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img"{family} '
        f'aria-label="{escape(picture.said or picture.title)}">'
    )
    body = re.sub(r"<(title|desc)>.*?</\1>\n?", "", _HEAD.sub("", drawn, count=1), flags=re.DOTALL)
    # Vega counts names on from picture to picture, as long as a process lives.
    names = {old: f"p{number}-{i}" for i, old in enumerate(_ID.findall(body))}
    return head + _TAG.sub(lambda tag: _lean(tag[0], names), body)


def _lean(tag: str, names: Mapping[str, str]) -> str:
    """A tag without what a file has no use for; what is written between tags stays as it is."""
    if _EMPTY.fullmatch(tag):
        return ""
    short = _PRECISE.sub(r"\1", _USELESS.sub("", tag))
    return _NAME.sub(lambda found: names.get(found[0], found[0]), short)


def dark_rules() -> str:
    """Rules of CSS that turn the colours of the light theme into those of the dark one."""
    pairs = {light: cluster_map.DARK[name] for name, light in cluster_map.FALLBACK.items()}
    pairs |= dict(zip(_flat(LIGHT), _flat(DARK), strict=True))
    return "\n".join(
        f'svg [{part}="{light}"]{{{part}:{dark}}}'
        for light, dark in pairs.items()
        for part in ("fill", "stroke")
    )


def _flat(colours: Colours) -> list[str]:
    return [one for part in colours for one in ([part] if isinstance(part, str) else part)]


def _compiled(spec: dict[str, Any], width: float) -> str:
    try:
        from vl_convert import vegalite_to_svg
    except ModuleNotFoundError:
        raise MissingExtraError("drawing pictures", "vl-convert-python") from None
    themed = {**config(dark=False), "aria": False}
    drawn: str = vegalite_to_svg(_still({**spec, "width": width, "config": themed}))
    return drawn


def _still(part: Part) -> Part:
    """Leave out what only a page that is pointed at can use."""
    found: object = part
    if isinstance(part, dict):
        found = {key: _still(one) for key, one in part.items() if key not in ONLY_SEEN_ON_PAGES}
    elif isinstance(part, list):
        found = [_still(one) for one in part]
    return cast("Part", found)
