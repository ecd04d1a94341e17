"""``clusterwright calibrate``: fits of kernels; the other ways are in files beside."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from clusterwright.asking import catalogue_with
from clusterwright.calibrate import residuals, writing
from clusterwright.calibrate.api import fit_kernels
from clusterwright.cli.answers import Answer
from clusterwright.cli.calibrate_measure import measure_command
from clusterwright.cli.calibrate_runs import intervals_command, stacks_command
from clusterwright.cli.calibrate_serving import serving_command

app = App(
    name="calibrate",
    help="Measure this machine; fit kernels, frameworks and intervals to what was measured.",
)
app.command(stacks_command, name="stacks")
app.command(intervals_command, name="intervals")
app.command(serving_command, name="serving")
app.command(measure_command, name="measure")


@app.command(name="fit")
def fit_command(
    table: Path,
    /,
    *,
    kind: str,
    accelerator: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    source: str = "",
    out: Path | None = None,
    report: Path | None = None,
    catalogue: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    json: Annotated[bool, Parameter(negative=())] = False,
) -> Answer:
    """Fit the parameters of a kind of kernel, by engine and precision, to measured times.

    Parameters
    ----------
    table
        A Parquet or CSV file: system, framework, latency_us and the columns of the kind.
    kind
        What the kernels do: gemm, attention_prefill, attention_decode, latent_decode or experts.
    accelerator
        Only this accelerator of the table (may be repeated).
    source
        Where the measurements come from [default: the file's name].
    out
        Write the fitted kernels to this TOML, a catalogue file of one's own.
    report
        Write the residuals, as printed, to this file.
    catalogue
        A catalogue file of one's own (may be repeated).
    json
        Print the residuals as JSON.
    """
    facts = catalogue_with(catalogue)
    found = fit_kernels(table, kind, accelerators=accelerator, catalogue=facts, source=source)
    text = residuals.as_text(found.residuals) + "".join(
        f"not fitted: {why}\n" for why in found.skipped
    )
    if out:
        today = dt.datetime.now(tz=dt.UTC).date().isoformat()
        origin = source or table.name
        toml = writing.as_toml(found.kernels, source=origin, confidence="A", checked=today)
        out.write_text(toml, encoding="utf-8")
    if report:
        report.write_text(text, encoding="utf-8")
    return Answer(found.residuals, lambda: text, json=json)
