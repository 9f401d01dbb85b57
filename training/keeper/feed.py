"""Documents into rows of one length, made by worker processes and handed over in shared memory.

A document is (ids, weights, skill): weights[i] is the weight of the loss of predicting ids[i]. A
row is one line of int16 that holds several documents:

    ids [L]       the tokens
    documents [L] which document a token belongs to; never decreases, padding counts as one
    chosen [K]    the positions whose next token is scored, the same number in every row
    weights [K]   float16, 0 where fewer than K positions count
    skills [K]

Nothing here imports torch, so a worker is small. What the workers make depends on the seed, on
their number, and on the stages they are asked for. With `tokens` given the order of rows is fixed
too; without, the stage follows the clock and rows come in the order in which they get ready.
"""

import dataclasses
import mmap
import multiprocessing
import os
import signal
import traceback

import numpy as np

FORK = multiprocessing.get_context("fork")
SHORTEST_SEGMENT = 256
N_BUFFERED = 256  # documents to choose from when a row is filled
HEAVY = 0.5      # from this weight on, tokens are what the model has to say


@dataclasses.dataclass(frozen=True)
class Layout:
    length: int
    n_scored: int

    @property
    def width(self):
        return 2 * self.length + 3 * self.n_scored

    def split(self, rows):
        """Views of numpy or torch rows [..., width]: ids, documents, chosen, weights, skills;
        the weights still as int16."""
        ends = np.cumsum([self.length, self.length, self.n_scored, self.n_scored, self.n_scored])
        return [rows[..., start:end] for start, end in zip([0, *ends[:-1]], ends)]


@dataclasses.dataclass
class Counts:
    """What packing cost, in tokens."""

    tokens: int = 0
    padding: int = 0
    weighted: int = 0
    left_out: int = 0  # weighted, but beyond the K of their rows


class Row:
    """One row under construction."""

    def __init__(self, layout):
        self.layout = layout
        self.documents = []  # (start, document)

    def place(self, start, document):
        self.documents.append((start, document))

    def write(self, out, random, counts):
        """Into out [width]."""
        layout = self.layout
        ids, numbers, chosen, weights, skills = layout.split(out)
        out[:] = 0
        wanted = np.zeros(layout.length, np.float32)  # weight of the token after this one
        skill_at = np.zeros(layout.length, np.int16)
        number = end = 0
        for start, (tokens, token_weights, skill) in self.documents:
            if start > end:  # padding is a document of its own
                numbers[end:start] = number
                number += 1
            end = start + len(tokens)
            ids[start:end] = tokens
            numbers[start:end] = number
            number += 1
            wanted[start:end - 1] = token_weights[1:]
            skill_at[start:end] = skill
        numbers[end:] = number
        positions, scale = choose(wanted, layout.n_scored, random)
        n = len(positions)
        chosen[:n] = positions
        weights[:n] = (wanted[positions] * scale).astype(np.float16).view(np.int16)
        skills[:n] = skill_at[positions]
        n_weighted = int((wanted > 0).sum())
        counts.tokens += sum(len(document[0]) for _, document in self.documents)
        counts.padding += layout.length - sum(len(document[0]) for _, document in self.documents)
        counts.weighted += n_weighted
        counts.left_out += n_weighted - n


def choose(wanted, limit, random):
    """At most `limit` positions with weight, and factors that keep the sum of each kind.

    What the model says comes first; of the rest, and of more than fits, an even sample stays and
    weighs as much as all of it would.
    """
    kept, scales = [], []
    for kind in (wanted >= HEAVY, (wanted > 0) & (wanted < HEAVY)):
        positions = np.flatnonzero(kind)
        n = min(len(positions), limit - sum(map(len, kept)))
        if n == 0:
            continue
        scale = len(positions) / n
        if n < len(positions):
            positions = random.choice(positions, n, replace=False)
        kept.append(positions)
        scales.append(np.full(n, scale, np.float32))
    if not kept:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    positions, scales = np.concatenate(kept), np.concatenate(scales)
    order = positions.argsort()
    return positions[order], scales[order]


