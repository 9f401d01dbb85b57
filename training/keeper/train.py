"""Trains the keeper on documents that keeper.data makes while it runs.

    python -m keeper.train --tokens 22e6 --out build/keeper                 two CPU cores
    python -m keeper.train --minutes 8 --deadline 560 --out build/keeper    one GPU
    python -m keeper.train --bench                                          speed on synthetic rows
    python -m keeper.train --init models/keeper/keeper.gguf …               goes on from there

--out receives config.json, model-*.safetensors (the weights that were trained), ema-*.safetensors
(their average, which is what ships), log.csv and exact.csv. Rows of several documents have one
static shape, see keeper/feed.py. A CPU run takes its rows in a fixed order; a GPU is never kept
waiting: when no new row is ready it draws recent ones again, and the log says how many.
"""

import argparse
import contextlib
import copy
import csv
import dataclasses
import importlib
import itertools
import json
import math
import os
import pathlib
import signal
import sys
import time

STARTED = time.monotonic()  # --deadline counts from here, the import of torch included

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

from keeper import export, feed  # noqa: E402
from keeper.model import Keeper, KeeperConfig  # noqa: E402

WARM_UP_STEPS = 100
CONSTANT_UNTIL = 0.6  # of the run; then the rate falls in a straight line to
LAST_RATE = 0.02
CLIP = 1.0
WEIGHT_DECAY = 0.05
EMA_DECAY = 0.999
STEPS_AT_ONCE = 8  # of a GPU: rows are drawn for so many steps, as launching small work costs time
SAVING_S = 15  # left for the last evaluation and for saving before --deadline
MAX_SKILLS = 32
HELD_OUT_SEED = 1  # whatever --seed is: runs are compared by it


def say(message):
    print(f"train: {time.monotonic() - STARTED:6.1f} s: {message}", flush=True)


def learning_rate(step, progress):
    warm_up = min(1.0, (step + 1) / WARM_UP_STEPS)
    left = (1 - progress) / (1 - CONSTANT_UNTIL)
    return warm_up * min(1.0, LAST_RATE + (1 - LAST_RATE) * max(left, 0.0))


class Batch:
    """Rows [B, width] on the device, taken apart."""

    def __init__(self, rows, layout, n_segments=1):
        ids, documents, self.chosen, weights, skills = layout.split(rows)
        segment = (-1, layout.length // n_segments)
        self.targets = ids.gather(1, self.chosen.long() + 1).long()
        self.ids = ids.reshape(segment).int()
        self.documents = documents.reshape(segment).int()
        self.chosen = self.chosen.long()
        self.weights = weights.contiguous().view(torch.float16).float()
        self.skills = skills.long()

    def parts(self, n):
        """Its rows as batches of n rows."""
        for start in range(0, len(self.ids), n):
            part = copy.copy(self)
            for name, tensor in vars(self).items():
                setattr(part, name, tensor[start:start + n])
            yield part


def count_segments(rows, layout):
    """In how many equal parts no document of these rows [B, width] crosses a border."""
    documents = layout.split(rows)[1]
    for n in (4, 2):
        borders = np.arange(1, n) * layout.length // n
        if layout.length % n == 0 and layout.length // n >= feed.SHORTEST_SEGMENT and bool(
                (documents[:, borders - 1] != documents[:, borders]).all()):
            return n
    return 1


