"""Serving played token by token, slowly and plainly: what the engine for requests must reproduce.

One turn of a server's loop is one step of its batch. Nothing is jumped over, nothing is counted
ahead: blocks are counted anew from the contexts at each look, and every request is an object in
plain lists. Caches of known content are dictionaries. It shares no code with the package; it reads
the same records that the engine is given.
"""

from __future__ import annotations

import heapq
import itertools
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
    keys: tuple[int, ...] = ()
    shared: int = 0
    reused: int = 0
    last: float = math.nan

    def forget(self) -> None:
        """Begin again: nothing that was computed is there."""
        self.made, self.done, self.chunk, self.gained, self.decoding = 0, 0, 0, 0.0, False

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
    lost: int = 0
    hash_tokens: int = 0
    users: dict[int, int] = field(default_factory=dict)
    idle: list[int] = field(default_factory=list)
    state: str = "serving"
    since: float = 0.0
    paid: float = 0.0
    began: float = 0.0
    plan: int = 0

    @property
    def node(self) -> float:
        """Blocks of one known one."""
        return self.hash_tokens / self.kind.block

    @property
    def load(self) -> int:
        """Requests it has."""
        return len(self.waiting) + len(self.filling) + len(self.running)

    def known(self, job: Job) -> tuple[int, ...]:
        """What of a request's beginning is in the cache; its last token is computed anyhow."""
        if not self.hash_tokens:
            return ()
        most = (job.held - 1) // self.hash_tokens
        return tuple(itertools.takewhile(self.users.__contains__, job.keys[:most]))

    def share(self, job: Job, keys: tuple[int, ...]) -> None:
        """Let a request hold known blocks, which follow those that it holds."""
        for key in keys:
            if key in self.idle:
                self.idle.remove(key)
            self.users[key] = self.users.get(key, 0) + 1
        job.shared += len(keys)

    def let_go(self, job: Job) -> None:
        """Let a request hold no block any longer, the last first."""
        for key in reversed(job.keys[: job.shared]):
            self.users[key] -= 1
            if not self.users[key]:
                self.idle.append(key)
        job.shared = 0

    def forget_old(self, needed: float = 0.0) -> None:
        """Drop what nobody holds, the oldest first, until there is room."""
        while self.idle and self.free() - needed < 0.0:
            del self.users[self.idle.pop(0)]

    def blocks(self, tokens: float) -> float:
        """Blocks of so many tokens."""
        if self.kind.gain == 1.0:
            return math.ceil(tokens / self.kind.block)
        return tokens / self.kind.block + 0.5

    def free(self) -> float:
        """Blocks that nobody has."""
        used = sum(self.blocks(job.held) for job in self.filling)
        used += sum(self.blocks(job.context) for job in self.running)
        shared = sum(job.shared for job in [*self.filling, *self.running])
        return self.kind.blocks - used + (shared - len(self.users)) * self.node

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
        keys = self.known(job)
        idle = sum(key not in keys for key in self.idle)
        return needed - len(keys) * self.node <= self.free() + idle * self.node

    def growth(self) -> float:
        """Blocks that those that decode need for a step."""
        gain = self.kind.gain
        return sum(
            self.blocks(one.context + gain) - self.blocks(one.context) for one in self.running
        )

    def make_room(self) -> bool:
        """Send the youngest back until those that decode can grow by a step."""
        before = self.preempted
        while self.running and self.growth() > self.free() + len(self.idle) * self.node:
            job = self.filling.pop() if self.filling else self.running.pop()
            self.let_go(job)
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
            keys = self.known(job)
            left = job.held - len(keys) * self.hash_tokens
            too_long = not kind.chunked and left > room - total and total > 0
            if too_long or not self.fits(job):
                break
            self.waiting.pop(0)
            self.filling.append(job)
            self.patient = kind.patience
            self.share(job, keys)
            self.forget_old(self.growth() if kind.mixed and not kind.promise else 0.0)
            job.done = job.held - left
            if math.isnan(job.first):
                job.reused = job.done
            job.chunk = min(left, kind.budget, room - total) if kind.chunked else left
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
        return max(kind.shortest, time) + head

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
        self.forget_old()
        over = [job for job in self.running if job.is_over]
        self.running = [job for job in self.running if not job.is_over]
        for job in over:
            self.let_go(job)
        return over

    def complete(self) -> list[Job]:
        """End a step for prompts; returns those that are complete."""
        for job in self.filling:
            job.done += job.chunk
            job.chunk = 0
        ready = [job for job in self.filling if job.done >= job.held]
        self.filling = [job for job in self.filling if job.done < job.held]
        return ready

    def publish(self, job: Job) -> None:
        """Give a request's full blocks to the cache."""
        if self.hash_tokens:
            self.share(job, job.keys[job.shared :])

    def begin(self, job: Job, now: float) -> bool:
        """Give a request its first token; returns whether that was all."""
        if math.isnan(job.first):
            job.first = now
        if job.is_over:
            self.let_go(job)
            return True
        job.decoding = True
        job.last = now
        self.running.append(job)
        self.forget_old()
        return False


