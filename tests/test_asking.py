"""From what a person types to a question: every mistake gets one sentence and a mend."""

from __future__ import annotations

import json

import pytest
from training_cases import LLAMA, dense

from clusterwright.asking import ask_training, default_batch_tokens, whole_number
from clusterwright.errors import ConfigError, InputError, UnitError, UnknownNameError
from clusterwright.training.pins import parse_pins
from clusterwright.training.plan import TrainingQuestion

MODEL = "llama-3.1-8b"
HERE = {"accelerator": "h100", "accelerators": 8}


def ask(model=MODEL, **given) -> TrainingQuestion:
    return ask_training(model, **{**HERE, **given})


WRONG = {
    "model": (
        {"model": "lama-3.1-8b"},
        UnknownNameError,
        "'lama-3.1-8b': did you mean llama-3.1-8b",
    ),
    "model of another size": ({"model": "llama-3.1-9b"}, UnknownNameError, "did you mean"),
    "config.json": ({"model": "nowhere/config.json"}, ConfigError, "no such file; name a config"),
    "accelerator": ({"accelerator": "h1000"}, UnknownNameError, "did you mean .*h100"),
    "cluster": (
        {"accelerator": None, "cluster": "meta-24"},
        UnknownNameError,
        "did you mean meta-24k",
    ),
    "software": ({"software": "megatorn-core"}, UnknownNameError, "did you mean megatron-core"),
    "two machines": ({"cluster": "meta-24k"}, InputError, "both name the machine; give one"),
    "no machine": ({"accelerator": None}, InputError, "name the machine: --cluster"),
    "no number": ({"accelerators": None}, InputError, "give --accelerators, such as 64"),
    "none": ({"accelerators": 0}, InputError, "--accelerators is '0'.*at least 1"),
    "fewer than none": ({"accelerators": "-8"}, UnitError, "negative"),
    "half": ({"accelerators": "2.5"}, InputError, "must be a whole number"),
    "words": ({"accelerators": "many"}, UnitError, "'many' is not a quantity"),
    "too many": (
        {"accelerator": None, "cluster": "meta-24k", "accelerators": 10**6},
        InputError,
        "has 24,576 accelerators, not 1,000,000: ask for that many or fewer",
    ),
    "tokens": ({"tokens": "15.6X"}, UnitError, "unknown unit 'X'.*15.6T"),
    "tokens with a unit": ({"tokens": "15 GB"}, UnitError, "a plain count"),
    "no tokens": ({"tokens": "0"}, InputError, "--tokens is '0'"),
    "comma of another country": ({"tokens": "1,5T"}, UnitError, "'1,5T'"),
    "sequence": ({"sequence_length": "0"}, InputError, "--seq-len is '0'"),
    "no sequence": ({"sequence_length": 0}, InputError, "--seq-len is '0'"),
    "batch": ({"batch_tokens": "0"}, InputError, "--batch-tokens is '0'"),
    "sequences": ({"batch_sequences": "1.5"}, InputError, "--batch-sequences is '1.5'"),
    "both batches": (
        {"batch_tokens": "4M", "batch_sequences": "64"},
        InputError,
        "say the same; give one",
    ),
    "pin of nothing": ({"pins": {"tp": 0}}, InputError, "tp=0: .*at least 1"),
    "pin of a stage": ({"pins": {"zero": 4}}, InputError, "zero=4: choose from 0, 1, 2, 3"),
    "pin of experts": ({"pins": {"ep": 8}}, InputError, "has no experts"),
    "pin of layers": ({"pins": {"recompute_layers": 99}}, InputError, "has 32 layers in all"),
    "no model": ({"model": " "}, InputError, "the model has no name: give one, such as llama"),
    "more than there are": ({"accelerators": "1e30"}, InputError, "can be 100,000,000 at most"),
    "endless batch": ({"batch_tokens": "1e18"}, InputError, "--batch-sequences.*at most"),
    "endless sequence": ({"sequence_length": "1e12"}, InputError, "--seq-len.*at most"),
    "unit of the count": ({"accelerators": "8 GB"}, UnitError, "--accelerators: '8 GB' is a mem"),
    "no rank": ({"method": "lora", "lora_rank": 0}, InputError, "--lora-rank is 0, but must be 1"),
    "rank above all": ({"lora_rank": 10**6}, InputError, "must be 1 to 4096"),
    "fp8 without it": (
        {"accelerator": "a100", "precision": "fp8"},
        InputError,
        "nv-a100-80-sxm has no published fp8 rate .*leave out --precision fp8",
    ),
    "fp4 without it": ({"precision": "nvfp4"}, InputError, "has no published fp4 rate"),
    "pins at odds": (
        {"pins": {"recompute": "none", "recompute_layers": 4}},
        InputError,
        "needs recompute=full",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_every_mistake_gets_one_sentence_and_a_mend(mistake):
    given, kind, said = WRONG[mistake]
    with pytest.raises(kind, match=said) as caught:
        ask(**given)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 320
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("pin", "kind", "said"),
    [
        ("tp", InputError, "should be name=value, such as --pin tp=8"),
        ("tp=", InputError, "should be name=value"),
        ("=8", InputError, "should be name=value"),
        ("tpp=8", InputError, "a strategy has no 'tpp'; did you mean tp"),
        ("tp=eight", InputError, "tp=eight: write a whole number, such as tp=8"),
        ("tp=-8", InputError, "write a whole number"),
        ("tp=²", InputError, "write a whole number"),
        ("tp=" + "9" * 20, InputError, "write a whole number"),
        ("recompute=ful", InputError, "did you mean full"),
        ("schedule=xyzzy", InputError, "choose from 1f1b, interleaved"),
        ("overlap_tp=maybe", InputError, "write true or false"),
    ],
)
def test_a_wrong_pin_is_named(pin, kind, said):
    with pytest.raises(kind, match=said):
        parse_pins([pin])


def test_pins_are_read_by_the_kind_of_their_field():
    given = ["tp=8", "recompute=full", "overlap-tp=on", "sequence_parallel=false", " pp = 4"]
    assert parse_pins(given) == {
        "tp": 8,
        "recompute": "full",
        "overlap_tp": True,
        "sequence_parallel": False,
        "pp": 4,
    }


@pytest.mark.parametrize(
    ("given", "meant"),
    [("16384", 16384), ("16,384", 16384), ("16k", 16000), (16384, 16384), (4e6, 4_000_000)],
)
def test_counts_are_read_as_people_write_them(given, meant):
    assert whole_number(given, "--accelerators") == meant


def test_numbers_do_as_well_as_words():
    words = ask(tokens="15.6T", sequence_length="8192", batch_tokens="4,194,304")
    numbers = ask(tokens=15.6e12, sequence_length=8192, batch_tokens=4194304)
    assert words == numbers
    assert words.workload.tokens == 15.6e12


def test_a_batch_that_is_no_multiple_of_the_sequence_is_rounded_and_said():
    question = ask(sequence_length="8192", batch_tokens="1M")
    assert question.workload.global_batch == 122
    assert "122 sequences x 8,192 = 999k tokens, the nearest to 1M" in " ".join(question.assumed)


def test_what_is_filled_in_is_listed():
    question = ask()
    said = " ".join(question.assumed)
    assert "sequence length 8,192" in said
    assert "batch of" in said
    told = ask(sequence_length="8192", batch_sequences="64")
    assert "sequence length" not in " ".join(told.assumed)
    assert told.workload.global_batch == 64


def test_the_machine_says_what_it_assumes():
    assert set(ask().cluster.assumed) <= set(ask().assumed)


def test_a_named_cluster_and_a_part_of_it():
    whole = ask_training(MODEL, cluster="meta-24k")
    part = ask_training(MODEL, cluster="meta-24k", accelerators="16k")
    assert whole.cluster.count == 24576
    assert part.cluster.count == 16000
    assert part.cluster.levels[-1].size == 16000


def test_a_model_may_be_a_file_a_folder_or_a_record(tmp_path):
    path = tmp_path / "small" / "config.json"
    path.parent.mkdir()
    path.write_text(json.dumps(LLAMA))
    for given in (str(path), str(path.parent)):
        assert ask(given).model.num_layers == dense().num_layers
    assert ask(dense()).model is dense()


def test_a_folder_without_a_configuration_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"has no config\.json"):
        ask(str(tmp_path))


