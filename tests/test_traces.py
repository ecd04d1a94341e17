"""Traces of requests: each format reads to what is written in it, and says what it cannot read."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.errors import InputError, TableError
from clusterwright.traces import FORMATS, Trace, read_sample, read_trace
from clusterwright.traces.reading import SAMPLES

AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens"
BURST = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type"
BURST_8 = (
    "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total Tokens,Log Type"
)
PLAIN = "arrival_s,prompt_tokens,output_tokens,priority"


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def block_line(time: float, prompt: int, output: int, hashes: list[int]) -> str:
    record = {"timestamp": time, "input_length": prompt, "output_length": output}
    return json.dumps(record | {"hash_ids": hashes})


def talk(*turns: tuple[str, str]) -> dict[str, object]:
    return {"id": "x_0", "conversations": [{"from": who, "value": text} for who, text in turns]}


def columns(trace: Trace) -> list[tuple[float, int, int]]:
    return list(
        zip(trace.arrival.tolist(), trace.prompt.tolist(), trace.output.tolist(), strict=True)
    )


# Each format


def test_azure_of_2023_keeps_seven_digits_of_a_second(tmp_path):
    path = written(
        tmp_path / "t.csv",
        AZURE,
        "2023-11-16 23:59:59.9799601,4808,10",
        "2023-11-17 00:00:00.0319600,3180,8",
        "2023-11-17 00:01:00,110,27",
    )
    trace = read_trace(path, format="azure")
    np.testing.assert_allclose(trace.arrival, [0.0, 0.0519999, 60.0200399], rtol=0, atol=1e-11)
    assert trace.prompt.tolist() == [4808, 3180, 110]
    assert trace.output.tolist() == [10, 8, 27]
    assert trace.hash_tokens == 0
    assert trace.repeated_share is None
    assert not trace.dropped


def test_azure_of_2024_has_zones_and_sometimes_no_fraction(tmp_path):
    path = written(
        tmp_path / "t.csv",
        AZURE,
        "2024-05-10 00:00:00.009930+00:00,2162,5",
        "2024-05-10 00:00:01+00:00,2399,6",
        "2024-05-10T02:00:02.5+02:00,76,15",
        "2024-05-09 22:30:03-0130,76,15",
        "2024-05-10 00:00:04Z,76,15",
    )
    trace = read_trace(path)
    np.testing.assert_allclose(trace.arrival, np.array([0.00993, 1, 2.5, 3, 4]) - 0.00993)


@pytest.mark.parametrize("header", [BURST, BURST_8])
def test_failed_requests_of_burstgpt_are_counted_and_named(tmp_path, header):
    extra = "9f2c,7," if header == BURST_8 else ""
    path = written(
        tmp_path / "t.csv",
        header,
        f"45.0,{extra}ChatGPT,472,18,490,Conversation log",
        f"5,{extra}ChatGPT,0,0,0,API log",
        f"118.5,{extra}GPT-4,1087,230,1317,API log",
        f"120.0,{extra}GPT-4,417,0,417,API log",
    )
    trace = read_trace(path)
    assert columns(trace) == [(0.0, 472, 18), (73.5, 1087, 230)]
    assert trace.dropped == ("failed requests (0 response tokens): 2, in lines 3, 5",)
    assert trace.num_dropped == 2


def test_many_failed_requests_are_not_all_named(tmp_path):
    failed = [f"{second},ChatGPT,9,0,9,API log" for second in range(25)]
    path = written(tmp_path / "t.csv", BURST, "0,GPT-4,1,1,2,API log", *failed)
    (sentence,) = read_trace(path).dropped
    assert sentence.startswith("failed requests (0 response tokens): 25, in")
    assert sentence.endswith("lines 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 15 more")


def test_a_trace_of_failures_alone_is_refused(tmp_path):
    path = written(tmp_path / "t.csv", BURST, "0,GPT-4,1,0,1,API log")
    with pytest.raises(TableError, match=r"no requests are left \(failed requests .*: 1\)"):
        read_trace(path)


def test_mooncake_has_milliseconds_and_prefixes(tmp_path):
    path = written(
        tmp_path / "t.jsonl",
        block_line(27482, 1100, 52, [46, 47, 2353]),
        block_line(30535, 1030, 26, [46, 47, 2366]),
        block_line(30535, 600, 1, [46, 99]),
        block_line(31000, 1100, 5, [46, 47, 2353]),
        block_line(31000, 1024, 5, [7, 47]),
    )
    trace = read_trace(path)
    np.testing.assert_allclose(trace.arrival, [0.0, 3.053, 3.053, 3.518, 3.518])
    assert trace.hash_tokens == 512
    assert trace.hash_start.tolist() == [0, 3, 6, 8, 11, 13]
    assert trace.hash_ids.tolist() == [0, 1, 2, 0, 1, 3, 0, 4, 0, 1, 2, 5, 1]
    assert trace.repeated_tokens.tolist() == [0, 1024, 512, 1100, 0]
    assert trace.repeated_share == (1024 + 512 + 1100) / (1100 + 1030 + 600 + 1100 + 1024)


def test_a_block_twice_in_one_prompt_does_not_repeat_an_earlier_prompt(tmp_path):
    path = written(tmp_path / "t.jsonl", block_line(0, 1024, 1, [5, 5]))
    assert read_trace(path).repeated_share == 0.0


def test_sharegpt_is_the_first_question_with_an_answer(tmp_path):
    talks = [
        talk(("human", "a" * 9), ("gpt", "b" * 8), ("human", "c" * 99), ("gpt", "d" * 99)),
        talk(("gpt", "b" * 8)),
        talk(("gpt", "zzzz"), ("human", "a" * 4), ("gpt", "b")),
        talk(("human", ""), ("gpt", "b")),
        talk(),
    ]
    path = tmp_path / "t.json"
    path.write_text(json.dumps(talks))
    trace = read_trace(path)
    assert columns(trace) == [(0.0, 3, 2), (0.0, 1, 1)]
    assert trace.dropped == (
        "conversations without a question and an answer: 3, in entries 2, 4, 5",
    )
    assert math.isinf(trace.mean_rate)
    assert read_trace(path, characters_per_token=3.0).prompt.tolist() == [3, 2]
    assert read_trace(path, characters_per_token=0.5).output.tolist() == [16, 2]


def test_plain_reads_columns_in_any_order_and_priorities(tmp_path):
    path = written(
        tmp_path / "t.csv",
        "priority,Output_Tokens, prompt_tokens ,arrival_s",
        "-1,3,2.0,1.5",
        "",
        '"4"," 6 ",5,2e0',
    )
    trace = read_trace(path)
    assert columns(trace) == [(0.0, 2, 3), (0.5, 5, 6)]
    assert trace.priority.tolist() == [-1, 4]


def test_plain_needs_no_priorities(tmp_path):
    trace = read_trace(written(tmp_path / "t.csv", PLAIN.removesuffix(",priority"), "0,1,1"))
    assert trace.priority.tolist() == [0]


REQUEST = st.tuples(
    st.integers(0, 10**9), st.integers(1, 2**31 - 1), st.integers(1, 10**6), st.integers(-5, 5)
)


@given(requests=st.lists(REQUEST, min_size=1, max_size=30))
def test_plain_reads_back_what_was_written(requests, tmp_path_factory):
    lines = [f"{micro / 1e6!r},{p},{o},{first}" for micro, p, o, first in requests]
    path = written(tmp_path_factory.mktemp("plain") / "t.csv", PLAIN, *lines)
    trace = read_trace(path)
    expected = sorted(requests, key=lambda request: request[0])
    start = expected[0][0]
    np.testing.assert_allclose(trace.arrival, [(r[0] - start) / 1e6 for r in expected], atol=1e-9)
    assert trace.prompt.tolist() == [r[1] for r in expected]
    assert trace.output.tolist() == [r[2] for r in expected]
    assert trace.priority.tolist() == [r[3] for r in expected]
    again = written(
        path.with_name("again.csv"),
        PLAIN,
        *(
            f"{t!r},{p},{o},{first}"
            for (t, p, o), first in zip(columns(trace), trace.priority.tolist(), strict=True)
        ),
    )
    assert columns(read_trace(again)) == columns(trace)


def test_requests_are_sorted_with_their_prefixes_and_ties_keep_their_order(tmp_path):
    path = written(
        tmp_path / "t.jsonl",
        block_line(9, 513, 1, [30, 31]),
        block_line(5, 1025, 2, [10, 11, 12]),
        block_line(9, 5, 3, [30]),
        block_line(4, 700, 4, [10, 20]),
    )
    trace = read_trace(path)
    assert trace.output.tolist() == [4, 2, 1, 3]
    np.testing.assert_allclose(trace.arrival, [0.0, 0.001, 0.005, 0.005])
    assert trace.hash_start.tolist() == [0, 2, 5, 7, 8]
    assert trace.hash_ids.tolist() == [0, 1, 0, 2, 3, 4, 5, 4]


# Which format, and what kind of file


@pytest.mark.parametrize("name", FORMATS)
def test_samples_have_200_requests_and_are_guessed_whatever_they_are_called(name, tmp_path):
    sample = read_sample(name)
    assert len(sample) == 200
    assert sample.name == name
    source = Path(read_trace.__code__.co_filename).parents[1] / "data" / "traces" / SAMPLES[name]
    copy = tmp_path / "what.parquet"
    copy.write_bytes(source.read_bytes())
    assert columns(read_trace(copy)) == columns(sample)
    packed = tmp_path / "trace.txt.gz"
    packed.write_bytes(gzip.compress(source.read_bytes(), mtime=0))
    trace = read_trace(packed)
    assert columns(trace) == columns(sample)
    assert trace.hash_ids.tolist() == sample.hash_ids.tolist()
    assert trace.dropped == sample.dropped
    assert trace.name == "trace"


def test_samples_read_to_known_sums():
    sums = {name: read_sample(name) for name in FORMATS}
    assert {name: (int(t.prompt.sum()), int(t.output.sum())) for name, t in sums.items()} == {
        "azure": (255961, 26032),
        "burstgpt": (157589, 39749),
        "mooncake": (924152, 54179),
        "sharegpt": (3425, 10451),
        "plain": (157813, 40975),
    }
    assert sums["burstgpt"].num_dropped == 8
    assert sums["sharegpt"].num_dropped == 4
    assert sums["mooncake"].repeated_share == pytest.approx(0.465378, abs=1e-6)
    assert sums["azure"].duration == pytest.approx(77.060703)


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f"{PLAIN}\r\n0,1,2,0\r\n".encode())
    assert columns(read_trace(path)) == [(0.0, 1, 2)]


def test_a_format_that_is_named_is_not_guessed(tmp_path):
    path = written(tmp_path / "t.csv", AZURE, "2023-11-16 18:17:03,1,1")
    with pytest.raises(TableError, match="no column 'arrival_s', which a trace of format 'plain'"):
        read_trace(path, format="plain")


def test_an_unknown_format_gets_an_offer():
    with pytest.raises(InputError, match="did you mean 'azure'"):
        read_trace(Path("x"), format="azur")
    with pytest.raises(InputError, match="choose one of azure, burstgpt"):
        read_trace(Path("x"), format="?")
    with pytest.raises(InputError, match="choose one of azure, burstgpt"):
        read_sample("azur")


@pytest.mark.parametrize("ratio", [0.0, -1.0, math.nan, math.inf])
def test_characters_per_token_must_be_positive(ratio):
    with pytest.raises(InputError, match="must be above 0"):
        read_trace(Path("x"), characters_per_token=ratio)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"PK\x03\x04\x00\x00", "binary file"),
        (f"{AZURE}\n".encode("utf-16"), "binary file"),
        (gzip.compress(b"a" * 999, mtime=0)[:-9], "damaged or truncated gzip"),
        (f"{AZURE}\n".encode(), "no requests in it"),
        (b"[]", "no requests in it"),
        (b"time,in,out\n1,2,3\n", "not the header of a known trace"),
        (b"0.5,100,20\n", "not the header of a known trace"),
        (b'{"arrival": 1}\n', "JSON of no known trace"),
        (b'{"conversations": []}\n', "put them in brackets"),
        (b'[{"id": 1,', "not readable as JSON"),
        (PLAIN.replace(",", ";").encode(), "line 1: separated by semicolons"),
        (f"{PLAIN},prompt_tokens\n".encode(), "'prompt_tokens' occurs twice"),
        (b"arrival_s,prompt_tokens,output_token\n", "no column 'output_tokens'.*rename"),
        (b"TIMESTAMP,ContextTokens\n", "no column 'GeneratedTokens'.*it needs TIMESTAMP"),
        (f"{PLAIN},prio\n".encode(), "column 'prio' is not one of arrival_s"),
        (f'{PLAIN}\n0,1,1,0\n1,"2,3,4\n'.encode(), "line 3: not readable as CSV"),
        (f"{PLAIN}\n0,1,1,0\n1,2,3,\xe9\n".encode("latin-1"), "line 3: not UTF-8"),
    ],
)
def test_what_is_no_trace_is_said_in_one_sentence(tmp_path, content, says):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(TableError, match=says) as caught:
        read_trace(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_the_persons_mistake(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        read_trace(tmp_path / "none.csv")
    with pytest.raises(InputError, match="is a folder"):
        read_trace(tmp_path)


# Broken lines


def test_every_broken_line_is_named_with_what_is_wrong(tmp_path):
    path = written(
        tmp_path / "t.csv",
        PLAIN,
        "0,1,1,0",
        "zero,1,1,0",
        "1,-5,1,0",
        "2,1,0,0",
        "",
        "3,1",
        "nan,1,1,0",
        "-4,1,1,0",
        "5,1.5,1,0",
        "6,99999999999,1,0",
        "7,1,1,first",
        "8,,1,0",
    )
    with pytest.raises(TableError) as caught:
        read_trace(path)
    assert str(caught.value) == (
        f"{path}: 10 of 11 lines cannot be read: "
        "line 3: arrival_s is 'zero', but must be a number; "
        "line 4: prompt_tokens is '-5', but must be at least 1; "
        "line 5: output_tokens is '0', but must be at least 1; "
        "line 7: 2 cells under 4 columns; "
        "line 8: arrival_s is 'nan', but must be a number; "
        "line 9: arrival_s is '-4', but must be finite and not negative; "
        "line 10: prompt_tokens is '1.5', but must be a whole number; "
        "line 11: prompt_tokens is '99999999999', but must be at most 2147483647; "
        "line 12: priority is 'first', but must be a whole number; "
        "line 13: prompt_tokens is blank, but must be a whole number; "
        "correct or delete these lines"
    )


def test_ten_broken_lines_are_named_and_the_others_counted(tmp_path):
    path = written(tmp_path / "t.csv", AZURE, *(["2023-11-16 18:17:03,x,1"] * 13))
    with pytest.raises(TableError) as caught:
        read_trace(path)
    assert (
        "13 of 13 lines cannot be read: lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11: ContextTokens is 'x',"
        " but must be a whole number; and 3 more; correct"
    ) in str(caught.value)


@pytest.mark.parametrize(
    "stamp",
    ["", "17.5", "2023-02-30 00:00:00", "2023-11-16", "2023-11-16 24:00:00", "2023-11-16 18:17:60"],
)
def test_a_time_of_azure_is_a_date_and_a_time(tmp_path, stamp):
    path = written(tmp_path / "t.csv", AZURE, f"{stamp},1,1", "2023-11-16 18:17:03.9799600,1,1")
    with pytest.raises(TableError, match=r"1 of 2 lines.*line 2: TIMESTAMP is .*this line"):
        read_trace(path)


def test_what_is_broken_in_a_failed_request_is_not_hidden_by_its_failure(tmp_path):
    path = written(tmp_path / "t.csv", BURST, "soon,GPT-4,1,0,1,API log", "1,GPT-4,-1,0,1,API log")
    with pytest.raises(TableError, match=r"2 of 2 lines.*line 2: Timestamp .*line 3: Request"):
        read_trace(path)


def test_a_request_of_burstgpt_without_prompt_but_with_an_answer_is_broken(tmp_path):
    path = written(tmp_path / "t.csv", BURST, "1,GPT-4,0,7,7,API log")
    with pytest.raises(TableError, match="Request tokens is '0', but must be at least 1"):
        read_trace(path)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"timestamp": 1, "input_length": 5, "out', "not JSON, or cut off"),
        ("[1, 2]", "not a JSON object"),
        ('{"timestamp": 1, "input_length": 5, "hash_ids": [1]}', "output_length is missing"),
        (block_line(1, 5, 1, []), "hash_ids has 0 blocks, but 5 tokens make 1 of 512"),
        (block_line(1, 513, 1, [1]), "hash_ids has 1 blocks, but 513 tokens make 2 of 512"),
        (block_line(1, 5, 1, [True]), "not a list of whole numbers"),
        (block_line(1, 5, 1, 7), "not a list of whole numbers"),
        (block_line(1, 0, 1, []), "input_length is 0, but must be at least 1"),
        (block_line(1, 5, 0, [1]), "output_length is 0, but must be at least 1"),
        (block_line(1, 5.5, 1, [1]), "input_length is 5.5, but must be a whole number"),
        (block_line(1, 5, "1", [1]), "output_length is '1', but must be a number"),
        (block_line(1, 5, None, [1]), "output_length is blank, but must be a number"),
        (block_line(True, 5, 1, [1]), "timestamp is True, but must be a number"),
        (block_line(10**400, 5, 1, [1]), "timestamp is 1000.*…, but must be a number"),
        (block_line(-1, 5, 1, [1]), "timestamp is -1, but must be finite and not negative"),
    ],
)
def test_a_broken_line_of_mooncake_is_named(tmp_path, line, says):
    path = written(tmp_path / "t.jsonl", block_line(0, 5, 1, [1]), "", line)
    with pytest.raises(TableError, match=f"1 of 2 lines cannot be read: line 3: .*{says}"):
        read_trace(path)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (7, "conversations is missing"),
        ({"id": "x"}, "conversations is missing"),
        ({"conversations": "hello"}, "not a list"),
        ({"conversations": [{"from": "human"}]}, "a turn without"),
        ({"conversations": ["hello"]}, "a turn without"),
    ],
)
def test_a_broken_entry_of_sharegpt_is_named(tmp_path, entry, says):
    path = tmp_path / "t.json"
    path.write_text(json.dumps([talk(("human", "a"), ("gpt", "b")), entry]))
    with pytest.raises(TableError, match=f"1 of 2 entries cannot be read: entry 2: .*{says}"):
        read_trace(path)


# What one does with a trace


def test_lengths_and_rates_are_summed_up(tmp_path):
    lines = [f"{second},{second + 1},{2 * second + 2},0" for second in range(101)]
    trace = read_trace(written(tmp_path / "t.csv", PLAIN, *lines))
    assert trace.duration == 100.0
    assert trace.mean_rate == 1.0
    assert trace.mean_prompt == 51.0
    assert trace.p99_prompt == 100.0
    assert trace.mean_output == 102.0
    assert trace.p99_output == 200.0


def test_a_slice_keeps_the_beginning_and_its_prefixes():
    trace = read_sample("mooncake")
    by_count = trace.slice(count=20)
    assert len(by_count) == 20
    assert by_count.hash_start.tolist() == trace.hash_start[:21].tolist()
    assert len(by_count.hash_ids) == by_count.hash_start[-1]
    assert by_count.hash_ids.max() + 1 == len(np.unique(by_count.hash_ids))
    assert by_count.repeated_tokens.tolist() == trace.repeated_tokens[:20].tolist()
    seconds = float(trace.arrival[20])
    by_time = trace.slice(seconds=seconds)
    assert by_time.arrival.max() < seconds
    assert len(by_time) == int((trace.arrival < seconds).sum())
    assert len(trace.slice(count=10**6)) == 200


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"seconds": 1.0, "count": 1},
        {"count": 0},
        {"count": -1},
        {"seconds": 0.0},
        {"seconds": -1.0},
        {"seconds": math.nan},
    ],
)
def test_a_slice_of_nothing_is_refused(asked):
    with pytest.raises(InputError, match="slice"):
        read_sample("plain").slice(**asked)


def test_rescaling_changes_times_alone():
    trace = read_sample("azure")
    fast = trace.rescaled(100.0)
    assert fast.mean_rate == pytest.approx(100.0)
    assert fast.arrival[0] == 0.0
    np.testing.assert_allclose(fast.arrival * 100.0, trace.arrival * trace.mean_rate)
    assert fast.prompt is trace.prompt


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_a_rate_must_be_positive(rate):
    with pytest.raises(InputError, match="must be above 0"):
        read_sample("azure").rescaled(rate)


def test_what_comes_at_once_cannot_be_rescaled():
    with pytest.raises(InputError, match="no times to rescale"):
        read_sample("sharegpt").rescaled(1.0)
