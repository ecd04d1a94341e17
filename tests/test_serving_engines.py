"""What engines are documented to do, seen in the steps of models that it concerns."""

from __future__ import annotations

import numpy as np
import pytest
from serving_cases import STATIC, server

from clusterwright.facts import shipped
from clusterwright.inference import Deployment
from clusterwright.serving.capacity import memory_of
from clusterwright.serving.layers import attention_costs
from clusterwright.validation.serving.questions import ServeLookup, question_of
from clusterwright.validation.serving.rows import ServeRun

KNOWN = ServeLookup(shipped())
SEQUENCES, CONTEXT = np.array([64.0]), np.array([1000.0])


def attention(model: str, engine: str) -> float:
    served = server(model, "h100", engine).served(Deployment(tp=4))
    return float(attention_costs(served, SEQUENCES, CONTEXT)[0])


def test_before_xqa_heads_that_share_keys_read_each_its_own():
    assert attention("llama-2-70b", "trtllm-2023") > 2.0 * attention("llama-2-70b", "trtllm")
    assert attention("llama-2-7b", "trtllm-2023") == attention("llama-2-7b", "trtllm")


@pytest.mark.parametrize(
    ("words", "date", "vendor", "found"),
    [
        ("TensorRT-LLM", "2023-11", "NVIDIA", "trtllm-2023"),
        ("TensorRT-LLM", "2023-12", "NVIDIA", "trtllm"),
        ("llama.cpp", "2024-05", "NVIDIA", "llama-cpp-2024"),
        ("llama.cpp", "2025-01", "NVIDIA", "llama-cpp"),
        ("llama.cpp", "", "Apple", "llama-cpp"),
    ],
)
def test_a_run_is_of_its_engines_era(words, date, vendor, found):
    run = ServeRun(**{**STATIC, "line": 1, "engine": words, "date": date, "config_complete": True})
    assert KNOWN.engine_of(run, vendor).id == found


@pytest.mark.parametrize(
    ("version", "date", "found"),
    [
        ("1.0.0rc3", "", "trtllm-pytorch"),
        ("1.2.0rc6", "2026-01", "trtllm-pytorch-2025"),
        ("0.19.0", "2025-05", "trtllm"),
    ],
)
def test_a_version_tells_the_engine_where_no_date_does(version, date, found):
    said = {"engine": "TensorRT-LLM", "engine_version": version, "date": date}
    run = ServeRun(**{**STATIC, "line": 1, **said, "config_complete": True})
    assert KNOWN.engine_of(run, "NVIDIA").id == found


def test_a_row_said_to_be_without_the_kernel_is_taken_so():
    row = {**STATIC, "line": 1, "config_complete": True, "disaggregated": False}
    run = {**row, "source": "trtllm-xqa", "engine": "TensorRT-LLM", "date": "2024-01"}
    asked = [
        question_of(ServeRun(**{**run, "notes": notes}), KNOWN).engine.shared_keys
        for notes in ("without XQA kernel", "with XQA kernel")
    ]
    assert asked == [False, True]


def test_what_an_engine_reserves_is_taken_from_the_cache():
    usual = server("llama-3.1-8b", "h100", "vllm").served(Deployment())
    small = server("llama-3.1-8b", "h100", "llama-cpp").served(Deployment())
    assert memory_of(usual, 80e9, context=1000.0).reserve == 0.7e9
    assert memory_of(small, 80e9, context=1000.0).reserve == 0.3e9
