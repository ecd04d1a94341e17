"""``plan``, ``estimate`` and ``compare serve``: the decision first, JSON, one line per mistake."""

from __future__ import annotations

import json
import re

import pytest

from clusterwright.cli import main
from clusterwright.report.intervals import span

LOAD = ["--rate", "5", "--input", "1000", "--output", "200"]
PROMISE = ["--ttft", "1s", "--tpot", "25ms"]
PLACE = ["--accelerator", "h100"]
SMALL = ["llama-3.1-8b", *PLACE, *LOAD]
LONG = [
    "--accelerator",
    "a10g",
    "--weights",
    "bf16",
    "--rate",
    "1",
    "--input",
    "120k",
    "--output",
    "9",
]
PLAN, ESTIMATE = ["plan", "serve", *SMALL], ["estimate", "serve", *SMALL]


def ask(capsys, *words: str) -> tuple[int, str, str]:
    code = main(list(words))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def answer(capsys, *words: str) -> list[str]:
    code, out, err = ask(capsys, *words)
    assert (code, err) == (0, "")
    return out.splitlines()


def as_json(capsys, *words: str) -> dict:
    code, out, err = ask(capsys, *words, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def refusal(capsys, code: int, *words: str) -> str:
    found, out, err = ask(capsys, *words)
    assert found == code
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def test_a_plan_says_what_to_set_up_before_it_says_why(capsys):
    lines = answer(capsys, *PLAN, *PROMISE)
    assert lines[0] == "llama-3.1-8b (8.03B parameters) on NVIDIA H100 SXM5 80GB, vLLM"
    assert lines[1].startswith("5 requests/s of 1,000 tokens in and 200 out; first token within")
    assert lines.index("Best deployment") < 7
    order = ["  replicas     1 x one accelerator; fp8, cache fp8", "  accelerators 1"]
    assert lines[lines.index("Best deployment") + 1 :][:2] == order
    heads = ["Best deployment", "A step of decoding", "Others that keep", "What users and"]
    places = [next(i for i, line in enumerate(lines) if line.startswith(h)) for h in heads]
    assert places == sorted(places)


def test_no_line_of_a_plan_is_lost_to_a_number_that_is_none(capsys):
    text = "\n".join(answer(capsys, *PLAN, *PROMISE))
    for word in ("nan", "None", "inf ", "Traceback"):
        assert word not in text
    assert "cost" not in text
    assert "cost         $" in "\n".join(answer(capsys, *ESTIMATE, "--price", "$2.10"))


def test_a_plan_as_json_has_its_pools(capsys):
    found = as_json(capsys, *PLAN, *PROMISE, "--price", "2")
    best = found["best"]
    assert best["pools"] == [
        {
            "role": "both",
            "count": 1,
            "deployment": {
                **best["pools"][0]["deployment"],
                "tp": 1, "pp": 1, "dp": 1, "ep": 1, "weights": "fp8", "cache": "fp8",
            },
        }
    ]  # fmt: skip
    assert best["accelerators"] == 1
    assert best["meets"] is True
    assert best["saturation"] > best["rate"] == 5.0
    assert best["cost"] == pytest.approx(2 / 3600 / best["output_rate"] * 1e6)
    assert found["question"]["workload"]["ttft"] == 1.0
    assert len(found["alternatives"]) > 1
    assert len(found["front"]) > 2
    assert found["evaluated"] > 2


@pytest.mark.parametrize("objective", ["cost", "energy", "accelerators", "throughput"])
def test_a_plan_by_objective(objective, capsys):
    found = as_json(capsys, *PLAN, "--objective", objective, "--price", "2")
    assert found["question"]["objective"] == objective
    for name in {"cost", "energy", "accelerators"} & {objective}:
        others = [one[name] for one in found["alternatives"]]
        assert found["best"][name] == min([found["best"][name], *others])


def test_replicas_apart_are_told_apart(capsys):
    words = [*PLAN, *PROMISE, "--split", "only"]
    text = "\n".join(answer(capsys, *words))
    assert "for prompts x" in text
    assert "for decoding x" in text
    assert [p["role"] for p in as_json(capsys, *words)["best"]["pools"]] == ["prefill", "decode"]


def test_an_estimate_says_what_a_given_cut_gives(capsys):
    words = [*ESTIMATE, "--tp", "2", "--replicas", "3", "--weights", "bf16", "--cache", "bf16"]
    lines = answer(capsys, *words)
    assert "  replicas     3 x tp 2; bf16, cache bf16" in lines
    assert "  accelerators 6" in lines
    found = as_json(capsys, *words)
    [pool] = found["pools"]
    assert (pool["count"], pool["deployment"]["tp"], pool["deployment"]["weights"]) == (
        3,
        2,
        "bf16",
    )
    assert found["ttft"]["p50"] <= found["ttft"]["p90"] <= found["ttft"]["p99"]
    shares = [line.split()[-2] for line in lines[-len(found["parts"]) :]]
    assert sum(int(share.rstrip("%")) for share in shares) == pytest.approx(100, abs=4)


def test_an_estimate_that_breaks_its_promise_is_shown_not_refused(capsys):
    heavy = ["estimate", "serve", "llama-3.1-8b", *PLACE, "--rate", "100", *LOAD[2:], *PROMISE]
    text = "\n".join(answer(capsys, *heavy))
    assert "PROMISE      BROKEN for more than 10 %" in text
    assert "FALLS BEHIND" in text
    assert "BROKEN" not in "\n".join(answer(capsys, *ESTIMATE, *PROMISE))


def test_machines_are_compared_by_what_they_need(capsys):
    load = ["--rate", "15", "--input", "4000", "--output", "20", "--ttft", "1s"]
    words = ["compare", "serve", "llama-3.1-8b", "a100", "h200", *load]
    lines = answer(capsys, *words)
    assert lines[0].split()[:2] == ["accelerator", "needed"]
    assert "H200" in lines[1]  # the fewest accelerators come first
    fewer, more = (int(re.split(r"  +", line)[1]) for line in lines[1:3])
    assert fewer < more


def test_machines_side_by_side_say_how_sure_they_are(capsys):
    words = ["compare", "serve", "llama-3.1-8b", "h100", "h200", *LOAD]
    text = "\n".join(answer(capsys, *words, "--by", "energy"))
    plans = as_json(capsys, *words, "--by", "energy")["plans"]
    for plan in plans:
        [first] = [one for one in plan["best"]["intervals"] if one["sort"] == "TTFT"]
        late = plan["best"]["ttft"]["p90"]
        account = plan["account"]
        assert f"first p90 {span(late * first['low'], late * first['high'], 's')}" in text
        assert f"{account['energy']['low']:.3g} to {account['energy']['high']:.3g} J" in text
        assert f"${account['cost']['low']:.3g} to ${account['cost']['high']:.3g}/M" in text
    best, second = (plan["account"]["energy"] for plan in plans)
    assert ("Not surely told apart by energy" in text) == (second["low"] <= best["high"])
    assert "told apart" not in "\n".join(answer(capsys, *words))
    rented = "\n".join(answer(capsys, *words, "--by", "cost", "--price", "$2/h"))
    assert "/M," not in rented.replace("g/M", "")
    assert "told apart" not in rented


def test_machines_are_ranked_by_what_a_token_takes_with_its_site(capsys):
    words = ["compare", "serve", "llama-3.1-8b", "a100-80", "h200", *LOAD]

    def accounts(*more: str) -> list[dict]:
        plans = as_json(capsys, *words, "--by", "energy", *more)["plans"]
        return [plan["account"] for plan in plans]

    found, sweden = accounts(), accounts("--region", "sweden")
    energies = [one["energy"]["middle"] for one in found]
    assert energies == sorted(energies)
    for here, there in zip(found, sweden, strict=True):
        assert there["carbon"]["middle"] < 0.3 * here["carbon"]["middle"]
        assert there["energy"]["middle"] == pytest.approx(here["energy"]["middle"], rel=0.1)
    rented = as_json(capsys, *words, "--by", "cost", "--price", "$2/h")["plans"]
    costs = [plan["best"]["cost"] for plan in rented]
    assert costs == sorted(costs)
    assert "did you mean" in refusal(capsys, 2, *words, "--region", "swedn")


def test_a_machine_that_cannot_is_named_beside_those_that_can(capsys):
    words = ["compare", "serve", "llama-3.1-70b", "h200", "rtx4090", *LOAD, "--accelerators", "2"]
    text = "\n".join(answer(capsys, *words))
    assert "rtx4090: llama-3.1-70b in fp8 does not fit 2 x nv-rtx4090" in text
    found = as_json(capsys, *words)
    assert [machine for machine, _ in found["refused"]] == ["rtx4090"]
    [plan] = found["plans"]
    assert plan["question"]["cluster"]["accelerator"]["id"] == "nv-h200-sxm"
    assert plan["best"]["pools"][0]["count"] >= 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["plan", "serve", "lama-3.1-8b", *PLACE, *LOAD], "did you mean llama-3.1-8b"),
        (["plan", "serve", "llama-3.1-8b", *LOAD], "name the machine"),
        (["plan", "serve", *PLACE, *LOAD], "model is missing"),
        (["plan", "serve", "llama-3.1-8b", *PLACE, "--rate", "5", "--input", "9"], "--output"),
        ([*PLAN, "--cluster", "meta-24k"], "both name the machine"),
        ([*PLAN, "--engine", "vlm"], "did you mean vllm"),
        ([*PLAN, "--engine", "vllm-tpu"], "vLLM on TPU runs on Google"),
        ([*PLAN, "--weights", "fp9"], "no format called 'fp9': did you mean fp8"),
        ([*PLAN, "--cache", "fp4"], "--cache is 'fp4', but must be bf16 or fp8"),
        ([*PLAN, "--objective", "speed"], "accelerators"),
        ([*PLAN, "--split", "maybe"], "auto"),
        ([*PLAN, "--percentile", "0"], "--percentile is 0"),
        ([*PLAN, "--percentile", "100"], "--percentile is 100"),
        ([*PLAN, "--percentile", "most"], "--percentile"),
        ([*PLAN, "--spread", "-1"], "--spread is -1"),
        ([*PLAN, "--ttft", "1"], "--ttft: '1' has no unit"),
        ([*PLAN, "--tpot", "0ms"], "--tpot is '0ms', but must be above 0"),
        ([*PLAN, "--price", "free"], "--price is 'free', but must be dollars an hour"),
        ([*PLAN, "--accelerators", "0"], "--accelerators is '0'"),
        (["plan", "serve", "llama-3.1-8b", *PLACE, "--rate", "0", *LOAD[2:]], "--rate is '0'"),
        (["plan", "serve", "llama-3.1-8b", *PLACE, "--rate=-5", *LOAD[2:]], "--rate is '-5', but"),
        (["plan", "serve", "llama-3.1-8b", "--accelerator", "h1000", *LOAD], "did you mean h100"),
        (["plan", "serve", "llama-3.1-8b", "--accelerator", "enflame-t20", *LOAD], "bandwidth of"),
        ([*PLAN, "extra"], "nothing takes the word 'extra' here"),
        ([*ESTIMATE, "--tp", "0"], "tp is 0, but must be 1 or more"),
        ([*ESTIMATE, "--tp", "1.5"], "--tp is '1.5', but must be a whole number"),
        ([*ESTIMATE, "--replicas", "-1"], "replicas is -1"),
        ([*ESTIMATE, "--tp", "2", "--ep", "3"], "ep 3 does not divide the tp(2) * dp(1) ranks"),
        (["compare", "serve", "llama-3.1-8b", "h100", *LOAD], "name two accelerators or more"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(words, said, capsys):
    assert said in refusal(capsys, 2, *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*PLAN, "--tpot", "100us"], "the best reachable is"),
        ([*PLAN, "--ttft", "1ms"], "a prompt of 1,000 tokens takes"),
        (
            ["plan", "serve", "deepseek-v3", *PLACE, *LOAD, "--accelerators", "2"],
            "does not fit 2 x",
        ),
        (["plan", "serve", "llama-3.1-8b", *LONG, "--accelerators", "1"], "does not fit beside"),
        (["estimate", "serve", "deepseek-v3", *PLACE, *LOAD, "--tp", "2"], "does not fit 2 x"),
    ],
)
def test_what_cannot_be_served_is_one_line_and_exit_code_3(words, said, capsys):
    assert said in refusal(capsys, 3, *words)


