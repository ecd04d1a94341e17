"""Traces of requests to language models: published formats, and a plain one of our own.

`read_trace` reads a file into a `Trace` of columns, whichever of these formats it has; `FORMATS`
names them, and each reader says where its format is described.

=============  ==================================================================================
``azure``      Azure LLM inference traces 2023 and 2024 (CSV)
``burstgpt``   BurstGPT (CSV)
``mooncake``   Mooncake FAST'25 (JSON lines), with hashes of prefix blocks
``sharegpt``   ShareGPT conversations (JSON), text without token counts or times
``plain``      our own (CSV): ``arrival_s,prompt_tokens,output_tokens[,priority]``
=============  ==================================================================================

The package ships one sample of each format in ``data/traces``, which `read_sample` reads. They are
MADE UP: 200 requests each, drawn by a small random generator in the layout of the real files, for
examples and tests. No line of them was ever measured, and no number of them says anything about
Azure, BurstGPT, Mooncake or ShareGPT.
"""

from clusterwright.traces.reading import FORMATS, read_sample, read_trace
from clusterwright.traces.trace import Trace

__all__ = ["FORMATS", "Trace", "read_sample", "read_trace"]
