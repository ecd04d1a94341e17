"""Pages about what lies in the folder that is served, and those that no one command answers."""

from __future__ import annotations

from clusterwright.web.forms import Field
from clusterwright.web.page import Example, Page

GROUP = "Saved"
PLANS, STUDIES = "plan files", "study files"
TRAINING, SERVING = "training files", "serving files"
"""Kinds of files that a field may name."""
ONE_PLAN = Field(name="plan", option="", help="A plan of this folder.", required=True, names=PLANS)
ONE_STUDY = Field(
    name="study", option="", help="The answers of a study.", required=True, names=STUDIES
)

SAVED = (
    Page(
        path="/saved",
        group=GROUP,
        title="Plans and studies",
        about="What lies in the folder that is served, and in its folders: the newest first.",
        view="saved:listing",
        source="saved:listing",
        command="",
        at_once=True,
    ),
    Page(
        path="/launch",
        group=GROUP,
        title="Launch a plan",
        about="The files that start a plan on a real tool, to read and to take along.",
        view="saved:launch",
        source="saved:launch",
        open=("plan", "to", "on", "name"),
        files={"plan": PLANS},
        hidden=("folder", "overwrite"),
        choices={
            "to": ("launch.api:TRAINERS", "launch.api:SERVERS"),
            "on": ("launch.places:PLACES",),
        },
    ),
    Page(
        path="/saved/plan",
        group=GROUP,
        title="A saved plan",
        about="What was saved, as it was.",
        view="saved:plan",
        source="saved:plan",
        open=("plan",),
        command="",
        fields=(ONE_PLAN,),
        listed=False,
    ),
    Page(
        path="/saved/study",
        group=GROUP,
        title="A study",
        about="What came of a study, or what has come of it so far.",
        view="saved:study",
        source="saved:study",
        open=("study",),
        command="",
        fields=(ONE_STUDY,),
        listed=False,
    ),
)

POWER = Page(
    path="/simulate/power",
    group="Running",
    title="Power over time",
    about="What the grid sees of a saved plan: swings, ramps, what would smooth them.",
    view="places:power",
    open=("plan", "seconds", "floor", "storage", "ramp"),
    files={"plan": TRAINING},
)

ACCURACY = Page(
    path="/accuracy",
    group="Facts",
    title="Accuracy",
    about="Predicted against measured: how sure the numbers are.",
    view="accuracy:published",
    source="sources:accuracy",
    command="",
    at_once=True,
)

ACCURACY_OF_SERVING = Page(
    path="/accuracy/serving",
    group="Facts",
    title="Accuracy of serving",
    about="Predicted against measured: times to and per token, throughput.",
    view="accuracy:serving",
    source="sources:accuracy_of_serving",
    command="",
    at_once=True,
)

LOAD_CURVE = Page(
    path="/estimate/serve/curve",
    group="Serving",
    title="Load curve",
    about="One given deployment from idle to saturation: what users wait at each load.",
    view="serving:curve",
    source="sources:curve",
    command="estimate serve",
    open=("model", "accelerator", "rate", "input", "output", "ttft", "tpot", "tp", "replicas"),
    hidden=("users", "offload", "device", "requests"),
    examples=(
        Example(
            title="Llama 3.1 70B, tp 8, two replicas",
            query={
                "model": "llama-3.1-70b",
                "accelerator": "h100",
                "rate": "20/s",
                "input": "1000",
                "output": "300",
                "ttft": "1s",
                "tpot": "50ms",
                "tp": "8",
                "replicas": "2",
            },
        ),
    ),
)