def test_a_catalogue_file_that_is_not_there_is_exit_code_4(capsys):
    code, out, err = ask(capsys, *PLAN, "--catalogue", "nowhere.toml")
    assert (code, out) == (4, "")
    assert "nowhere.toml: no such file" in err


def test_an_engine_of_one_s_own_is_planned_with(capsys, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        '[[inference]]\nid = "mine"\nname = "My engine"\nkernels = ["vllm"]\nstep_time = 0.05\n'
        'entry_time = 0.0\nchecked = 2026-01-01\nsource = "measured"\n'
    )
    words = [*ESTIMATE, "--engine", "mine", "--catalogue", str(own)]
    assert answer(capsys, *words)[0].endswith("My engine")
    assert as_json(capsys, *words)["tpot"]["p50"] > 0.05


@pytest.mark.parametrize("verb", ["plan", "estimate", "compare"])
def test_help_names_what_can_be_said(verb, capsys):
    text = " ".join(" ".join(answer(capsys, verb, "serve", "--help")).split())
    for option in ("--rate", "--input", "--output", "--ttft", "--tpot", "--percentile", "--engine"):
        assert option in text


def test_shares_may_be_per_cent(capsys):
    asked = ["estimate", "serve", "llama-3.1-8b", "--accelerator", "h100", "--rate", "5"]
    asked += ["--input", "1000", "--output", "100", "--json"]
    answers = []
    for share in ("90%", "0.9"):
        assert main([*asked, "--memory-share", share]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1]
    assert main([*asked, "--spread", "half"]) != 0
    assert "--spread is 'half', but must be a share, such as 0.9 or 90%" in capsys.readouterr().err
