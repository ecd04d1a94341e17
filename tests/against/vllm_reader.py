"""vLLM's own parser and configuration, without a GPU and without its compiled parts."""

from __future__ import annotations

import contextlib
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(sys.prefix) / "vllm-python"
WHY = f"vLLM's Python files are not in {FOLDER} (tests/against/fetch_servers.py fetches them)"


def present() -> bool:
    """Whether its files are there."""
    return (FOLDER / "vllm").is_dir()


@cache
def parser() -> Any:
    """The parser of ``vllm serve``; the platform is fixed first, as it would look for a driver."""
    sys.path.insert(0, str(FOLDER))
    os.environ["VLLM_LOGGING_LEVEL"] = "CRITICAL"
    os.environ["VLLM_NO_USAGE_STATS"] = "1"
    import vllm.platforms
    from vllm.platforms.cpu import CpuPlatform

    vllm.platforms._current_platform = CpuPlatform()
    from vllm.entrypoints.common.cli_args import make_arg_parser
    from vllm.model_executor.models import registry
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    # It looks at each kind of model in a process of its own, lest that should touch a GPU.
    registry._run_in_subprocess = lambda look: look()
    return make_arg_parser(FlexibleArgumentParser(prog="vllm serve"))


def parsed(words: list[str], folder: Path) -> Any:
    """What ``vllm serve …`` reads; ``folder``: where ``serve.yaml`` lies."""
    assert words[0] == "serve"
    reading = parser()
    with contextlib.chdir(folder):
        # `serve` names its model before all options, which other entrances call --model.
        return reading.parse_args(["--model", *words[1:]])


def configured(words: list[str], folder: Path) -> Any:
    """The whole configuration that vLLM makes of these words, and checks.

    Weights are not loaded and there is no tokenizer, so both are left out.
    """
    read = parsed(words, folder)
    from vllm.engine.arg_utils import AsyncEngineArgs

    read.skip_tokenizer_init = True
    read.load_format = "dummy"
    made = AsyncEngineArgs.from_cli_args(read)
    return made.create_engine_config(headless=read.headless)
