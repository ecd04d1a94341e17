"""torchtitan's own reading of a recipe: its configuration manager, on a machine without a GPU.

Converters to 8 bits ask the device for its generation; a stand-in answers as a Blackwell does.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

SAID = {
    "TOKENIZER": "tokenizer",
    "DATASET": "c4",
    "OUTPUTS": "outputs",
    "SAVE_INTERVAL": "1000",
    "LR": "3e-4",
    "WARMUP": "200",
    "PROFILE_EVERY": "1000",
}


def read(folder: Path, module: str) -> Any:
    """What `ConfigManager` makes of the recipe in a folder; raises what it raises."""
    from torchtitan.components.quantization import float8, mx, nvfp4
    from torchtitan.config import ConfigManager

    for room in (float8, mx, nvfp4):
        room.has_cuda_capability = lambda *_: True
    os.environ |= SAID
    sys.modules.pop(module, None)
    importlib.invalidate_caches()
    sys.path.insert(0, str(folder))
    try:
        return ConfigManager().parse_args(["--module", module, "--config", "train"])
    finally:
        sys.path.remove(str(folder))