class Trainer:
    """Weights, their average, the optimiser and one step."""

    def __init__(self, model, device, *, attention, compiled, bf16):
        self.model, self.device, self.bf16 = model, device, bf16
        self.parameters = list(model.parameters())
        matrices = [p for p in self.parameters if p.ndim > 1]
        vectors = [p for p in self.parameters if p.ndim == 1]
        self.optimiser = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": WEIGHT_DECAY},
             {"params": vectors, "weight_decay": 0.0}],
            lr=0.0, betas=(0.9, 0.98), eps=1e-8, fused=True)
        self.average = [p.detach().clone() for p in self.parameters]
        self.n_steps = 0
        self.use_attention(attention, compiled)

    def use_attention(self, attention, compiled):
        def run(ids, documents, chosen, targets, weights):
            """The loss, and of each scored token its own loss and whether it was the best."""
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                hidden = self.model.model(ids, documents, attention)
                hidden = hidden.reshape(chosen.shape[0], -1, hidden.shape[-1])
                hidden = hidden.gather(1, chosen[:, :, None].expand(-1, -1, hidden.shape[-1]))
                logits = self.model.head(hidden)
            losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
            losses = losses.view_as(weights)
            right = logits.argmax(-1) == targets
            loss = (losses * weights).sum() / weights.sum().clamp(min=1.0)
            return loss, losses.detach(), right

        self.attention = attention
        self.run = torch.compile(run, fullgraph=True, dynamic=False) if compiled else run

    def forward(self, batch):
        return self.run(batch.ids, batch.documents, batch.chosen, batch.targets, batch.weights)

    def step(self, batch, rate):
        """Returns losses and hits of the scored tokens, and the norm of the gradient."""
        loss, losses, right = self.forward(batch)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, CLIP, foreach=True)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.n_steps += 1
        # A short run must not average in its first random weights.
        decay = min(EMA_DECAY, (1 + self.n_steps) / (10 + self.n_steps))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.parameters, 1 - decay)
        return losses, right, norm

    @contextlib.contextmanager
    def averaged(self):
        """Inside, the model has the average weights."""
        with torch.no_grad():
            kept = [p.clone() for p in self.parameters]
            torch._foreach_copy_(self.parameters, self.average)
        yield
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, kept)

    def snapshot(self):
        return [[t.detach().clone() for t in group] for group in (self.parameters, self.average)]

    @torch.no_grad()
    def restore(self, snapshot):
        torch._foreach_copy_(self.parameters, snapshot[0])
        torch._foreach_copy_(self.average, snapshot[1])
        self.optimiser.state.clear()

    def save(self, folder):
        export.save_weights(folder, "model", self.model.state_dict())
        with self.averaged():
            export.save_weights(folder, "ema", self.model.state_dict())


class Pool:
    """The most recent rows, on the device; the ones not yet trained on are handed out first."""

    def __init__(self, n_rows, layout, device, seed):
        self.rows = torch.zeros(n_rows, layout.width, dtype=torch.int16, device=device)
        self.pinned = device.type == "cuda"
        self.added = self.used = 0  # of all rows ever
        self.random = np.random.default_rng([seed, 1])

    def to_device(self, array):
        tensor = torch.from_numpy(array)
        # pin_memory copies, and keeps the copy until the device has read it.
        tensor = tensor.pin_memory() if self.pinned else tensor.clone()
        return tensor.to(self.rows.device, non_blocking=True)

    def add(self, rows):
        start = self.added % len(self.rows)
        assert start + len(rows) <= len(self.rows)
        self.rows[start:start + len(rows)].copy_(self.to_device(rows))
        self.added += len(rows)

    @property
    def n_fresh(self):
        return self.added - self.used


    def draw(self, n):
        """n rows, and how many of them are new."""
        n_new = min(n, self.n_fresh)
        new = np.arange(self.used, self.used + n_new) % len(self.rows)
        old = self.random.integers(min(self.added, len(self.rows)), size=n - n_new)
        self.used += n_new
        return self.rows[self.to_device(np.concatenate((new, old)))], n_new