class Packer:
    """Endless rows from an endless iterator of documents.

    The oldest waiting document opens a segment of a row, so none waits for ever; then the longest
    one that still fits follows, again and again. With `segmented`, a row is cut into segments of
    256, 512 or all of its tokens, as short as the waiting documents allow: attention then need not
    look further (the CPU gains, a GPU skips tiles anyway).
    """

    def __init__(self, documents, layout, seed, segmented=False):
        self.documents, self.layout, self.segmented = documents, layout, segmented
        self.random = np.random.default_rng(seed)
        self.waiting = []
        self.counts = Counts()

    def refill(self):
        while len(self.waiting) < N_BUFFERED:
            document = next(self.documents, None)
            if document is None:
                raise ValueError("the documents have come to an end (they must be endless)")
            self.waiting.append(checked(document, self.layout.length))

    def fill(self, row, start, length):
        self.refill()
        room, index = length, 0
        while index is not None:
            document = self.waiting.pop(index)
            row.place(start + length - room, document)
            room -= len(document[0])
            self.refill()
            fitting = [(len(waiting[0]), -i) for i, waiting in enumerate(self.waiting)
                       if len(waiting[0]) <= room]
            index = -max(fitting)[1] if fitting else None

    def write(self, out):
        """The next row, into out [width]."""
        self.refill()
        length = segment = self.layout.length
        if self.segmented:
            longest = max(len(document[0]) for document in self.waiting)
            while segment // 2 >= max(longest, SHORTEST_SEGMENT) and segment % 2 == 0:
                segment //= 2
        row = Row(self.layout)
        for start in range(0, length, segment):
            if segment < length and len(self.waiting[0][0]) > segment:
                continue  # came in during this row; it opens the next one
            self.fill(row, start, segment)
        row.write(out, self.random, self.counts)


def checked(document, longest):
    ids, weights, skill = document
    if not 2 <= len(ids) <= longest or len(ids) != len(weights):
        raise ValueError(f"a document of skill {skill} has {len(ids)} ids and {len(weights)} "
                         f"weights (2 to {longest}, as many of each)")
    return ids, np.asarray(weights, np.float32), skill


def pack_held_out(documents, layout, certain=0.99):
    """Fixed rows that score the tokens of weight `certain` and above, and whose they are.

    Returns rows [n, width], owners [n, K] (an index into skills, or len(skills) for none), and the
    skill of each document. Documents without such a token, or with too many, are left out.
    """
    rows, owners, skills = [], [], []
    row, placed, length, n_scored = Row(layout), [], 0, 0

    def close():
        out = np.zeros(layout.width, np.int16)
        row.write(out, np.random.default_rng(0), Counts())
        _, _, chosen, weights, _ = layout.split(out)
        owner = np.full(layout.n_scored, -1)
        for index, start, end in placed:
            owner[(chosen >= start) & (chosen < end) & (weights != 0)] = index
        rows.append(out)
        owners.append(owner)

    for document in documents:
        ids, weights, skill = checked(document, layout.length)
        weights = (np.asarray(weights) >= certain).astype(np.float32)
        n = int(weights[1:].sum())
        if n == 0 or n > layout.n_scored:
            continue
        if length + len(ids) > layout.length or n_scored + n > layout.n_scored:
            close()
            row, placed, length, n_scored = Row(layout), [], 0, 0
        row.place(length, (ids, weights, skill))
        placed.append((len(skills), length, length + len(ids)))
        skills.append(skill)
        length += len(ids)
        n_scored += n
    if not skills:
        raise ValueError(f"no held-out document has a token of weight {certain} or more")
    close()
    owners = np.stack(owners)
    owners[owners < 0] = len(skills)
    return np.stack(rows), owners, np.asarray(skills)


