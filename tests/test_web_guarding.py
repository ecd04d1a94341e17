"""The server as an attacker sees it, over a real socket: by name, by page, by path, by file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from web_cases import headers_of, request_of, said_raw, served, status_of

from clusterwright.web.guarding import HEADERS, MOST_HEAD
from clusterwright.web.listening import HEAD_SECONDS
from clusterwright.web.pages import PAGES

SECRET = "the-secret-of-another-folder"
HOSTILE = ["<script>alert(1)<", "{{7*7}}", "\u202egnp.exe", "'\"&amp;"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with links that lead out of it, and files that are none."""
    place = tmp_path_factory.mktemp("served")
    outside = tmp_path_factory.mktemp("outside")
    (outside / "config.json").write_text(json.dumps({"model_type": SECRET}))
    (place / "link.json").symlink_to(outside / "config.json")
    (place / "my link.json").symlink_to(outside / "config.json")
    (place / "linked").symlink_to(outside)
    (place / "hollow").mkdir()
    (place / "hollow" / "config.json").symlink_to(outside / "config.json")
    (place / "zero.json").symlink_to("/dev/zero")
    (place / "circle.json").symlink_to(place / "circle.json")
    os.mkfifo(place / "pipe.json")
    with (place / "huge.json").open("wb") as huge:
        huge.truncate(10**10)
    # Files called as modules are: what starts in the folder must not run them.
    for name in ("msgspec", "json", "numpy", "clusterwright"):
        (place / f"{name}.py").write_text(f"raise SystemExit({SECRET!r})")
    return place


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    with served(folder) as address:
        yield address


def ask(server: str, target: str, *headers: str, **options: str) -> bytes:
    return said_raw(server, request_of(target, *headers, **options))


OURS = ("127.0.0.1", "localhost", "LOCALHOST", "[::1]", "127.0.0.1:80", "localhost:65535")
OTHERS = (
    *("", "evil.example", "evil.example:8770", "127.0.0.1.evil.example", "localhost.evil.example"),
    *("127.0.0.1@evil.example", "evil.example@127.0.0.1", "127.0.0.1#.evil.example"),
    *("127.0.0.1/x", "127.0.0.1:99999999", "127.0.0.1:", "[::1", "::1", "[::ffff:127.0.0.1]"),
    *("0.0.0.0", "192.168.0.1", "127.0.0.2", "localhost.", "localhost, evil.example"),
)


@pytest.mark.parametrize("host", OURS)
def test_a_server_answers_to_its_own_names(server, host):
    assert status_of(ask(server, "/", host=host)) == 200


@pytest.mark.parametrize("host", OTHERS)
def test_a_server_answers_to_no_other_name(server, host):
    answer = ask(server, "/", f"host: {host}", host="")
    assert status_of(answer) == 421


def test_a_request_without_a_host_or_with_two_is_refused(server):
    assert status_of(said_raw(server, b"GET / HTTP/1.0\r\n\r\n")) == 421
    assert status_of(said_raw(server, b"GET / HTTP/1.1\r\n\r\n")) == 400
    assert status_of(ask(server, "/", "host: evil.example")) == 400


@pytest.mark.parametrize("target", ["http://evil.example/", "http://127.0.0.1/", "//evil.example/"])
def test_a_target_that_names_a_host_is_no_page(server, target):
    assert status_of(ask(server, target)) in (400, 404)


@pytest.mark.parametrize(
    "said",
    [
        ["origin: http://evil.example"],
        ["origin: null"],
        ["origin: http://127.0.0.1:3000"],
        ["origin: http://127.0.0.1", "origin: http://evil.example"],
        ["sec-fetch-site: cross-site", "sec-fetch-mode: no-cors", "sec-fetch-dest: image"],
        ["sec-fetch-site: same-site", "sec-fetch-mode: cors", "sec-fetch-dest: empty"],
        ["sec-fetch-site: cross-site", "sec-fetch-mode: navigate", "sec-fetch-dest: iframe"],
    ],
)
def test_pages_of_other_sites_may_not_ask(server, said):
    assert status_of(ask(server, "/claims.json", *said)) == 403


