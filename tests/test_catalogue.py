"""The catalogue: what its files may hold, what is compiled of them, and what is built of that."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from clusterwright.catalogue import browsing, compiling
from clusterwright.catalogue.authoring import Problem, read_folder, read_own_file
from clusterwright.catalogue.schema import read_schema
from clusterwright.catalogue.store import Catalogue
from clusterwright.cli import ask
from clusterwright.errors import CatalogueError, InputError, UnknownNameError
from clusterwright.hardware import Cluster

CHIP = """
[[accelerator]]
id = "one"
name = "Chip One"
aliases = ["uno"]
vendor = "Somebody"
kind = "gpu"
profile = "generic-gpu"
peaks.bf16 = "100 TFLOP/s"
memory = { value = "64 GB", kind = "measured", disagrees = [{ value = "60 GB", source = "press" }] }
price = { range = ["$10000", "$20000"] }
source = "data sheet"
confidence = "A"
checked = 2026-11-21
"""


@pytest.fixture(scope="module")
def facts() -> Catalogue:
    return Catalogue()


@pytest.fixture
def authored(tmp_path: Path) -> Path:
    shutil.copytree(compiling.AUTHORED / "schema", tmp_path / "schema")
    (tmp_path / "accelerators").mkdir()
    return tmp_path


def problems_of(authored: Path, text: str) -> tuple[Problem, ...]:
    (authored / "accelerators" / "some.toml").write_text(text, encoding="utf-8")
    return read_folder(authored, read_schema(authored / "schema")).problems


# What may stand in a file


def test_a_sound_entry_compiles_to_si(authored: Path) -> None:
    assert problems_of(authored, CHIP) == ()
    reading = read_folder(authored, read_schema(authored / "schema"))
    entry = reading.check()["accelerators"]["one"]
    assert entry["peaks"]["bf16"]["value"] == 100e12
    assert entry["memory"]["value"] == 64e9
    assert entry["memory"]["disagrees"] == [{"value": 60e9, "text": "60 GB", "source": "press"}]
    assert (entry["price"]["low"], entry["price"]["value"]) == (10000.0, 15000.0)
    assert entry["checked"] == "2026-11-21"


@pytest.mark.parametrize(
    ("old", "new", "message", "line"),
    [
        ("memory = {", "memoryy = {", "unknown key 'memoryy': did you mean 'memory'?", 10),
        ('"100 TFLOP/s"', '"100 GB/s"', "is a bandwidth, but a compute rate", 9),
        ('"100 TFLOP/s"', "100.0", "write a quoted quantity with its unit", 9),
        ("peaks.bf16", "peaks.bf61", "'peaks.bf61': did you mean 'bf16'?", 0),
        ('value = "64 GB"', 'vaule = "64 GB"', "did you mean 'value'?", 10),
        ('kind = "measured"', 'kind = "guessed"', "one of vendor-peak, published, measured", 10),
        ('kind = "gpu"', 'kind = "abacus"', "one of gpu, gpu-consumer", 7),
        ("checked = 2026-11-21", 'checked = "today"', "write a day such as 2026-11-21", 14),
        ('vendor = "Somebody"\n', "", "'vendor' is missing", 0),
        ('vendor = "Somebody"', 'vendor = ""', "leave the key out", 6),
        ('vendor = "Somebody"', "vendor = 7", "write text", 6),
        ('id = "one"', 'id = "One!"', "lower-case", 0),
        ('id = "one"\n', "", "has no id", 0),
        ('["$10000", "$20000"]', '["$20000", "$10000"]', "swap its ends", 11),
        ('["$10000", "$20000"]', '["$10000"]', "lowest and highest", 11),
        ('{ range = ["$10000", "$20000"] }', '{ note = "?" }', "a value, a range, or both", 11),
        (
            "{ range = [",
            '{ value = "$9000", range = [',
            "not within its range",
            11,
        ),
        ('source = "press"', 'origin = "press"', "value, and source or note", 10),
        ('aliases = ["uno"]', 'aliases = "uno"', "list of texts", 5),
        ("[[accelerator]]", "[[cluster]]", "write [[accelerator]]", 2),
        ("[[accelerator]]", "[accelerator]", "two brackets", 0),
        ('id = "one"', "id = one", "not readable as TOML", 0),
        (
            'source = "data',
            'node = "dgx"\nsource = "data',
            "which does not exist: add it to nodes",
            12,
        ),
    ],
)
def test_refused_with_place_and_mend(
    authored: Path, old: str, new: str, message: str, line: int
) -> None:
    assert old in CHIP
    found = problems_of(authored, CHIP.replace(old, new, 1))
    assert message in " ".join(problem.message for problem in found)
    assert all(problem.path == "accelerators/some.toml" for problem in found)
    if line:
        assert line in {problem.line for problem in found}


def test_entries_are_sorted_and_named_once(authored: Path) -> None:
    before = CHIP.replace('"one"', '"alpha"')
    found = problems_of(authored, CHIP + before)
    assert [problem.entry for problem in found] == ["alpha", "alpha"]
    assert "move it before 'one'" in found[0].message
    assert "'uno' is taken by 'one'" in found[1].message
    assert "is taken" in problems_of(authored, CHIP + CHIP)[0].message


def test_all_problems_are_told_at_once(authored: Path) -> None:
    text = CHIP.replace('"gpu"', '"abacus"').replace('"A"', '"Z"')
    (authored / "accelerators" / "some.toml").write_text(text, encoding="utf-8")
    with pytest.raises(CatalogueError, match="2 to mend") as refusal:
        read_folder(authored, read_schema(authored / "schema")).check()
    assert "accelerators/some.toml:7: one: 'kind' is 'abacus'" in str(refusal.value)


def test_a_model_brings_its_configuration(authored: Path) -> None:
    (authored / "models").mkdir()
    (authored / "models" / "some.toml").write_text(
        '[[model]]\nid = "m"\nconfig = "m.json"\nreleased = 2024-01-02\n', encoding="utf-8"
    )
    schema = read_schema(authored / "schema")
    assert "no file 'm.json'" in read_folder(authored, schema).problems[0].message
    (authored / "models" / "m.json").write_text("{", encoding="utf-8")
    assert "is not JSON" in read_folder(authored, schema).problems[0].message
    (authored / "models" / "m.json").write_text('{"hidden_size": 8}', encoding="utf-8")
    entry = read_folder(authored, schema).check()["models"]["m"]
    assert entry["config_json"] == {"hidden_size": 8}
    assert entry["released"] == "2024-01-02"


# What is compiled


def test_the_shipped_file_is_fresh_and_compiling_is_deterministic() -> None:
    once = compiling.compile_catalogue()
    assert once == compiling.compile_catalogue()
    assert compiling.SHIPPED.read_bytes() == once, "run `make data`"


def test_check_fails_where_the_file_is_stale(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = tmp_path / "data" / "catalogue.json"
    monkeypatch.setattr(compiling, "SHIPPED", shipped)
    monkeypatch.setattr(compiling, "compile_catalogue", lambda: b"{}\n")
    assert compiling.main(["--check"]) == 1
    assert compiling.main([]) == 0
    assert shipped.read_bytes() == b"{}\n"
    assert compiling.main(["--check"]) == 0
    assert "make data" in capsys.readouterr().err


def test_without_authored_files_it_says_where_to_go(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="in the repository"):
        compiling.compile_catalogue(tmp_path)


# What is known


def test_accelerators(facts: Catalogue) -> None:
    h100 = facts.accelerator("nv-h100-sxm")
    assert h100.peaks["bf16"] == 989.4e12
    assert h100.peaks["fp8"] == 1979e12
    assert h100.matmul["bf16"] == 794.5e12
    assert h100.memory_bandwidth == 3.35e12
    assert (h100.scaleup_bandwidth, h100.scaleup_domain) == (450e9, 8)
    assert h100.scaleout_bandwidth == 50e9
    assert h100.profile == "nvidia-hopper"
    assert facts.accelerator("H100") == h100
    v6e = facts.accelerator("tpu-v6e")
    assert (v6e.peaks["bf16"], v6e.scaleup_bandwidth) == (918e12, 360e9)


def test_every_accelerator_and_node_is_whole(facts: Catalogue) -> None:
    profiles = facts.entries("efficiency")
    for name in facts.entries("accelerators"):
        assert facts.accelerator(name).profile in {*profiles, "phone"}
    for entry in facts.entries("nodes").values():
        assert entry.text("accelerator") in facts.entries("accelerators")


def test_a_figure_carries_its_source_and_those_who_disagree(facts: Catalogue) -> None:
    figure = facts.figure("accelerators", "nv-b300", "memory_bandwidth")
    assert (figure.value, figure.dimension, figure.confidence) == (7.75e12, "B/s", "A")
    assert figure.kind == "vendor-peak"
    assert "DGX B300" in figure.source
    assert [other.value for other in figure.disagrees] == [8e12]
    price = facts.figure("accelerators", "nv-h100-sxm", "price")
    assert (price.low, price.high) == (20000.0, 45000.0)


def test_a_blank_figure_says_that_nobody_published_it(facts: Catalogue) -> None:
    with pytest.raises(
        InputError, match="nobody published the memory bandwidth of nv-a100-40-pcie"
    ):
        facts.figure("accelerators", "nv-a100-40-pcie", "memory_bandwidth")
    assert facts.accelerator("nv-a100-40-pcie").memory_bandwidth is None


def test_unknown_names_offer_the_nearest(facts: Catalogue) -> None:
    with pytest.raises(UnknownNameError, match="did you mean nv-h200-sxm"):
        facts.accelerator("nv-h2000-sxm")
    with pytest.raises(InputError, match="one of accelerators, claims"):
        facts.entries("chips")


def test_unknown_names_say_a_list_that_there_is(facts: Catalogue) -> None:
    for kind in ("cooling", "outer_methods", "failure_rates", "regions"):
        with pytest.raises(UnknownNameError) as caught:
            facts.entry(kind, "\N{SNOWMAN}")
        listed = str(caught.value).rpartition("catalogue list ")[2].removesuffix("`)")
        assert browsing.list_entries(facts, listed)


# What is built


def assert_sound(cluster: Cluster) -> None:
    sizes = [level.size for level in cluster.levels]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == cluster.count
    assert all(level.bandwidth > 0 and level.latency > 0 for level in cluster.levels)


def test_meta_24k(facts: Catalogue) -> None:
    cluster = facts.cluster("meta-24k", accelerators=16384)
    assert cluster.id == "meta-24k-roce"
    assert cluster.accelerator.id == "nv-h100-sxm"
    assert [(level.size, level.bandwidth) for level in cluster.levels] == [
        (8, 450e9),
        (3072, 50e9),
        (16384, pytest.approx(50e9 / 7)),
    ]
    assert facts.cluster("meta-24k").count == 24576
    assert [level.size for level in facts.cluster("meta-24k", 8).levels] == [8]
    assert [level.size for level in facts.cluster("meta-24k", 1024).levels] == [8, 1024]


def test_a_cluster_has_no_more_than_it_has(facts: Catalogue) -> None:
    with pytest.raises(InputError, match="has 24,576 accelerators, not 30,000"):
        facts.cluster("meta-24k", 30000)
    assert "network: 400 Gb/s per accelerator, never oversubscribed" in (
        facts.cluster("meta-100k").assumed
    )
    with pytest.raises(InputError, match="one or more"):
        facts.cluster("meta-24k", 0)
    with pytest.raises(InputError, match="150k H100"):
        facts.cluster("colossus1-d")


def test_every_cluster_of_one_accelerator_can_be_planned_for(facts: Catalogue) -> None:
    for name, entry in facts.entries("clusters").items():
        if entry.text("accelerator") and entry.figure("count"):
            assert_sound(facts.cluster(name))
            assert_sound(facts.cluster(name, 3))


def test_any_cluster_says_what_it_assumed(facts: Catalogue) -> None:
    for name in facts.entries("accelerators"):
        for count in (1, 2, 9, 100_000):
            assert_sound(facts.any_cluster(name, count))
    known = facts.any_cluster("nv-h100-sxm", 1024)
    assert [level.bandwidth for level in known.levels] == [450e9, 50e9]
    assert not [words for words in known.assumed if "scale" in words]
    guessed = facts.any_cluster("nv-l40s", 1024)
    assert "scale-out: 400 Gb/s per accelerator" in guessed.assumed
    assert [level.size for level in facts.any_cluster("tpu-v5e", 512).levels] == [256, 512]
    assert facts.any_cluster("soc-m2max", 2).host_memory_bytes is None


# A person's own files


OWN = """
[[cluster]]
id = "lab"
name = "Our lab"
accelerator = "one"
count = "32"
[cluster.fabric]
levels = [
  { name = "host", kind = "pcie", size = 4, bandwidth = "25 GB/s", latency = "5 us" },
  { name = "Ethernet", kind = "roce", size = "all", bandwidth = "100 Gb/s", assumed = true },
]
"""


def test_own_files_are_merged(facts: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    chip = CHIP.replace('source = "data sheet"\nconfidence = "A"\nchecked = 2026-11-21\n', "")
    path.write_text(chip + OWN, encoding="utf-8")
    merged = facts.with_files([path])
    cluster = merged.cluster("lab")
    assert [(level.bandwidth, level.latency) for level in cluster.levels] == [
        (25e9, 5e-6),
        (12.5e9, 14e-6),
    ]
    assert cluster.assumed[0].startswith("Ethernet: 12.5 GB/s")
    assert merged.figure("accelerators", "uno", "peaks.bf16").source == "own file own.toml"
    assert merged.cluster("meta-24k") == facts.cluster("meta-24k")
    assert merged.hash != facts.hash
    assert merged.hash == facts.with_files([path]).hash
    assert "lab" not in facts.entries("clusters")


def test_own_files_are_checked(facts: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN, encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"own.toml:5: lab: 'accelerator' names 'one'"):
        facts.with_files([path])
    path.write_text("[[clustre]]\nid = 'x'\n", encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"did you mean \[\[cluster\]\]"):
        facts.with_files([path])
    with pytest.raises(CatalogueError, match="no such file"):
        facts.with_files([tmp_path / "absent.toml"])
    assert read_own_file(path, facts.schema, {}).problems


# Looking into it


def test_browsing(facts: Catalogue) -> None:
    kinds = {row["kind"]: row["entries"] for row in browsing.list_kinds(facts)}
    assert kinds["accelerators"] >= 119
    assert kinds["networks"] >= 123
    rows = {row["id"]: row for row in browsing.list_entries(facts, "accelerator")}
    assert rows["nv-h100-sxm"]["peaks.bf16"] == "989.4 TFLOP/s"
    assert rows["nv-h200-nvl"]["memory"] == "141 GiB"
    shown = browsing.show_entry(facts, "meta-24k")
    assert shown["figures"]["count"]["shown"] == "24,576"
    assert len(shown["fabric"]["levels"]) == 3
    assert json.loads(json.dumps(shown)) == shown
    assert browsing.show_entry(facts, "networks/net-004")["figures"]["value"]["value"] == 450e9
    with pytest.raises(InputError, match="nothing in the catalogue is called"):
        browsing.show_entry(facts, "abacus")


def test_check_lists_what_to_look_at(facts: Catalogue, authored: Path) -> None:
    today = dt.date(2026, 11, 22)
    findings = {row["finding"] for row in browsing.check_catalogue(facts, today=today)}
    assert findings == {"single-source"}
    later = browsing.check_catalogue(facts, today=today + dt.timedelta(days=400))
    assert "last checked 2026-11-21" in next(
        row["message"] for row in later if row["finding"] == "stale"
    )
    problems_of(authored, CHIP.replace('"gpu"', '"abacus"'))
    broken = browsing.check_catalogue(facts, today=today, folder=authored)
    assert [row["id"] for row in broken if row["finding"] == "schema"] == ["one"]


def test_the_command_line_face(authored: Path) -> None:
    def said(words: str, *others: str) -> str:
        found = ask(["catalogue", *words.split(), *others])
        assert found is not None
        return found.words()

    assert "meta-24k-roce\tMeta 24k H100 RoCE" in said("list clusters")
    assert {row["kind"] for row in value_of("list")} >= {"nodes"}
    assert "7.75 TB/s\tvendor-peak" in said("show nv-b300")
    assert "level cluster: all accelerators, 400 Gb/s, 7:1" in said("show meta-24k")
    assert value_of("show nv-b300")["id"] == "nv-b300"
    assert "single-source" in said("check")
    problems_of(authored, CHIP.replace('"gpu"', '"abacus"'))
    broken = ask(["catalogue", "check", "--folder", str(authored)])
    assert broken is not None
    assert "1 to mend" in broken.words()
    assert broken.code == CatalogueError.exit_code


def value_of(words: str) -> Any:
    found = ask(["catalogue", *words.split()])
    assert found is not None
    return found.value
