"""Every launch for vLLM is read by its own parser, and says what the plan says."""

from __future__ import annotations

from pathlib import Path

import pytest
from against import vllm_reader
from serving_launch_cases import checkpoint, handed_over, launched

pytestmark = [
    pytest.mark.against,
    pytest.mark.skipif(not vllm_reader.present(), reason=vllm_reader.WHY),
]
