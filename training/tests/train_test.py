#!/usr/bin/env python3
"""The training loop learns, resumes, saves in time and recovers; wrong arguments are refused.

    PYTHONPATH=training:training/tests python training/tests/train_test.py
"""

import argparse
import csv
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

import copying_data
import numpy as np
import torch
from keeper import export, feed, train
from keeper.model import Keeper, KeeperConfig

SIZES = {"vocab_size": copying_data.VOCAB, "hidden_size": 64, "head_dim": 16,
         "global_head_dim": 32, "intermediate_size": 64, "hidden_size_per_layer_input": 8,
         "sliding_window": 16}
SMALL = [f"--size={key}={value}" for key, value in SIZES.items()]
LAYOUT = feed.Layout(256, 64)


def run(*arguments):
    command = [sys.executable, "-m", "keeper.train", "--device=cpu", "--data=copying_data",
               "--length=256", "--batch=8", "--workers=1", "--no-compile", "--held-out=100",
               *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def rows_of(folder, name):
    with open(folder / name) as file:
        return list(csv.DictReader(file))


def small_trainer():
    torch.manual_seed(1)
    return train.Trainer(Keeper(KeeperConfig(**SIZES)), torch.device("cpu"), attention="sdpa",
                         compiled=False, bf16=False)


def a_batch(seed=1):
    packer = feed.Packer(copying_data.documents(None, seed), LAYOUT, seed)
    rows = np.zeros((4, LAYOUT.width), np.int16)
    for row in rows:
        packer.write(row)
    return train.Batch(torch.from_numpy(rows), LAYOUT)


class Schedule(unittest.TestCase):
    def test_the_rate_warms_up_stays_and_falls(self):
        for step, progress, rate in ((0, 0.0, 0.01), (99, 0.1, 1.0), (500, 0.6, 1.0),
                                     (500, 0.8, 0.51), (500, 1.0, 0.02)):
            self.assertAlmostEqual(train.learning_rate(step, progress), rate, places=6)

    def test_the_run_ends_with_whichever_limit_comes_first(self):
        args = argparse.Namespace(tokens=1000, minutes=None, deadline=None)
        self.assertEqual(train.Clock(args).progress(250), 0.25)
        args.deadline = time.monotonic() - train.STARTED + train.SAVING_S + 1000
        clock = train.Clock(args)
        clock.first -= 500
        self.assertAlmostEqual(clock.progress(250), 0.5, places=2)
        args.deadline = 1
        with self.assertRaisesRegex(SystemExit, "no time is left"):
            train.Clock(args)


class Steps(unittest.TestCase):
    def test_loss_is_that_of_the_scored_tokens(self):
        trainer, batch = small_trainer(), a_batch()
        loss, losses, right = trainer.forward(batch)
        logits = trainer.model(batch.ids, batch.documents)
        everywhere = torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), batch.ids[:, 1:].flatten().long(), reduction="none")
        wanted = everywhere.view(4, -1).gather(1, batch.chosen)
        counted = batch.weights > 0
        torch.testing.assert_close(losses[counted], wanted[counted])
        torch.testing.assert_close(loss, (wanted * batch.weights).sum() / batch.weights.sum())
        self.assertEqual(right.shape, batch.weights.shape)

    def test_segments_change_nothing(self):
        packer = feed.Packer(copying_data.documents(None, 1), feed.Layout(1024, 128), 1, True)
        rows = np.zeros((2, packer.layout.width), np.int16)
        for row in rows:
            packer.write(row)
        self.assertEqual(train.count_segments(rows, packer.layout), 4)
        trainer = small_trainer()
        losses = [trainer.forward(train.Batch(torch.from_numpy(rows), packer.layout, n))[0]
                  for n in (1, 4)]
        torch.testing.assert_close(*losses, atol=1e-5, rtol=1e-5)

    def test_timing_and_evaluating_leave_the_weights_alone(self):
        trainer, batch = small_trainer(), a_batch()
        before = [p.detach().clone() for p in trainer.parameters]
        train.time_steps(trainer, [batch] * 3, 2)
        packed = feed.pack_held_out(copying_data.heldout(1, 200), LAYOUT)
        result = train.HeldOut(packed, LAYOUT, 4, torch.device("cpu")).run(trainer)
        self.assertEqual(result, {0: (0, 200)})
        for ours, theirs in zip(trainer.parameters, before):
            torch.testing.assert_close(ours, theirs, atol=0, rtol=0)
        self.assertEqual(trainer.n_steps, 0)
        self.assertFalse(trainer.optimiser.state)

    def test_goes_back_to_good_weights(self):
        trainer = small_trainer()
        trainer.step(a_batch(), 1e-3)
        good = trainer.snapshot()
        with torch.no_grad():
            trainer.parameters[0].fill_(float("nan"))
        self.assertFalse(torch.isfinite(trainer.step(a_batch(), 1e-3)[0]).all())
        trainer.restore(good)
        self.assertTrue(torch.isfinite(trainer.step(a_batch(), 1e-3)[0]).all())
        self.assertTrue(all(torch.isfinite(p).all() for p in trainer.average))

    def test_an_attention_that_fails_is_not_chosen(self):
        # A CPU has no backward of FlexAttention, as a GPU's compiler may have none.
        trainer = small_trainer()
        with mock.patch.object(train, "say") as said:
            self.assertEqual(train.choose_attention(trainer, [a_batch()] * 3, False, 1), "sdpa")
        self.assertIn("attention flex failed", str(said.mock_calls))
        self.assertEqual(trainer.attention, "sdpa")

    def test_the_pool_hands_out_new_rows_first(self):
        pool = train.Pool(8, LAYOUT, torch.device("cpu"), 1)
        for number in range(6):
            pool.add(np.full((2, LAYOUT.width), number, np.int16))
            if number >= 2:
                drawn, n_new = pool.draw(2)
                self.assertEqual(n_new, 2)
                self.assertEqual(drawn[:, 0].tolist(), [number - 2] * 2)
        drawn, n_new = pool.draw(16)
        self.assertEqual(n_new, 4)
        self.assertEqual(drawn[:4, 0].tolist(), [4, 4, 5, 5])
        self.assertTrue(set(drawn[:, 0].tolist()) <= {2, 3, 4, 5})


