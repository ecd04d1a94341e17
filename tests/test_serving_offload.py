"""A question that a device answers, or sends to a cluster."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clusterwright.asking_serving import ask_serving, offered
from clusterwright.cli import main
from clusterwright.errors import InputError
from clusterwright.planner_serving import deployment_of, estimate_serving, with_offload
from clusterwright.serving.handheld import Offload


def sent(price: Any = None, **load: Any) -> Offload:
    question = ask_serving("llama-3.2-1b", device="metavertu", **load)
    found = estimate_serving(question, deployment_of(question))
    cluster = offered("llama-3.1-8b@h100", question, price=price)
    other = with_offload(question, found, cluster).offload
    assert other is not None
    return other


def test_text_goes_up_and_down_and_the_network_takes_its_time():
    other = sent(prompt=500, output=100)
    assert (other.up, other.down) == (2000.0, 400.0)
    assert other.first > other.round_trip == 0.04
    assert other.whole < other.own_whole


def test_the_device_saves_what_its_processor_takes():
    other = sent()
    assert other.radio_energy.high < other.own_energy.low
    # The power of the device, for as long as it would compute.
    assert other.own_energy.low == pytest.approx(3.0 * other.own_whole)
    assert other.radio_energy.high == pytest.approx(1.29 * other.whole)


def test_the_longer_the_prompt_the_more_a_cluster_is_ahead():
    short, long = sent(prompt=100), sent(prompt=1000)
    assert long.own_first - long.first > 2.0 * (short.own_first - short.first) > 0.0


def test_an_answer_costs_what_its_tokens_do():
    assert sent().cost is None
    two, four = (sent(price).cost for price in ("$2", "$4"))
    assert four == pytest.approx(2 * two)
    assert 0.0 < two < 0.01


def test_commands_show_and_encode_both(capsys):
    command = ["estimate", "serve", "llama-3.2-1b", "--device", "metavertu", "--offload",
               "llama-3.1-8b@h100"]  # fmt: skip
    assert main(command) == 0
    assert "kB of text up" in capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out)["offload"]["round_trip"] == 0.04


@pytest.mark.parametrize("text", ["h100", "llama-3.1-8b@", "@h100", ""])
def test_an_offload_needs_a_model_and_an_accelerator(text):
    with pytest.raises(InputError, match="needs a model and an accelerator"):
        offered(text, ask_serving("llama-3.2-1b", device="metavertu"))


def test_only_a_device_sends_its_questions():
    question = ask_serving("llama-3.1-8b", accelerator="h100", rate=1, prompt=100, output=10)
    found = estimate_serving(question, deployment_of(question))
    with pytest.raises(InputError, match="give --device"):
        with_offload(question, found, question)