class HeldOut:
    """Which share of held-out documents is right at every token of full weight, by skill."""

    def __init__(self, packed, layout, batch_size, device):
        rows, owners, self.skills = packed
        missing = -len(rows) % batch_size
        rows = np.concatenate((rows, np.zeros((missing, layout.width), np.int16)))
        owners = np.concatenate((owners, np.full((missing, layout.n_scored), len(self.skills))))
        self.batches = [(Batch(torch.from_numpy(rows[i:i + batch_size]).to(device), layout),
                         torch.from_numpy(owners[i:i + batch_size]).to(device).flatten())
                        for i in range(0, len(rows), batch_size)]

    def run(self, trainer):
        """{skill: (right, all)}"""
        wrong = torch.zeros(len(self.skills) + 1, device=trainer.device)
        with trainer.averaged():
            for batch, owners in self.batches:
                # With gradients, though unused: without, this would be compiled once more.
                right = trainer.forward(batch)[2].flatten()
                wrong.index_add_(0, owners, (~right).float())
        exact = (wrong[:-1] == 0).cpu().numpy()
        return {int(skill): (int(exact[self.skills == skill].sum()),
                             int((self.skills == skill).sum()))
                for skill in np.unique(self.skills)}


class Tally:
    """Sums on the device between two lines of the log."""

    def __init__(self, device):
        self.device = device
        self.clear()

    def clear(self):
        self.by_skill = torch.zeros(3, MAX_SKILLS, device=self.device)  # weight, loss, right
        self.norm = torch.zeros((), device=self.device)
        self.n_steps = self.n_rows = self.n_new = 0
        self.waited_s = 0.0
        self.since = time.monotonic()

    def add(self, batch, losses, right, norm):
        values = torch.stack((batch.weights, batch.weights * losses, batch.weights * right))
        self.by_skill.index_add_(1, batch.skills.flatten(), values.flatten(1))
        self.norm += norm
        self.n_steps += 1

    def read(self):
        """Waits for the device. Loss and accuracy over all, the norm, {skill: loss}."""
        weight, loss, right = self.by_skill.double().cpu().numpy()
        total = max(weight.sum(), 1e-9)
        losses = {skill: loss[skill] / weight[skill] for skill in np.flatnonzero(weight)}
        return (loss.sum() / total, right.sum() / total, self.norm.item() / max(self.n_steps, 1),
                losses)


class Table:
    """A CSV file whose lines are on the disk at once."""

    def __init__(self, path, columns):
        self.file = open(path, "w", newline="")
        self.writer = csv.DictWriter(self.file, columns)
        self.writer.writeheader()

    def add(self, row):
        self.writer.writerow({key: f"{value:.5g}" if isinstance(value, float) else value
                              for key, value in row.items()})
        self.file.flush()


class Clock:
    """The share of the run that is done, by tokens, minutes and deadline: whichever is ahead."""

    def __init__(self, args):
        self.tokens = args.tokens
        self.first = time.monotonic()
        self.duration = args.minutes * 60 if args.minutes else None
        if args.deadline:
            left = args.deadline - SAVING_S - (self.first - STARTED)
            if left <= 0:
                raise SystemExit(f"train: no time is left before the deadline ({args.deadline:g} s)"
                                 " once everything is compiled")
            self.duration = min(left, self.duration or left)

    @property
    def seconds(self):
        return time.monotonic() - self.first

    def progress(self, n_tokens):
        shares = []
        if self.tokens:
            shares.append(n_tokens / self.tokens)
        if self.duration:
            shares.append(self.seconds / self.duration)
        return min(max(shares), 1.0)


def synthetic_documents(vocab_size):
    """Random tokens, of which a fifth counts in full: what --bench trains on."""
    def documents(progress, seed):
        random = np.random.default_rng(seed)
        while True:
            n = int(np.clip(random.lognormal(5.6, 0.5), 40, 900))
            weights = np.where(random.random(n) < 0.2, 1.0, 0.1).astype(np.float16)
            yield random.integers(3, vocab_size, n, dtype=np.uint16), weights, 0
    return documents