class Runs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.holder.name)
        cls.first = run("--tokens=5e5", "--lr=4e-3", "--no-bf16", f"--out={cls.folder}", *SMALL)

    @classmethod
    def tearDownClass(cls):
        cls.holder.cleanup()

    def test_learns_to_copy_spans_it_has_never_seen(self):
        self.assertEqual(self.first.returncode, 0, self.first.stderr)
        last = rows_of(self.folder, "log.csv")[-1]
        self.assertGreater(float(last["accuracy"]), 0.9)
        self.assertEqual(last["tokens"], last["new_tokens"])
        self.assertGreater(float(rows_of(self.folder, "exact.csv")[-1]["copying"]), 0.8)

    def test_goes_on_from_what_it_saved(self):
        out = self.folder / "second"
        result = run("--minutes=0.05", "--replay", "--pool=64", f"--init={self.folder}",
                     "--lr=1e-4", f"--out={out}")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertLess(float(rows_of(out, "log.csv")[0]["loss"]), 1.0)

    def test_exports_to_a_folder_that_transformers_opens(self):
        config, weights = export.load_keeper(self.folder)
        self.assertEqual(config, KeeperConfig(**SIZES))
        export.write_folder(self.folder / "exported", config, weights)
        again = export.load_keeper(self.folder / "exported")
        self.assertEqual(again[0], config)
        for name, tensor in weights.items():
            torch.testing.assert_close(again[1][name], tensor, atol=0, rtol=0)

    def test_a_time_limit_holds(self):
        start = time.monotonic()
        result = run("--tokens=1e9", f"--deadline={train.SAVING_S + 15}", *SMALL,
                     f"--out={self.folder / 'third'}")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertLess(time.monotonic() - start, train.SAVING_S + 15)
        self.assertEqual(rows_of(self.folder / "third", "log.csv")[-1]["progress"], "1")

    def test_wrong_arguments_are_refused(self):
        for arguments, reason in (
                ((), "the length of the run is missing"),
                (("--tokens=1", "--attention=flex"), "a CPU cannot train with it"),
                (("--tokens=1", "--size=depth=3"), "no such size"),
                (("--tokens=1", "--init=/nowhere"), "no such file or folder"),
                (("--tokens=1", f"--init={self.folder}", "--size=hidden_size=32"), "not those of")):
            result = run(*arguments)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(reason, result.stderr)


if __name__ == "__main__":
    unittest.main()
