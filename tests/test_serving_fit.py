"""Fitting engines to published serving runs: which runs, and where their factors go."""

from __future__ import annotations

import msgspec
import pytest
from serving_cases import lookup, predictor, run_of

from clusterwright.calibrate.serving import fit_serving
from clusterwright.inference import Correction, InferenceEngine
from clusterwright.validation.serving.questions import question_of
from clusterwright.validation.serving.rows import ServeRun
from clusterwright.validation.serving.tenths import fitted_keys, run_key


def made_runs(count: int, source: str = "made", **changes: object) -> list[ServeRun]:
    """Runs of two rows each."""
    return [
        run_of(id=f"{source}-{n}.{metric}", source=source, measured_metric=metric, **changes)
        for n in range(count)
        for metric in ("tpot_ms", "ttft_ms")
    ]


def test_all_rows_of_a_run_are_fitted_on_or_none_and_a_tenth_of_runs_are():
    runs = made_runs(200) + made_runs(40, "other")
    chosen = fitted_keys(runs)
    assert len({run_key(run) for run in runs}) == 240
    assert len(chosen) == 24
    assert sum(run_key(run) in chosen for run in runs) == 48
    assert fitted_keys(reversed(runs)) == chosen


def test_a_source_of_a_few_runs_is_only_judged_on():
    assert not fitted_keys(made_runs(4))
    assert len(fitted_keys(made_runs(5))) == 1


@pytest.mark.parametrize("slower", [0.75, 1.4])
def test_factors_move_towards_the_runs_they_are_fitted_on(slower):
    runs = []
    for number, run in enumerate(made_runs(120, scenario="decode only")):
        run = msgspec.structs.replace(run, measured_metric="tpot_ms")
        question = question_of(run, lookup())
        engine = msgspec.structs.replace(question.engine, corrections=(Correction(decode=slower),))
        changed = msgspec.structs.replace(question, engine=engine)
        value = predictor().predict(run, changed) * (0.99 + 0.01 * (number % 3))
        runs.append(msgspec.structs.replace(run, measured_value=value))
    told: list[str] = []
    [entry] = fit_serving(runs, lookup(), tell=told.append)
    assert (entry["id"], entry["rows"], entry["sources"]) == ("vllm", 24, 1)
    assert len(told) == 1
    assert entry["residual"] < 0.1 < abs(slower - 1.0)
    engine = engine_of(entry, question.engine)
    place = {"profile": "nvidia-hopper", "accelerator": "nv-h100-sxm", "weights": "bf16"}
    decode = engine.correction(**place).decode
    assert abs(decode - slower) < 0.6 * abs(1.0 - slower)


def test_an_entry_is_what_the_catalogue_adds_to_an_engine():
    runs = [msgspec.structs.replace(run, measured_value=8.0) for run in made_runs(10)]
    [entry] = fit_serving(runs, lookup(), tell=lambda _: None)
    documented = question_of(runs[0], lookup()).engine
    engine = engine_of(entry, documented)
    assert (engine.id, engine.name, engine.kernels) == ("vllm", documented.name, documented.kernels)
    assert engine.corrections[0].rows == 0
    assert all(one.rows <= entry["rows"] for one in engine.corrections)
    assert min(getattr(engine, name) for name in ("step_time", "launch_time", "entry_time")) > 0.0


def test_an_engine_of_one_row_is_left_as_documented():
    alone = [run for run in made_runs(10) if run.measured_metric == "tpot_ms"]
    told: list[str] = []
    assert fit_serving(alone, lookup(), tell=told.append) == []
    assert "left as documented" in told[0]


def test_runs_that_cannot_be_asked_about_are_not_fitted_on():
    unknown = made_runs(20, model_name="Llama-9-1B")
    partial = [msgspec.structs.replace(run, config_complete=False) for run in made_runs(20)]
    assert fit_serving([*unknown, *partial], lookup(), tell=lambda _: None) == []


def engine_of(entry: dict[str, object], documented: InferenceEngine) -> InferenceEngine:
    """An engine with its fitted entry, as the catalogue puts them together."""
    kept = ("id", "rows", "sources", "residual")
    fitted = {key: value for key, value in entry.items() if key not in kept}
    return msgspec.convert({**msgspec.structs.asdict(documented), **fitted}, InferenceEngine)


def test_the_same_rows_are_heard_once_however_finely_they_could_be_grouped():
    # Of A100 in one format, its generation, that with the format, and the chip are the same rows.
    runs = []
    for chip, slower in (("H100-SXM", 1.0), ("A100-80GB", 1.5)):
        changes = {"scenario": "decode only", "accelerator": chip}
        for run in made_runs(60, chip, **changes):
            if run.measured_metric == "tpot_ms":
                value = predictor().predict(run, question_of(run, lookup())) * slower
                runs.append(msgspec.structs.replace(run, measured_value=value))
    [entry] = fit_serving(runs, lookup(), tell=lambda _: None)
    rested = [one["rows"] for one in entry["corrections"] if one.get("profile") == "nvidia-ampere"]
    assert rested == [6]
    assert not [one for one in entry["corrections"] if "a100" in one.get("accelerator", "")]


def test_a_chip_of_which_only_prompts_were_measured_decodes_like_its_generation():
    runs = []
    for chip, metric, scenario, slower in (
        ("H100-SXM", "tpot_ms", "decode only", 1.6),
        ("L40S", "tpot_ms", "decode only", 1.0),
        ("RTX 4090", "ttft_ms", "prefill only", 1.3),
    ):
        for run in made_runs(60, chip, scenario=scenario, accelerator=chip):
            if run.measured_metric == metric:
                value = predictor().predict(run, question_of(run, lookup())) * slower
                runs.append(msgspec.structs.replace(run, measured_value=value))
    [entry] = fit_serving(runs, lookup(), tell=lambda _: None)
    engine = engine_of(entry, question_of(runs[0], lookup()).engine)
    place = {"profile": "nvidia-ada", "weights": "bf16"}
    known, prompts = (engine.correction(accelerator=a, **place) for a in ("nv-l40s", "nv-rtx4090"))
    assert prompts.decode == known.decode
