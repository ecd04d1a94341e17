"""A model on a phone, laptop or desktop: rates first and hot, energy, battery, memory."""

from __future__ import annotations

import msgspec
import pytest
from serving_cases import asked

from clusterwright.asking_serving import ask_serving
from clusterwright.errors import InfeasibleError, InputError, UnknownNameError
from clusterwright.facts import device_named, shipped
from clusterwright.inference import Deployment
from clusterwright.planner_serving import deployment_of, estimate_serving, plan_serving
from clusterwright.report.serving_text import estimate_text
from clusterwright.serving.handheld import Handheld
from clusterwright.serving.plan import ServingEstimate, ServingQuestion

DEVICES = tuple(shipped().entries("devices"))
KIND = {name: device_named(shipped(), name).kind for name in DEVICES}
GIB = 2.0**30


def question_of(model: str = "llama-3.2-1b", device: str = "metavertu", **more) -> ServingQuestion:
    return ask_serving(model, device=device, **more)


def held(question: ServingQuestion) -> tuple[ServingEstimate, Handheld]:
    found = estimate_serving(question, deployment_of(question))
    assert found.handheld is not None
    return found, found.handheld


def test_one_user_asks_a_device_unless_told_otherwise():
    question = question_of()
    assert (question.workload.users, question.workload.rate) == (1, 0.0)
    assert (question.workload.prompt, question.workload.output) == (512.0, 128.0)
    assert {"512 tokens in", "128 tokens out"} <= set(question.assumed)
    told = question_of(prompt=100, output=20, users=2)
    assert (told.workload.users, told.workload.prompt) == (2, 100.0)


@pytest.mark.parametrize("model", ["llama-3.2-1b", "qwen2.5-1.5b", "llama-3.2-3b"])
def test_a_snapdragon_8_gen_1_is_within_what_phones_were_published_to_do(model):
    _, one = held(question_of(model))
    # Snapdragon 865, llama.cpp: 16.8 tokens/s of 1.5B and 5.5 of 3B in 16 bits; 1.5B in 4 bits on
    # phones of 2024 to 2026: 10 to 40. Never above what its bandwidth allows.
    assert 5.0 <= one.answer_rate <= 40.0
    # Energy of phones' processors: 0.042 to 0.143 mAh a token at 3.85 V is 0.58 to 1.98 J; the
    # whole literature has 0.1 to 2.
    assert 0.1 <= one.energy.low <= one.energy.high <= 2.0
    assert one.battery_share is not None
    assert one.battery_share.high < 0.05


def test_heat_only_slows_and_parts_are_as_defined():
    found, one = held(question_of())
    device = device_named(shipped(), "metavertu")
    assert one.answer_rate == pytest.approx(1.0 / found.tpot.mean, rel=1e-6)
    assert one.hot_answer_rate.low == pytest.approx(device.sustained_share.low * one.answer_rate)
    assert one.hot_prompt_rate.high == pytest.approx(device.sustained_share.high * one.prompt_rate)
    assert one.hot_answer_rate.high < one.answer_rate
    assert one.battery_share is not None
    assert device.battery is not None
    assert one.battery_share.high == pytest.approx(1000.0 * one.energy.high / device.battery)


def test_a_wider_format_reads_more_and_is_slower():
    _, four = held(question_of())
    _, sixteen = held(question_of(weights="bf16"))
    assert sixteen.answer_rate < four.answer_rate


def test_what_no_app_may_take_is_refused():
    with pytest.raises(InfeasibleError, match=r"does not fit 1 x soc-sd8g1-cpu.* smaller model or"):
        held(question_of("llama-3.1-70b"))


def test_what_fits_only_the_most_that_an_app_may_take_is_said_so():
    found, one = held(question_of("llama-3.1-8b", "galaxy-s22"))
    assert one.app_memory.low < found.memory.weights < one.app_memory.high
    # ExecuTorch runs it on this phone at 7.85 to 8.4 tokens/s.
    assert "IF THE SYSTEM LETS IT" in estimate_text(
        question_of("llama-3.1-8b", "galaxy-s22"), found
    )
    small, _ = held(question_of("llama-3.2-1b", "galaxy-s22"))
    assert "memory       fits the" in estimate_text(
        question_of("llama-3.2-1b", "galaxy-s22"), small
    )


@pytest.mark.parametrize("name", DEVICES)
def test_every_device_runs_a_small_model_no_faster_than_its_memory_is_read(name):
    question = question_of("llama-3.2-1b", name)
    found, one = held(question)
    bandwidth = question.cluster.accelerator.memory_bandwidth
    assert bandwidth is not None
    assert 5.0 < one.answer_rate < bandwidth / found.memory.weights