def test_the_usual_batch_grows_with_the_model():
    small, large = (
        default_batch_tokens(ask(name).model, 8192) for name in (MODEL, "llama-3.1-405b")
    )
    assert small == 2 * 2**20
    # Llama 3 405B began with 4 M tokens per step and trained most of its run with 16 M.
    assert large == 16 * 2**20
    assert default_batch_tokens(dense(), 2**20) % 2**20 == 0


def test_the_framework_sets_the_formats():
    question = ask(software="megatron-core")
    assert question.workload.gradient_bytes == question.software.gradient_bytes
    assert question.workload.state_bytes == question.software.state_bytes
    assert {group.software for group in question.intervals.groups} <= {"", "megatron-core"}


def test_a_pin_given_twice_is_refused():
    with pytest.raises(InputError, match="--pin tp is given twice"):
        parse_pins(["tp=2", "tp=4"])


def test_a_rate_that_stands_in_for_another_is_said():
    volta = ask(accelerator="v100")
    assert any("bf16 at the fp16 rate of nv-v100" in note for note in volta.assumed)
    assert any("mxfp8 at the fp8 rate" in note for note in ask(precision="mxfp8").assumed)
    assert not any("rate" in note for note in ask(precision="fp8").assumed)


def test_a_sequence_beyond_the_models_positions_is_said():
    assert any("positions extended to 262,144" in n for n in ask(sequence_length=2**18).assumed)