def start_call(function):
    """Runs function() in another process at once; the returned function waits for its result."""
    receiving, sending = FORK.Pipe(duplex=False)

    def call():
        try:
            sending.send((function(), None))
        except Exception:
            sending.send((None, traceback.format_exc()))

    FORK.Process(target=call, daemon=True).start()
    sending.close()

    def result():
        value, error = receiving.recv()
        if error:
            raise RuntimeError(f"in another process:\n{error}")
        return value

    return result


class Feed:
    """Worker processes and the rows they have ready, in slots of several rows.

    documents(progress, seed) yields documents for ever; progress() is the share of training done.
    """

    def __init__(self, documents, layout, *, n_workers, seed, rows_per_slot, slots_per_worker,
                 tokens=None, segmented=False, stage_from=0.0):
        self.layout, self.n_workers, self.tokens = layout, n_workers, tokens
        self.rows_per_slot = rows_per_slot
        self.shape = (n_workers, slots_per_worker, rows_per_slot, layout.width)
        self.memory = mmap.mmap(-1, int(np.prod(self.shape)) * 2)
        self.slots = np.frombuffer(self.memory, np.int16).reshape(self.shape)
        self.statistics_memory = mmap.mmap(-1, n_workers * 4 * 8)
        self.statistics = np.frombuffer(self.statistics_memory, np.int64).reshape(n_workers, 4)
        self.progress = FORK.RawValue("d", 0.0)
        self.free = [FORK.Semaphore(slots_per_worker) for _ in range(n_workers)]
        self.ready = [FORK.Semaphore(0) for _ in range(n_workers)]
        self.errors = FORK.SimpleQueue()
        self.next_slot = [0] * n_workers
        self.turn = 0
        parent = os.getpid()
        self.workers = [
            FORK.Process(target=self.work, daemon=True,
                         args=(index, documents, seed, segmented, stage_from, parent))
            for index in range(n_workers)]
        for worker in self.workers:
            worker.start()

    def work(self, index, documents, seed, segmented, stage_from, parent):
        try:
            os.nice(5)  # the process that trains goes first
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # it decides, too, when all ends
            n_rows = 0

            def progress():
                if self.tokens is None:
                    share = self.progress.value
                else:
                    done = (n_rows * self.n_workers + index) * self.layout.length
                    share = min(done / self.tokens, 1.0)
                return stage_from + (1 - stage_from) * share

            packer = Packer(iter(documents(progress, seed + 7919 * index)), self.layout,
                            [seed, index], segmented)
            slot = 0
            while True:
                while not self.free[index].acquire(timeout=5):
                    if os.getppid() != parent:
                        return
                for out in self.slots[index, slot]:
                    packer.write(out)
                    n_rows += 1
                self.statistics[index] = dataclasses.astuple(packer.counts)
                slot = (slot + 1) % self.shape[1]
                self.ready[index].release()
        except Exception:
            self.errors.put(traceback.format_exc())

    def check(self):
        """Raises if a worker has failed."""
        if not self.errors.empty():
            raise RuntimeError(f"a worker process failed:\n{self.errors.get()}")
        if not all(worker.is_alive() for worker in self.workers):
            raise RuntimeError("a worker process has ended (out of memory?)")

    def take(self, use, wait):
        """Hands the rows [n, width] of a ready slot to `use`, which must copy them. Returns False
        if none is ready and `wait` is false. The workers' order is kept when `tokens` is set."""
        candidates = [self.turn] if self.tokens is not None else [
            (self.turn + i) % self.n_workers for i in range(self.n_workers)]
        while True:
            for index in candidates:
                if self.ready[index].acquire(block=False):
                    use(self.slots[index, self.next_slot[index]])
                    self.next_slot[index] = (self.next_slot[index] + 1) % self.shape[1]
                    self.turn = (index + 1) % self.n_workers
                    self.free[index].release()
                    return True
            if not wait:
                return False
            self.check()
            if self.ready[candidates[0]].acquire(timeout=0.05):
                self.ready[candidates[0]].release()

    def counts(self):
        return Counts(*(int(total) for total in self.statistics.sum(axis=0)))

    def stop(self):
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.join()