@pytest.mark.parametrize(
    "said",
    [
        ["origin: http://127.0.0.1"],
        ["sec-fetch-site: same-origin", "sec-fetch-mode: cors", "sec-fetch-dest: empty"],
        ["sec-fetch-site: none", "sec-fetch-mode: navigate", "sec-fetch-dest: document"],
        ["sec-fetch-site: cross-site", "sec-fetch-mode: navigate", "sec-fetch-dest: document"],
    ],
)
def test_own_pages_and_links_that_are_followed_may(server, said):
    assert status_of(ask(server, "/", *said)) == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X"])
def test_only_get_and_head_are_understood(server, method):
    answer = ask(server, "/", method=method)
    assert status_of(answer) == 405
    assert headers_of(answer)["allow"] == "GET, HEAD"
    assert status_of(ask(server, "/", method="CONNECT")) in (400, 405)


def test_head_has_no_body(server):
    answer = ask(server, "/", method="HEAD")
    assert status_of(answer) == 200
    assert answer.endswith(b"\r\n\r\n")


def test_what_is_too_long_is_refused(server):
    assert status_of(ask(server, "/plan/train?model=" + "x" * 9000)) == 414
    assert status_of(ask(server, "/", "x: " + "x" * MOST_HEAD)) == 431
    assert status_of(ask(server, "/" + "x" * MOST_HEAD)) == 414
    assert status_of(ask(server, "/" + "x" * 1000)) == 404
    assert status_of(ask(server, "/", "x: " + "x" * 1_000_000)) == 400
    assert status_of(ask(server, "/", "content-length: 10")) == 413
    assert status_of(ask(server, "/", "transfer-encoding: chunked")) == 413


def test_who_does_not_say_what_they_want_is_hung_up_on(server):
    begun = time.monotonic()
    answer = said_raw(server, b"GET / HTTP/1.1\r\nhost: 127.0")
    assert time.monotonic() - begun < HEAD_SECONDS + 5.0
    assert status_of(answer) == 408
    assert said_raw(server, b"") == b""


OUT = (
    *("../pyproject.toml", "..%2f..%2fguarding.py", "%2e%2e/guarding.py", "..%252fguarding.py"),
    *("..\\guarding.py", "..%5cguarding.py", "%2e%2e%5cguarding.py", "vendor/../../guarding.py"),
    *("/etc/passwd", "%2fetc%2fpasswd", "....//guarding.py", "style.css%00.html", "vendor/%2e%2e"),
)


@pytest.mark.parametrize("path", OUT)
@pytest.mark.parametrize("before", ["/static/", "/", "/progress/", "/static/vendor/"])
def test_no_path_leads_out_of_what_is_served(server, before, path):
    answer = ask(server, before + path)
    assert status_of(answer) in ((200,) if before == "/progress/" else (400, 404))
    for secret in (b"from __future__", b"root:", b"[project]"):
        assert secret not in answer


FILES_OUT = (
    *("/etc/passwd", "../outside/config.json", "~/config.json", "file:///etc/passwd", "C:\\x.json"),
    *("\\\\server\\x.json", "link.json", "my link.json", "linked", "linked/config.json"),
    *("hollow", "hollow/config.json", "zero.json", "link.json@h100", "hollow@h100", "/dev/zero"),
    *("pipe.json", "huge.json", "circle.json", "'/etc/passwd'", "8x/etc/passwd", "./link.json"),
)