def synchronise(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def warm_up(trainer, batch):
    """Compiles a step without changing anything. Returns the seconds it took."""
    start = time.monotonic()
    trainer.forward(batch)[0].backward()
    trainer.optimiser.zero_grad(set_to_none=True)
    synchronise(trainer.device)
    return time.monotonic() - start


def time_steps(trainer, batches, n):
    """Seconds per step, optimiser included, at rate 0 (weights stay, but for decay 0)."""
    kept = trainer.snapshot(), trainer.n_steps
    for batch in batches[:3]:
        trainer.step(batch, 0.0)
    synchronise(trainer.device)
    start = time.monotonic()
    for batch in itertools.islice(itertools.cycle(batches), n):
        trainer.step(batch, 0.0)
    synchronise(trainer.device)
    seconds = (time.monotonic() - start) / n
    trainer.restore(kept[0])
    trainer.n_steps = kept[1]
    return seconds


def choose_attention(trainer, batches, compiled, n_steps=10):
    """Compiles and times both kinds and keeps the faster one; one that fails is out."""
    seconds = {}
    n_tokens = batches[0].ids.numel()
    for attention in ("sdpa", "flex"):
        torch._dynamo.reset()
        trainer.use_attention(attention, compiled)
        try:
            compile_s = warm_up(trainer, batches[0])
            seconds[attention] = time_steps(trainer, batches, n_steps)
        except Exception as error:  # whatever a compiler throws
            say(f"attention {attention} failed: {type(error).__name__}: {str(error)[:2000]}")
            trainer.optimiser.zero_grad(set_to_none=True)
            continue
        say(f"attention {attention}: {seconds[attention] * 1e3:.1f} ms per step, "
            f"{n_tokens / seconds[attention]:,.0f} tokens/s, first step {compile_s:.1f} s")
    if not seconds:
        raise SystemExit("train: neither kind of attention works on this device")
    best = min(seconds, key=seconds.get)
    if trainer.attention != best:
        torch._dynamo.reset()
        trainer.use_attention(best, compiled)
        warm_up(trainer, batches[0])
    return best


def packed_batches(documents, layout, args, device, n):
    packer = feed.Packer(documents, layout, args.seed, segmented=device.type == "cpu")
    rows = np.zeros((n, args.batch, layout.width), np.int16)
    for row in rows.reshape(-1, layout.width):
        packer.write(row)
    return [Batch(torch.from_numpy(r).to(device), layout, count_segments(r, layout)) for r in rows]


def bench(trainer, layout, args, device):
    batches = packed_batches(synthetic_documents(trainer.model.config.vocab_size)(None, args.seed),
                             layout, args, device, n=4)
    say(f"{batches[0].ids.numel():,} tokens a step in segments of {batches[0].ids.shape[1]}")
    if args.attention == "auto":
        choose_attention(trainer, batches, args.compile, n_steps=30)
    else:
        say(f"first step {warm_up(trainer, batches[0]):.1f} s")
        seconds = time_steps(trainer, batches, 30)
        say(f"attention {args.attention}: {seconds * 1e3:.1f} ms per step, "
            f"{batches[0].ids.numel() / seconds:,.0f} tokens/s")
    if device.type == "cuda":
        say(f"peak memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
        with torch.profiler.profile() as profile:
            for batch in batches[:3]:
                trainer.step(batch, 0.0)
            synchronise(device)
        print(profile.key_averages().table(sort_by="self_cuda_time_total", row_limit=25,
                                           max_name_column_width=70))


def measure_feed(rows, n_rows, seconds):
    """Says how fast the workers alone are."""
    time.sleep(1)  # they start
    while rows.take(lambda _: None, wait=False):
        pass
    taken, start = 0, time.monotonic()
    while time.monotonic() - start < seconds:
        taken += rows.take(lambda _: None, wait=False)
        time.sleep(0.001)
    rows.check()
    elapsed = time.monotonic() - start
    say(f"{rows.n_workers} workers make {taken * n_rows * rows.layout.length / elapsed:,.0f} "
        f"tokens/s, {padding_share(rows.counts()):.1%} padding")


def padding_share(counts):
    return counts.padding / max(counts.tokens + counts.padding, 1)


def train(trainer, layout, rows, held_out, skills, args, device):
    n_batch = args.batch
    # Rows wait here for at most a few batches, or the curriculum would lag behind the clock.
    n_waiting = (32 if args.replay else 2) * n_batch
    n_per_slot = rows.rows_per_slot
    n_pool = max(args.pool // n_per_slot * n_per_slot, n_waiting) if args.replay else n_waiting
    pool = Pool(n_pool, layout, device, args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "config.json").write_text(
        json.dumps(trainer.model.config.to_transformers_json(), indent=2) + "\n")
    names = [skills.get(skill, f"skill{skill}") for skill in range(max(skills, default=7) + 1)]
    log = Table(args.out / "log.csv", [
        "step", "seconds", "progress", "tokens", "new_tokens", "lr", "loss", "accuracy",
        "grad_norm", "tok_s", "waited", *(f"loss_{name}" for name in names)])
    exact = Table(args.out / "exact.csv", ["step", "seconds", "progress", "all", *names])

    def fill(wait):
        """Takes over rows that are ready; waits only for what a step cannot do without."""
        while pool.n_fresh + n_per_slot <= n_waiting:
            lacking = wait and pool.n_fresh < n_batch
            start = time.monotonic()
            got = rows.take(pool.add, wait=lacking)
            if lacking:
                tally.waited_s += time.monotonic() - start
            if not got or (wait and pool.n_fresh >= n_batch and not args.replay):
                return

    n_drawn = n_batch if device.type == "cpu" else n_batch * STEPS_AT_ONCE

    def batches_of(taken):
        if device.type == "cpu":
            return [Batch(taken, layout, count_segments(taken.numpy(), layout))]
        return list(Batch(taken, layout).parts(n_batch))

    tally = Tally(device)
    fill(wait=True)
    first = batches_of(pool.rows[:n_drawn])[-1]
    if args.attention == "auto":
        say(f"attention {choose_attention(trainer, [first] * 3, args.compile)} is used")
    else:
        say(f"first step {warm_up(trainer, first):.1f} s")
    evaluation = HeldOut(held_out(), layout, n_batch, device) if held_out else None
    stopped = []
    signal.signal(signal.SIGINT, lambda *_: stopped.append(True))  # ends the run, saved
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))

    def evaluate(progress):
        result = evaluation.run(trainer)
        right, total = (sum(column) for column in zip(*result.values()))
        shares = {names[skill]: n / of for skill, (n, of) in result.items()}
        exact.add({"step": step, "seconds": clock.seconds, "progress": progress,
                   "all": right / total, **shares})
        say(f"held out, exact: all {right / total:.1%} of {total}; " + ", ".join(
            f"{name} {share:.1%}" for name, share in shares.items()))

    clock = Clock(args)
    tally.clear()
    step = n_rows = n_new = 0
    saved = evaluated = clock.seconds
    rate_factor, good = 1.0, trainer.snapshot()
    length = layout.length
    progress, waiting = 0.0, []
    while progress < 1.0 and not stopped:
        rows.progress.value = progress
        if not waiting:
            fill(wait=not args.replay)
            drawn, new = pool.draw(n_drawn)
            n_new += new
            waiting = batches_of(drawn)
        batch = waiting.pop()
        rate = args.lr * rate_factor * learning_rate(step, progress)
        tally.add(batch, *trainer.step(batch, rate))
        step += 1
        n_rows += n_batch
        progress = clock.progress(n_rows * length)
        now = clock.seconds
        elapsed = time.monotonic() - tally.since
        if elapsed >= args.log_every or progress >= 1.0 or step == 1:
            loss, accuracy, norm, losses = tally.read()
            elapsed = time.monotonic() - tally.since
            speed = tally.n_steps * n_batch * length / elapsed
            log.add({"step": step, "seconds": now, "progress": progress, "tokens": n_rows * length,
                     "new_tokens": n_new * length, "lr": rate, "loss": loss, "accuracy": accuracy,
                     "grad_norm": norm, "tok_s": speed, "waited": tally.waited_s / elapsed,
                     **{f"loss_{names[skill]}": value for skill, value in losses.items()
                        if skill < len(names)}})
            say(f"step {step}, {progress:.1%}, {n_rows * length / 1e6:.1f} M tokens "
                f"({min(n_new / n_rows, 1):.0%} new), lr {rate:.2e}, loss {loss:.4f}, right "
                f"{accuracy:.1%}, norm {norm:.2f}, {speed:,.0f} tokens/s, "
                f"waited {tally.waited_s / elapsed:.0%}")
            rows.check()
            tally.clear()
            if np.isfinite(loss) and np.isfinite(norm):
                good = trainer.snapshot()
            else:
                rate_factor /= 2
                trainer.restore(good)
                say(f"loss or gradient is not finite: back to the last good weights, rate "
                    f"halved ({rate_factor:g} of --lr)")
        if evaluation and now - evaluated >= args.evaluate_every and progress < 1.0:
            evaluate(progress)
            evaluated = clock.seconds
        if now - saved >= args.save_every and progress < 1.0:
            trainer.save(args.out)
            saved = clock.seconds
    synchronise(device)
    counts = rows.counts()
    say(f"{step} steps, {n_rows * length:,} tokens in {clock.seconds:.0f} s; {n_new / n_rows:.1%} "
        f"of the rows new, {padding_share(counts):.1%} padding, "
        f"{counts.left_out / max(counts.weighted, 1):.1%} of the weighted tokens left out")
    trainer.save(args.out)
    if evaluation:
        evaluate(progress)
    say(f"saved in {args.out}")
    if progress < 1.0:
        raise SystemExit(f"train: stopped after {progress:.1%} of the run")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="keeper.train", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--device", default="auto", help="auto, cpu or cuda (auto)")
    add("--out", type=pathlib.Path, default=pathlib.Path("build/keeper"))
    add("--tokens", type=float, help="length of the run; padding counts")
    add("--minutes", type=float, help="the same, from the first step on, compiling not counted")
    add("--deadline", type=float, help="seconds since the start by which all must be saved")
    add("--init", type=pathlib.Path, help="weights to start from: a folder, .safetensors or .gguf")
    add("--share", action="append", default=[], metavar="SKILL=X",
        help="of the tokens, instead of that of the data module (repeatable)")
    add("--stage-from", type=float, default=0.0,
        help="where in the curriculum the run begins, 0 to 1 (0; with --init say 0.3)")
    add("--size", action="append", default=[], metavar="KEY=N",
        help="a size of KeeperConfig, as vocab_size=3072 (repeatable)")
    add("--data", default="keeper.data", help="module with documents() and heldout()")
    add("--batch", type=int, help="rows a step (64 on a GPU, 4 on a CPU)")
    add("--length", type=int, default=1024, help="tokens a row (1024)")
    add("--scored", type=float, default=0.5, help="share of a row that can be scored (0.5)")
    add("--lr", type=float, default=1.5e-3)
    add("--seed", type=int, default=1)
    add("--attention", choices=("auto", "flex", "sdpa"), default="auto",
        help="auto times both on a GPU; a CPU has sdpa")
    add("--no-compile", dest="compile", action="store_false")
    add("--no-bf16", dest="bf16", action="store_false")
    add("--workers", type=int, help="processes that make documents (all cores but one, at least 1)")
    add("--replay", action=argparse.BooleanOptionalAction,
        help="draw recent rows again rather than wait (GPU: yes, CPU: no)")
    add("--pool", type=int, default=16384, help="rows that --replay draws from (16384)")
    add("--log-every", type=float, default=10, help="seconds (10)")
    add("--save-every", type=float, default=300, help="seconds (300)")
    add("--evaluate-every", type=float, help="seconds (20 on a GPU, 600 on a CPU)")
    add("--held-out", type=int,
        help="documents of each skill to evaluate on, 0 for none (150 on a GPU, 25 on a CPU)")
    add("--bench", action="store_true", help="time synthetic steps and the workers, train nothing")
    args = parser.parse_args()
    if args.device == "auto":
        args.device = "cuda" if torch.cuda.is_available() else "cpu"
    gpu = args.device != "cpu"

    def default(name, on_gpu, on_cpu):
        if getattr(args, name) is None:
            setattr(args, name, on_gpu if gpu else on_cpu)

    default("batch", 64, 4)
    default("replay", True, False)
    default("evaluate_every", 20.0, 600.0)
    default("held_out", 150, 25)
    cores = len(os.sched_getaffinity(0))
    default("workers", max(1, cores - 1), max(1, cores - 1))
    if not gpu:
        if args.attention == "flex":
            parser.error("--attention flex: a CPU cannot train with it (sdpa)")
        args.attention = "sdpa"
    if not (args.bench or args.tokens or args.minutes or args.deadline):
        parser.error("the length of the run is missing (--tokens, --minutes or --deadline)")
    if args.length % 128:
        parser.error(f"--length {args.length} (a multiple of 128)")
    return args


def set_shares(data, items):
    for item in items:
        skill, _, share = item.partition("=")
        if skill not in getattr(data, "SHARES", ()):
            raise SystemExit(f"train: --share {item}: {data.__name__} has no such skill")
        data.SHARES[skill] = float(share)


def make_model(args):
    sizes = {}
    for item in args.size:
        key, _, value = item.partition("=")
        if key not in {field.name for field in dataclasses.fields(KeeperConfig)}:
            raise SystemExit(f"train: --size {item}: KeeperConfig has no such size")
        sizes[key] = int(value)
    torch.manual_seed(args.seed)
    if args.init is None:
        return Keeper(KeeperConfig(**sizes))
    config, weights = export.load_keeper(args.init)
    if any(getattr(config, key) != value for key, value in sizes.items()):
        raise SystemExit(f"train: {args.init}: its sizes are not those of --size ({config})")
    model = Keeper(config)
    model.load_state_dict(weights)
    return model


def main():
    args = parse_arguments()
    torch.set_float32_matmul_precision("high")
    layout = feed.Layout(args.length, int(args.length * args.scored) // 8 * 8)
    gpu = args.device != "cpu"
    n_per_slot = math.gcd(16, args.batch)
    data = rows = held_out = None
    if not args.bench or importlib.util.find_spec(args.data):
        data = importlib.import_module(args.data)
        set_shares(data, args.share)
        # Workers are forked before anything touches the device.
        rows = feed.Feed(
            data.documents, layout, n_workers=args.workers, seed=args.seed,
            rows_per_slot=n_per_slot, slots_per_worker=24 if gpu else 2,
            tokens=None if args.replay or not args.tokens else args.tokens, segmented=not gpu,
            stage_from=args.stage_from)
        if hasattr(data, "heldout") and args.held_out and not args.bench:
            held_out = feed.start_call(lambda: feed.pack_held_out(
                data.heldout(HELD_OUT_SEED, args.held_out), layout))
    device = torch.device(args.device)
    model = make_model(args).to(device)
    trainer = Trainer(model, device, attention=args.attention.replace("auto", "sdpa"),
                      compiled=args.compile, bf16=args.bf16)
    where = torch.cuda.get_device_name() if gpu else f"{torch.get_num_threads()} CPU threads"
    say(f"torch {torch.__version__} on {where}, {model.n_parameters():,} parameters, "
        f"{args.batch} × {args.length} tokens a step, {args.workers} workers")
    try:
        if args.bench:
            if rows:
                rows.progress.value = 0.5
                measure_feed(rows, n_per_slot, 5)
                rows.stop()
            bench(trainer, layout, args, device)
        else:
            skills = dict(enumerate(getattr(data, "SKILLS", ())))
            train(trainer, layout, rows, held_out, skills, args, device)
    finally:
        if rows:
            rows.stop()


if __name__ == "__main__":
    sys.exit(main())