ARRIVE, STEP, FAIL, READY, LOOK = "arrive", "step", "fail", "ready", "look"


class Oracle:
    """Servers, and what happens to them; `play` it once."""

    def __init__(self, traffic: Any, kinds: list[Any], router: str, outages: Any = None) -> None:
        self.traffic, self.router = traffic, router
        entering = [
            kind for kind in kinds if kind.role != ROLES["decode"] for _ in range(kind.count)
        ]
        second = [kind for kind in kinds if kind.role == ROLES["decode"] for _ in range(kind.count)]
        self.servers = [Server(kind) for kind in [*entering, *second]]
        for server in self.servers:
            if server.kind.reuse and server.kind.role != ROLES["decode"]:
                server.hash_tokens = traffic.hash_tokens
        self.gaps: list[float] = []
        self.pools = (range(len(entering)), range(len(entering), len(self.servers)))
        self.turns = [0, 0]
        ranks = traffic.priority if traffic.priority is not None else [0] * len(traffic.prompt)
        sizes = zip(traffic.prompt, traffic.output, ranks, strict=True)
        self.jobs = [Job(n, int(p), int(o), int(rank)) for n, (p, o, rank) in enumerate(sizes)]
        self.events: list[tuple[float, int, str, int, Any]] = []
        self.order = count()
        if traffic.hash_tokens:
            for job, low, high in zip(
                self.jobs, traffic.hash_start[:-1], traffic.hash_start[1:], strict=True
            ):
                full = job.prompt // traffic.hash_tokens
                job.keys = tuple(int(key) for key in traffic.hash_ids[low:high][:full])
        self.schedule(outages)
        total = len(self.jobs)
        self.issued = min(traffic.users, total) if traffic.users else total
        for number in range(self.issued):
            self.jobs[number].sent = float(traffic.arrival[number])
            # Given arrivals come before all else that happens at their time.
            self.put(self.jobs[number].sent + traffic.entry, ARRIVE, number, 0, number - total)

    def schedule(self, outages: Any) -> None:
        """Enter what is known to happen: failures, and the scalers' looks."""
        self.scaled = []
        for _, same in itertools.groupby(self.servers, key=lambda server: id(server.kind)):
            own = list(same)
            kind = own[0].kind
            if kind.target:
                self.scaled.append((own, [math.nan]))
                for server in own[kind.least :]:
                    server.state = "off"
                self.put(kind.period, LOOK, len(self.scaled) - 1, 0)
        if outages is not None:
            for at, who, lasts in zip(outages.at, outages.replica, outages.lasts, strict=True):
                self.put(float(at), FAIL, int(who), 0)
                self.put(float(at + lasts), READY, int(who), "failed")

    def put(self, time: float, what: str, who: int, pool: Any, order: int | None = None) -> None:
        """Enter what will happen."""
        place = next(self.order) if order is None else order
        heapq.heappush(self.events, (time, place, what, who, pool))

    def play(self) -> Oracle:
        """Play until nothing happens any more."""
        while any(math.isnan(job.finish) for job in self.jobs):
            now, _, what, who, pool = heapq.heappop(self.events)
            if what == ARRIVE:
                self.enter(self.jobs[who], pool, now)
            elif what == FAIL:
                self.fail(self.servers[who], who, now)
            elif what == READY and self.servers[who].state == pool:
                self.servers[who].state = "serving"
                self.wake(self.servers[who], who, now)
            elif what == LOOK:
                self.look(who, now)
            elif what == STEP and pool == self.servers[who].plan:
                server = self.servers[who]
                if server.working:
                    self.end_step(server, now)
                self.start_step(server, who, now)
        for server in self.servers:
            if server.state != "off":
                server.paid += max(job.finish for job in self.jobs) - server.since
        return self

    def wake(self, server: Server, index: int, now: float) -> None:
        """Let a server that does nothing look at who waits."""
        awake = server.working or server.called or server.state not in ("serving", "draining")
        if server.waiting and not awake:
            server.called = True
            server.plan += 1
            self.put(now, STEP, index, server.plan)

    def fail(self, server: Server, index: int, now: float) -> None:
        """Let a server lose all, and send its requests to others."""
        if server.state not in ("serving", "draining"):
            return
        if server.working:
            server.busy += now - server.began
        server.plan += 1
        server.working = server.called = False
        lost = [*server.running, *server.filling]
        server.lost += len(lost)
        server.running, server.filling, server.idle, server.users = [], [], [], {}
        for job in lost:
            job.forget()
            job.shared = 0
        if server.state == "draining":
            server.state = "off"
            server.paid += now - server.since
        else:
            server.state = "failed"
        for job in reversed(lost):
            server.queue(job, ahead=True)
        others = [self.servers[n] for n in self.pools[0]]
        if index in self.pools[0] and all(one.state != "serving" for one in others):
            return
        waiting, server.waiting = server.waiting, []
        for job in waiting:
            self.enter(job, 0, now)

    def look(self, which: int, now: float) -> None:
        """Start servers, or let them go."""
        own, low = self.scaled[which]
        kind = own[0].kind
        running = sum(one.state in ("serving", "starting", "failed") for one in own)
        asked = math.ceil(sum(one.load for one in own) / kind.target)
        wanted = min(len(own), max(kind.least, asked))
        if wanted >= running:
            low[0] = math.nan
        elif math.isnan(low[0]):
            low[0] = now
        more = [one for one in own if one.state == "draining"]
        more += [one for one in own if one.state == "off"]
        for one in more[: max(0, wanted - running)]:
            if one.state == "draining":
                one.state = "serving"
            else:
                one.state, one.since = "starting", now
                self.put(now + kind.load_time, READY, self.servers.index(one), "starting")
        if wanted < running and now - low[0] >= kind.calm:
            serving = [one for one in reversed(own) if one.state == "serving"]
            for one in sorted(serving, key=lambda one: one.load)[: running - wanted]:
                one.state = "draining"
                if not one.working and not one.called:
                    one.state = "off"
                    one.paid += now - one.since
        self.put(now + kind.period, LOOK, which, 0)

    def enter(self, job: Job, pool: int, now: float) -> None:
        """Send a request to a server of a pool, and wake that if it sleeps."""
        chosen = self.route(job, pool)
        server = self.servers[chosen]
        job.replica = chosen
        server.queue(job)
        self.wake(server, chosen, now)

    def route(self, job: Job, pool: int) -> int:
        """Choose a server of a pool."""
        choice = self.pools[pool]
        serving = [n for n in choice if self.servers[n].state == "serving"]
        if self.router == "round-robin":
            for _ in choice:
                chosen = choice[self.turns[pool] % len(choice)]
                self.turns[pool] += 1
                if chosen in serving:
                    return chosen
        some = serving or [n for n in choice if self.servers[n].state != "off"] or choice[:1]
        idlest = min(some, key=lambda n: (self.servers[n].load, n))
        if self.router == "prefix-aware" and pool == 0 and serving:
            most = max(self.servers[n].load for n in serving)
            least = self.servers[idlest].load
            if most - least <= 64 or most <= 1.5 * least:
                matched = {n: len(self.servers[n].known(job)) for n in serving}
                best = min(serving, key=lambda n: (-matched[n], self.servers[n].load, n))
                if matched[best] * self.servers[best].hash_tokens > 0.3 * job.prompt:
                    return best
        return idlest

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
            server.began = now
            server.plan += 1
            self.put(now + time, STEP, index, server.plan)
        elif server.state == "draining":
            server.state = "off"
            server.paid += now - server.since

    def end_step(self, server: Server, now: float) -> None:
        """Take what a step brought."""
        server.cycle += 1
        server.busy += now - server.began
        if not server.prompts or server.kind.mixed:
            self.gaps += [now - job.last for job in server.running]
            for job in server.running:
                job.last = now
        server.patient = server.patient + 1 if server.waiting else 0
        for job in server.gain():
            self.answer(job, now)
        for job in server.complete() if server.prompts else []:
            server.publish(job)
            if server.kind.role == ROLES["prefill"]:
                server.let_go(job)
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