NO_PATHS = ("linked", "hollow", "link.json@h100", "hollow@h100", "8x/etc/passwd")
"""Words that a field may take for what they are, as long as nothing is read."""


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_no_field_reaches_a_file_outside_the_folder(server, page):
    example = page.examples[0].query if page.examples else {}
    query = {name: value for name, value in example.items() if name != "tokens"}
    for name in page.form.fields:
        for value in FILES_OUT:
            asked = urlencode({**query, name: value})
            begun = time.monotonic()
            answer = ask(server, f"{page.path}.json?{asked}")
            taken = (200,) if value in NO_PATHS else ()
            assert status_of(answer) in (422, *taken), (name, value, answer[-300:])
            assert SECRET.encode() not in answer
            assert b"root:" not in answer
            assert time.monotonic() - begun < 10.0, (name, value)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_of_files_are_shown_as_text(server, folder, name):
    from clusterwright.facts import shipped

    config = shipped().entry("models", "llama-3.1-8b").data["config_json"]
    (folder / f"{name}.json").write_text(json.dumps({**config, "model_type": name}))
    asked = urlencode({"model": f"{name}.json", "accelerator": "h100", "accelerators": "8"})
    answer = ask(server, f"/estimate/train?{asked}").decode()
    if "\u202e" in name:  # what would turn the letters around it is not taken
        assert status_of(answer.encode()) == 422
    else:
        assert status_of(answer.encode()) == 200
    assert "<script>alert" not in answer
    assert answer.count("\u202e") == answer.count('value="\u202e')  # what was typed stays
    assert ">49" not in answer


@pytest.mark.parametrize("value", ["<script>alert(1)</script>", "{{7*7}}", '"><img src=x>', "${1}"])
def test_hostile_values_are_shown_as_text(server, value):
    for target in (f"/plan/train?model={quote(value)}", f"/x{quote(value)}", f"/progress/{value}"):
        answer = ask(server, quote(target, safe="/?=%")).decode()
        assert value not in answer or "<" not in value
        assert ">49<" not in answer


def test_every_answer_has_every_header_and_no_other_of_note(server):
    answers = [
        ask(server, target)
        for target in ("/", "/x", "/plan/train?model=x", "/static/style.css", "/static/x")
    ]
    answers += [ask(server, "/catalogue/list.json"), ask(server, "/themes.json")]
    answers += [ask(server, "/progress/x"), ask(server, "/openapi.json"), ask(server, "/api")]
    answers += [ask(server, "/", host="evil.example"), ask(server, "/", method="POST")]
    answers += [ask(server, "/", "origin: null"), ask(server, "/?" + "x" * 9000)]
    answers += [said_raw(server, b"NONSENSE\r\n\r\n"), ask(server, "/" + "x" * MOST_HEAD)]
    for answer in answers:
        said = headers_of(answer)
        assert HEADERS.items() <= said.items()
        assert not {"set-cookie", "server", "access-control-allow-origin"} & said.keys()


def test_the_policy_lets_nothing_in_that_is_not_the_servers():
    policy = HEADERS["content-security-policy"]
    assert "unsafe" not in policy
    assert "*" not in policy
    assert "http" not in policy
    assert policy.startswith("default-src 'none'")


def test_refusals_tell_nothing_of_where_the_server_is(server, folder):
    for target in ("/x", "/plan/train?model=hollow", "/plan/train?model=pipe.json", "/static/../x"):
        answer = ask(server, target)
        assert str(folder).encode() not in answer
        assert str(Path(__file__).parents[1]).encode() not in answer
        assert b"Traceback" not in answer


def test_without_being_told_only_this_machine_is_listened_to(server):
    port = int(server.rpartition(":")[2])
    found = [
        line.split()[1]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")
    ]
    assert found == [f"0100007F:{port:04X}"]


def test_who_lets_others_in_is_told_and_names_stay_refused(tmp_path):
    with served(tmp_path, "--host", "0.0.0.0") as address:
        assert status_of(ask(address, "/", host="192.168.0.7")) == 200
        assert status_of(ask(address, "/", host="evil.example")) == 421
