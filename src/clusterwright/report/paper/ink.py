"""Pictures as SVG that stands in a file: drawn once, in the light theme, without links or scripts.

The colours are attributes, so that they hold where no style sheet is read; `DARK_RULES` turn them
into those of the dark theme where one is.
"""

from __future__ import annotations

import re
from html import escape
from typing import Any, Final, TypeVar, cast

from clusterwright.errors import ClusterwrightError
from clusterwright.report import cluster_map
from clusterwright.report.pictures.theme import DARK, LIGHT, Colours, config
from clusterwright.report.shown.picture import Picture

Part = TypeVar("Part")
WIDE: Final = 720
"""Width that pictures are drawn at. [px]"""
ONLY_SEEN_ON_PAGES: Final = ("href", "tooltip")
EXTRA: Final = "pip install 'clusterwright[report]'"
_USELESS: Final = re.compile(
    r' (?:font-family="[^"]*"|opacity="1"|pointer-events="none"|role="[^"]*"|xmlns:xlink="[^"]*"'
    r'|aria-roledescription="[^"]*"|aria-hidden="[^"]*"|class="[^"]*"|stroke-miterlimit="10")'
)
_EMPTY: Final = re.compile(r'<path(?: [a-z-]+="[^"]*")* d="(?:M0,0h0v0h0Z)?"[^>]*/>')
_NAME: Final = re.compile(r'(?<= id=")|(?<="url\(#)')
_HEAD: Final = re.compile(r"<svg[^>]*>")
_PRECISE: Final = re.compile(r"(\d+\.\d{2})\d+")


class MissingExtraError(ClusterwrightError):
    """A library of the extra ``report`` is not installed."""

    def __init__(self, what: str, library: str) -> None:
        super().__init__(f"{what} needs {library}: {EXTRA}")


def svg_of(picture: Picture, *, number: int = 0, font: str = "") -> str:
    """Draw a picture as an SVG element that stands alone.

    Parameters
    ----------
    picture
        With a ``spec`` or an ``svg``.
    number
        Of the picture in its file, which keeps its inner names apart from those of others.
    font
        Family of its words; "" leaves it to what is around.

    Raises
    ------
    MissingExtraError
        The extra ``report`` is not installed.
    """
    drawn = _compiled(picture.spec) if picture.spec is not None else picture.svg
    size = re.search(r'viewBox="([^"]*)"', drawn)
    assert size is not None, "every picture has a size"
    family = f' font-family="{escape(font)}"' if font else ""
    box = f'viewBox="{size[1]}" width="{size[1].split()[2]}" height="{size[1].split()[3]}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img"{family} '
        f'aria-label="{escape(picture.said or picture.title)}">'
    )
    body = _EMPTY.sub("", _USELESS.sub("", _HEAD.sub("", drawn, count=1)))
    body = re.sub(r"<(title|desc)>.*?</\1>\n?", "", body, flags=re.DOTALL)
    return head + _NAME.sub(rf"\g<0>p{number}-", body)


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


def _compiled(spec: dict[str, Any]) -> str:
    try:
        from vl_convert import vegalite_to_svg
    except ModuleNotFoundError:
        raise MissingExtraError("drawing pictures", "vl-convert-python") from None
    themed = {**config(dark=False), "aria": False}
    drawn: str = vegalite_to_svg(_still({**spec, "width": WIDE, "config": themed}))
    return _PRECISE.sub(r"\1", drawn)


def _still(part: Part) -> Part:
    """Leave out what only a page that is pointed at can use."""
    found: object = part
    if isinstance(part, dict):
        found = {key: _still(one) for key, one in part.items() if key not in ONLY_SEEN_ON_PAGES}
    elif isinstance(part, list):
        found = [_still(one) for one in part]
    return cast("Part", found)
