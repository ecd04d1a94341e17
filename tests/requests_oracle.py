"""Serving played token by token, slowly and plainly: what the engine for requests must reproduce.

One turn of a server's loop is one step of its batch. Nothing is jumped over, nothing is counted
ahead: blocks are counted anew from the contexts at each look, and every request is an object in
plain lists. It shares no code with the package; it reads the same records that the engine is given.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import count
from typing import Any

ROLES = {"both": 0, "prefill": 1, "decode": 2}


@dataclass(eq=False)
class Job:
    """One request on its way; ``gained``: tokens since it began to decode, after the first."""

    number: int
    prompt: int
    output: int
    priority: int
    made: int = 0
    done: int = 0
    chunk: int = 0
    gained: float = 0.0
    decoding: bool = False
    sent: float = math.nan
    first: float = math.nan
    finish: float = math.nan
    replica: int = -1

    @property
    def held(self) -> int:
        """Tokens to compute before it decodes: its prompt, and what a preemption lost."""
        return self.prompt + self.made

    @property
    def context(self) -> float:
        """Tokens in the cache once it decodes."""
        return self.held + 1 + self.gained

    @property
    def is_over(self) -> bool:
        """Whether all of its output is there."""
        return self.made + 1 + self.gained >= self.output


def line(grid: Any, values: Any, where: float) -> float:
    """Read a table: straight between points, and on beyond them."""
    low = min(max(bisect_right(list(grid), where) - 1, 0), len(grid) - 2)
    share = (where - grid[low]) / (grid[low + 1] - grid[low])
    return float(values[low] + share * (values[low + 1] - values[low]))


@dataclass(eq=False)
class Server:
    """One replica: who waits, whose prompts are under way, who decodes (the youngest last)."""

    kind: Any
    waiting: list[Job] = field(default_factory=list)
    filling: list[Job] = field(default_factory=list)
    running: list[Job] = field(default_factory=list)
    working: bool = False
    called: bool = False
    prompts: bool = False
    steps: int = 0
    worked: int = 0
    preempted: int = 0
    cycle: int = 0
    patient: int = 0
    busy: float = 0.0

    def blocks(self, tokens: float) -> float:
        """Blocks of so many tokens."""
        if self.kind.gain == 1.0:
            return math.ceil(tokens / self.kind.block)
        return tokens / self.kind.block + 0.5

    def free(self) -> float:
        """Blocks that nobody has."""
        used = sum(self.blocks(job.held) for job in self.filling)
        return self.kind.blocks - used - sum(self.blocks(job.context) for job in self.running)

    def queue(self, job: Job, *, ahead: bool = False) -> None:
        """Wait behind those of one's priority, or ahead of them."""
        limit = job.priority - ahead
        place = sum(other.priority <= limit for other in self.waiting)
        self.waiting.insert(place, job)

    def is_open(self) -> bool:
        """Whether it lets anybody in now: it has looked, and need not wait for more prompts."""
        if not self.running and not self.filling:
            return True
        asked = sum(job.held for job in self.waiting)
        looks = self.cycle % self.kind.poll == 0
        return looks and (self.patient >= self.kind.patience or asked >= self.kind.enough)

    def fits(self, job: Job) -> bool:
        """Whether a request may come in."""
        kind = self.kind
        if len(self.running) + len(self.filling) >= kind.most:
            return False
        needed = self.blocks(job.held + 1)
        if kind.promise:
            gained = sum(one.gained for one in self.running)
            owed = sum(kind.promise * (one.output - one.made) for one in self.running)
            owed = max(0.0, owed - gained) + kind.promise * (job.output - job.made)
            needed += owed / kind.block + 0.5 * len(self.running)
        elif kind.mixed:  # what decoding needs for this step is not there for others
            needed += self.growth()
        return needed <= self.free()

    def growth(self) -> float:
        """Blocks that those that decode need for a step."""
        gain = self.kind.gain
        return sum(
            self.blocks(one.context + gain) - self.blocks(one.context) for one in self.running
        )

    def make_room(self) -> bool:
        """Send the youngest back until those that decode can grow by a step."""
        before = self.preempted
        while self.running and self.growth() > self.free():
            job = self.filling.pop() if self.filling else self.running.pop()
            if job.decoding:
                job.made += 1 + int(job.gained)
            job.done, job.chunk, job.gained, job.decoding = 0, 0, 0.0, False
            self.preempted += 1
            self.queue(job, ahead=True)
        return self.preempted > before

    def take_prompts(self, room: int) -> int:
        """Choose tokens of prompts for a step: those begun first, then those that may come in."""
        kind, total = self.kind, 0
        for job in self.filling:
            left = job.held - job.done
            job.chunk = min(left, kind.budget, max(0, room - total)) if kind.chunked else left
            total += job.chunk
        while total < room and self.waiting and self.is_open():
            job = self.waiting[0]
            too_long = not kind.chunked and job.held > room - total and total > 0
            if too_long or not self.fits(job):
                break
            self.waiting.pop(0)
            self.filling.append(job)
            self.patient = kind.patience
            job.chunk = min(job.held, kind.budget, room - total) if kind.chunked else job.held
            total += job.chunk
        return total

    def attention(self) -> float:
        """Attention of a step's decoding. [s]"""
        times, size = self.kind.times, len(self.running)
        mean = sum(job.context for job in self.running) / size
        return line(times.rows, [line(times.context, row, mean) for row in times.attention], size)

    def prompt_time(self, tokens: int) -> float:
        """Time of a step with prompts. [s]"""
        kind, times = self.kind, self.kind.times
        chunks = [job for job in self.filling if job.chunk]
        prefill = []
        for job in chunks:
            start = line(times.length, times.prefill, job.done) if job.done else 0.0
            prefill.append(line(times.length, times.prefill, job.done + job.chunk) - start)
        beside = len(self.running) if kind.mixed else 0
        busiest = max(*(job.chunk for job in chunks), tokens / kind.lanes)
        busiest += beside * kind.width / kind.lanes
        time = max(*prefill, sum(prefill) / kind.lanes, 0.0)
        time += line(times.tokens, times.lane, busiest)
        time += line(times.tokens, times.whole, tokens + beside * kind.width)
        time += self.attention() if beside else 0.0
        head = line(times.rows, times.head, len(chunks) + beside)
        return max(kind.least, time) + head

    def look(self) -> float | None:
        """Choose the next step; returns its time, or nothing if there is nothing to do. [s]"""
        kind, tokens = self.kind, 0
        if kind.mixed:
            if not self.make_room():
                tokens = self.take_prompts(
                    kind.lanes * kind.budget - len(self.running) * kind.width
                )
        else:
            tokens = self.take_prompts(kind.lanes * kind.budget)
            if tokens == 0:
                self.make_room()
        self.prompts = tokens > 0
        return self._time(tokens)

    def look_at_decoding(self) -> float | None:
        """As `look`, for a replica that only decodes."""
        self.make_room()
        self.prompts = False
        return self._time(0)

    def _time(self, tokens: int) -> float | None:
        if tokens > 0:
            return self.prompt_time(tokens)
        if not self.running:
            return None
        times = self.kind.times
        return self.attention() + line(times.rows, times.decode, len(self.running))

    def gain(self) -> list[Job]:
        """End a step for those that decode; returns those that are over."""
        if not self.running or (self.prompts and not self.kind.mixed):
            return []
        self.steps += 1
        self.worked += len(self.running)
        for job in self.running:
            job.gained += self.kind.gain
        over = [job for job in self.running if job.is_over]
        self.running = [job for job in self.running if not job.is_over]
        return over

    def complete(self) -> list[Job]:
        """End a step for prompts; returns those that are complete."""
        for job in self.filling:
            job.done += job.chunk
            job.chunk = 0
        ready = [job for job in self.filling if job.done >= job.held]
        self.filling = [job for job in self.filling if job.done < job.held]
        return ready

    def begin(self, job: Job, now: float) -> bool:
        """Give a request its first token; returns whether that was all."""
        if math.isnan(job.first):
            job.first = now
        if job.is_over:
            return True
        job.decoding = True
        self.running.append(job)
        return False


