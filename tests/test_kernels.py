"""Measured kernels of the catalogue: whole, physical, borrowed by relatives, and near the truth."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import CatalogueError
from clusterwright.kernels.columns import Table
from clusterwright.kernels.kinds import KINDS, inside_branch, kind_of_columns
from clusterwright.kernels.library import KernelLibrary, Kernels
from clusterwright.validation.kernel_rows import Predictor

FACTS = Catalogue()
GEMM = KINDS["gemm"]
ENTRIES = {name: Kernels.from_entry(e.data) for name, e in FACTS.entries("kernels").items()}
PRODUCTS = sorted(name for name, one in ENTRIES.items() if one.kind == "gemm")

# Products measured by vLLM 0.24, microseconds: accelerator, precision, rows, columns, depth, time.
# Source: NVIDIA aiconfigurator's operator tables (Apache-2.0).
MEASURED = [
    ("h100", "bf16", 1025, 4096, 4096, 43.71),
    ("h100", "bf16", 16384, 4096, 4096, 739.7),
    ("h100", "bf16", 4096, 8192, 1024, 96.05),
    ("h100", "bf16", 12, 12288, 12288, 107.2),
    ("h100", "bf16", 64, 64, 4096, 5.723),
    ("h100", "fp8", 16, 4096, 4096, 12.08),
    ("h100", "fp8", 1024, 4096, 4096, 39.17),
    ("h100", "fp8", 1025, 4096, 4096, 57.84),
    ("h100", "fp8", 8192, 256, 8192, 190.0),
    ("h100", "fp8", 192, 12288, 12288, 87.75),
    ("b200", "fp8", 1024, 4096, 4096, 26.2),
    ("b200", "fp8", 1024, 10240, 1024, 24.4),
    ("l40s", "fp8", 8, 8192, 8192, 110.4),
    ("l40s", "fp8", 2048, 4096, 2048, 130.2),
]


def shapes(rows, columns, depth) -> Table:
    return Table(
        {
            name: np.atleast_1d(np.asarray(size, dtype=float))
            for name, size in zip(("m", "n", "k"), (rows, columns, depth), strict=True)
        }
    )


def scattered(count: int = 3000) -> Table:
    random = np.random.default_rng(3)
    return shapes(*(np.ceil(np.exp(random.uniform(0.0, 12.5, (3, count))))))


def test_measured_products_are_met():
    predictor = Predictor(FACTS, GEMM)
    errors = [
        predictor.times(shapes(m, n, k), FACTS.accelerator(chip), "VLLM", precision)[0]
        / (time * 1e-6)
        - 1.0
        for chip, precision, m, n, k, time in MEASURED
    ]
    assert np.median(np.abs(errors)) < 0.06
    assert np.abs(errors).max() < 0.25


@pytest.mark.parametrize("name", PRODUCTS)
def test_branches_fill_all_shapes_once(name):
    features = GEMM.features(scattered())
    for fit in ENTRIES[name].precisions.values():
        times = sum(inside_branch(features, branch).astype(int) for branch in fit.branches)
        assert (times == 1).all()


@pytest.mark.parametrize("name", PRODUCTS)
def test_no_shape_beats_the_chip_from_cold_memory(name):
    one, table = ENTRIES[name], scattered()
    chip = FACTS.accelerator(one.accelerator)
    cold = msgspec.structs.replace(chip, cache_bytes=None)
    for precision, fit in one.precisions.items():
        times = GEMM.predict(table, cold, precision, fit.branches)
        flops, num_bytes = GEMM.work(table, precision)
        assert (times > 0).all()
        assert (times >= flops / GEMM.peak(chip, precision) * 0.999).all()
        assert (times >= num_bytes / chip.memory_bandwidth * 0.999).all()
        huge = flops / GEMM.peak(chip, precision) > 1.0  # far outside what was measured
        assert (times[huge] < 30 * flops[huge] / GEMM.peak(chip, precision)).all() or not huge.any()


@pytest.mark.parametrize("name", PRODUCTS)
def test_every_fit_says_what_it_rests_on(name):
    one = ENTRIES[name]
    assert FACTS.accelerator(one.accelerator).profile == one.profile
    for fit in one.precisions.values():
        assert fit.evidence.rows > 100
        assert fit.evidence.residual is not None
        assert fit.evidence.residual < 0.15


def test_relatives_stand_in_and_strangers_do_not():
    library = KernelLibrary(e.data for e in FACTS.entries("kernels").values())
    h100 = FACTS.accelerator("h100")
    own = library.find(kind="gemm", accelerator=h100, engine="vLLM", precision="fp8")
    assert own == ENTRIES["nv-h100-sxm-vllm-gemm"].precisions["fp8"]
    relative = FACTS.accelerator("h100-pcie")
    assert library.find(kind="gemm", accelerator=relative, engine="vllm", precision="fp16")
    for accelerator, engine in (("h100", "none"), ("mi300x", "vllm")):
        chip = FACTS.accelerator(accelerator)
        found = library.find(kind="gemm", accelerator=chip, engine=engine, precision="bf16")
        assert found is None


def test_without_kernels_the_generation_s_profile_holds():
    predictor, chip = Predictor(FACTS, GEMM), FACTS.accelerator("mi300x")
    (time,) = predictor.times(shapes(8192, 8192, 8192), chip, "vllm", "bf16")
    assert 1.0 < time * chip.peaks["bf16"] / (2 * 8192.0**3) < 3.0


def test_entries_that_are_no_kernels_are_refused():
    entry = dict(FACTS.entries("kernels")["nv-h100-sxm-vllm-gemm"].data)
    with pytest.raises(CatalogueError, match=r"kernels 'nv-h100-sxm-vllm-gemm'.*typo"):
        Kernels.from_entry({**entry, "typo": 1})


def test_a_table_is_told_by_its_columns():
    assert kind_of_columns(("system", "framework", "gemm_dtype", "m", "n", "k", "latency_us"))
    assert kind_of_columns(("system", "framework", "m", "n", "latency_us")) is None