@pytest.mark.parametrize("name", DEVICES)
def test_what_stands_in_is_of_the_kind_of_the_device(name):
    question = question_of("llama-3.2-1b", name)
    found, one = held(question)
    said = estimate_text(question, found)
    others = {"phone", "laptop", "desktop"} - {KIND[name]}
    assert question.device is not None
    assert not [words for words in question.device.assumed for other in others if other in words]
    assert question.engine.id.startswith("llama-cpp")
    assert "weights: q4-k-m" in question.assumed
    if KIND[name] == "desktop":
        assert (one.battery_share, one.hot_answer_rate.low) == (None, one.answer_rate)
        assert " hot" not in said.split("\n\n")[1]
    else:
        assert one.hot_answer_rate.low < one.answer_rate


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("pixel-9-pro", 0.37 * 16.0, 0.75 * 16.0),
        ("macbook-air-m3", 0.67 * 16.0, 0.84 * 16.0),
        ("mac-mini-m4", 0.67 * 16.0, 0.84 * 16.0),
        ("laptop-ryzen-ai-max-395", 64.0, 96.0),
        ("framework-desktop-395", 0.49 * 128.0, 0.94 * 128.0),
        ("dgx-spark", 102.0, 121.0),
        ("laptop-rtx-4090", 16.0, 16.0),
    ],
)
def test_what_an_app_may_take_depends_on_the_system(name, least, most):
    app = device_named(shipped(), name).app_memory
    assert (app.low / GIB, app.high / GIB) == pytest.approx((least, most))


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("mac-mini-m4", 20.87),
        ("macbook-pro-14-m4-pro", 46.6),
        ("dgx-spark", 36.1),
        ("laptop-rtx-4060", 47.2),
        ("laptop-rtx-4070", 48.1),
        ("framework-desktop-395", 42.0),
    ],
)
def test_models_of_8b_run_within_a_factor_of_two_of_what_was_published(name, published):
    # llama.cpp and Ollama in 4 bits: normiebench #3 and #4, llmfit #958 and its table,
    # theaibench.ai; models are Llama 3.1 8B, or as large (Nemotron Nano, Granite).
    _, one = held(question_of("llama-3.1-8b", name))
    assert 0.5 * published < one.answer_rate < 2.0 * published


def test_a_laptop_is_refused_in_words_that_fit_it():
    with pytest.raises(InfeasibleError, match=r"1 x nv-rtx4060-laptop.* take a smaller model or"):
        held(question_of("llama-3.1-70b", "laptop-rtx-4060"))


def test_a_laptop_that_does_not_say_what_its_gpu_gets_is_refused(tmp_path):
    own = tmp_path / "mine.toml"
    own.write_text(
        '[[device]]\nid = "mine"\nname = "Mine"\nvendor = "Me"\nkind = "laptop"\n'
        'accelerator = "soc-m3-gpu"\nmemory = "16 GiB"\n'
    )
    with pytest.raises(InputError, match="'mine' has no `app_memory`: add it, or its `system`"):
        device_named(shipped().with_files([own]), "mine")


def test_a_battery_that_nobody_published_stays_blank():
    assert device_named(shipped(), "oneplus-12").battery is None
    _, one = held(question_of(device="oneplus-12"))
    assert one.battery_share is None


@pytest.mark.parametrize("name", DEVICES)
def test_every_device_names_what_stands_in_for_its_blanks(name):
    entry, device = shipped().entry("devices", name), device_named(shipped(), name)
    blank = [key for key in ("power", "sustained_share") if entry.figure(key) is None]
    blank += ["app"] * (entry.figure("app_memory") is None)
    assert len(device.assumed) == len(blank)
    assert 0.0 < device.app_memory.low <= device.app_memory.high


def test_an_estimate_with_a_device_is_read_back_as_it_was_saved():
    found, _ = held(question_of())
    assert msgspec.json.decode(msgspec.json.encode(found), type=ServingEstimate) == found


def test_users_who_wait_are_answered_by_data_centres_too():
    one = estimate_serving(asked(rate=None, users=1), Deployment())
    many = estimate_serving(asked(rate=None, users=32), Deployment())
    assert one.concurrency == pytest.approx(1.0, rel=0.05)
    assert many.concurrency == pytest.approx(32.0, rel=0.1)
    assert many.output_rate > 4.0 * one.output_rate
    assert many.tpot.mean > one.tpot.mean


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"device": "metaverto"}, UnknownNameError, "did you mean metavertu"),
        ({"accelerator": "h100"}, InputError, "--device names the machine: leave out"),
        ({"rate": 1, "users": 1}, InputError, "--rate and --users both say how much"),
        ({"users": 0}, InputError, "--users"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, error, said):
    with pytest.raises(error, match=said):
        question_of(**changes)


def test_a_plan_needs_a_rate():
    with pytest.raises(InputError, match="a plan needs requests a second, such as --rate 500/s"):
        plan_serving(question_of())