ARRIVE, STEP = "arrive", "step"


class Oracle:
    """Servers, and what happens to them; `play` it once."""

    def __init__(self, traffic: Any, kinds: list[Any], router: str) -> None:
        self.traffic, self.router = traffic, router
        entering = [
            kind for kind in kinds if kind.role != ROLES["decode"] for _ in range(kind.count)
        ]
        second = [kind for kind in kinds if kind.role == ROLES["decode"] for _ in range(kind.count)]
        self.servers = [Server(kind) for kind in [*entering, *second]]
        self.pools = (range(len(entering)), range(len(entering), len(self.servers)))
        self.turns = [0, 0]
        ranks = traffic.priority if traffic.priority is not None else [0] * len(traffic.prompt)
        sizes = zip(traffic.prompt, traffic.output, ranks, strict=True)
        self.jobs = [Job(n, int(p), int(o), int(rank)) for n, (p, o, rank) in enumerate(sizes)]
        self.events: list[tuple[float, int, str, int, int]] = []
        self.order = count()
        total = len(self.jobs)
        self.issued = min(traffic.users, total) if traffic.users else total
        for number in range(self.issued):
            self.jobs[number].sent = float(traffic.arrival[number])
            # Given arrivals come before all else that happens at their time.
            self.put(self.jobs[number].sent + traffic.entry, ARRIVE, number, 0, number - total)

    def put(self, time: float, what: str, who: int, pool: int, order: int | None = None) -> None:
        """Enter what will happen."""
        place = next(self.order) if order is None else order
        heapq.heappush(self.events, (time, place, what, who, pool))

    def play(self) -> Oracle:
        """Play until nothing happens any more."""
        while self.events:
            now, _, what, who, pool = heapq.heappop(self.events)
            if what == ARRIVE:
                self.enter(self.jobs[who], pool, now)
                continue
            server = self.servers[who]
            if server.working:
                self.end_step(server, now)
            self.start_step(server, who, now)
        return self

    def enter(self, job: Job, pool: int, now: float) -> None:
        """Send a request to a server of a pool, and wake that if it sleeps."""
        choice = self.pools[pool]
        if self.router == "round-robin":
            chosen = choice[self.turns[pool] % len(choice)]
            self.turns[pool] += 1
        else:
            chosen = min(choice, key=lambda index: (self.load(index), index))
        server = self.servers[chosen]
        job.replica = chosen
        server.queue(job)
        if not server.working and not server.called:
            server.called = True
            self.put(now, STEP, chosen, 0)

    def load(self, index: int) -> int:
        """Requests at a server."""
        server = self.servers[index]
        return len(server.waiting) + len(server.filling) + len(server.running)

    def start_step(self, server: Server, index: int, now: float) -> None:
        """Begin a server's next step, if there is one."""
        if server.kind.role == ROLES["decode"]:
            while server.waiting and server.fits(server.waiting[0]):
                job = server.waiting.pop(0)
                if server.begin(job, now):
                    self.answer(job, now)
            time = server.look_at_decoding()
        else:
            time = server.look()
        server.called = False
        server.working = time is not None
        if time is not None:
            server.busy += time
            self.put(now + time, STEP, index, 0)

    def end_step(self, server: Server, now: float) -> None:
        """Take what a step brought."""
        server.cycle += 1
        server.patient = server.patient + 1 if server.waiting else 0
        for job in server.gain():
            self.answer(job, now)
        for job in server.complete() if server.prompts else []:
            if server.kind.role == ROLES["prefill"]:
                late = server.kind.tail + server.kind.tail_token * job.held
                self.put(now + late, ARRIVE, job.number, 1)
            elif server.begin(job, now):
                self.answer(job, now)

    def answer(self, job: Job, now: float) -> None:
        """Finish a request; in a closed loop its user goes on to the next."""
        job.finish = now
        traffic = self.traffic
        if traffic.users and self.issued < len(self.jobs):
            following = self.jobs[self.issued]
            self.issued += 1
            following.sent = now + traffic.think
            self.put(following.sent + traffic.entry, ARRIVE, following.number, 0)
