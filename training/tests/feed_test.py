#!/usr/bin/env python3
"""Rows hold whole documents, know what is scored, and come from the workers as they should.

    PYTHONPATH=training python training/tests/feed_test.py
"""

import itertools
import time
import unittest

import numpy as np
from keeper import feed

LAYOUT = feed.Layout(length=1024, n_scored=512)


def numbered_documents(progress, seed, longest=600):
    """Documents whose ids are all different within one row's reach, weights by position."""
    random = np.random.default_rng(seed)
    for number in itertools.count():
        n = int(random.integers(30, longest))
        ids = (np.arange(n) + 1000 * (number % 20)).astype(np.uint16)
        weights = np.where(np.arange(n) % 4 == 0, 1.0, 0.125).astype(np.float16)
        yield ids, weights, number % 3


def failing_documents(progress, seed):
    yield from itertools.islice(numbered_documents(progress, seed), 100)
    raise ZeroDivisionError("made to fail")


def pack(documents, n, segmented=False):
    packer = feed.Packer(documents, LAYOUT, 1, segmented)
    rows = np.zeros((n, LAYOUT.width), np.int16)
    for row in rows:
        packer.write(row)
    return rows, packer.counts


def parts(row):
    """The documents of a row: (number, start, end)."""
    numbers = LAYOUT.split(row)[1]
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    return [(numbers[start], start, end) for start, end in zip(starts, [*starts[1:], len(numbers)])]


class Packing(unittest.TestCase):
    def test_rows_hold_whole_documents_with_little_padding(self):
        rows, counts = pack(numbered_documents(None, 3), 100)
        self.assertLess(counts.padding / (100 * LAYOUT.length), 0.05)
        for row in rows:
            ids = LAYOUT.split(row)[0].view(np.uint16)
            for number, (stored, start, end) in enumerate(parts(row)):
                self.assertEqual(stored, number)
                if ids[start:end].any():
                    self.assertEqual(ids[start] % 1000, 0)
                    np.testing.assert_array_equal(np.diff(ids[start:end]), 1)

    def test_scored_positions_predict_the_weighted_tokens_of_their_document(self):
        rows, _ = pack(numbered_documents(None, 4), 50)
        for row in rows:
            ids, numbers, chosen, weights, skills = LAYOUT.split(row)
            weights = weights.view(np.float16)
            self.assertTrue((weights > 0).all())  # 3 of 4 tokens would be enough
            self.assertEqual(len(set(chosen)), len(chosen))
            np.testing.assert_array_equal(numbers[chosen], numbers[chosen + 1])
            heavy = weights == 1.0
            starts = {number: start for number, start, _ in parts(row)}
            offset = np.array([position + 1 - starts[numbers[position]] for position in chosen])
            np.testing.assert_array_equal(offset % 4 == 0, heavy)

    def test_what_is_left_out_is_weighed_by_what_stays(self):
        random = np.random.default_rng(1)
        wanted = np.zeros(1024, np.float32)
        wanted[:300], wanted[300:900] = 1.0, 0.1
        positions, scale = feed.choose(wanted, 512, random)
        self.assertEqual(len(positions), 512)
        self.assertTrue(set(range(300)) <= set(positions))
        np.testing.assert_allclose((wanted[positions] * scale).sum(), wanted.sum(), rtol=1e-5)
        positions, scale = feed.choose(np.ones(1024, np.float32), 512, random)
        np.testing.assert_allclose(scale.sum(), 1024)
        self.assertGreater(positions.max(), 900)
        self.assertEqual(len(feed.choose(np.zeros(1024, np.float32), 512, random)[0]), 0)

    def test_segments_are_as_short_as_the_documents(self):
        for longest, segment in ((200, 256), (400, 512), (900, 1024)):
            rows, _ = pack(numbered_documents(None, 5, longest), 20, segmented=True)
            numbers = LAYOUT.split(rows)[1]
            for border in range(segment, LAYOUT.length, segment):
                self.assertTrue((numbers[:, border - 1] != numbers[:, border]).all())

    def test_an_impossible_document_is_refused(self):
        for document, reason in (
                ((np.zeros(1025), np.zeros(1025), 7), "skill 7 has 1025 ids"),
                ((np.zeros(9), np.zeros(8), 0), "9 ids and 8 weights"),
                ((np.zeros(1), np.zeros(1), 0), "1 ids")):
            with self.assertRaisesRegex(ValueError, reason):
                pack(itertools.repeat(document), 1)
        with self.assertRaisesRegex(ValueError, "come to an end"):
            pack(itertools.islice(numbered_documents(None, 1), 70), 100)

    def test_held_out_tokens_know_their_document(self):
        documents = list(itertools.islice(numbered_documents(None, 6), 40))
        documents[5] = (documents[5][0], np.zeros(len(documents[5][0])), 0)  # scores nothing
        rows, owners, skills = feed.pack_held_out(documents, LAYOUT)
        self.assertEqual(len(skills), 39)
        del documents[5]
        found = np.bincount(owners.flatten(), minlength=40)[:39]
        wanted = [int((np.arange(len(ids)) % 4 == 0)[1:].sum()) for ids, _, _ in documents]
        np.testing.assert_array_equal(found, wanted)
        with self.assertRaisesRegex(ValueError, "no held-out document"):
            feed.pack_held_out([(np.zeros(9), np.zeros(9), 0)], LAYOUT)


class Workers(unittest.TestCase):
    def take(self, n, **arguments):
        rows = feed.Feed(arguments.pop("documents", numbered_documents), LAYOUT, n_workers=2,
                         seed=1, rows_per_slot=2, slots_per_worker=3, **arguments)
        taken = []
        try:
            for _ in range(n):
                rows.take(lambda slot: taken.append(slot.copy()), wait=True)
        finally:
            rows.stop()
        return np.concatenate(taken)

    def test_a_run_by_tokens_gets_the_same_rows_each_time(self):
        first, second = (self.take(12, tokens=1e6) for _ in range(2))
        np.testing.assert_array_equal(first, second)
        self.assertEqual(len({row.tobytes() for row in first}), 24)

    def test_a_run_by_the_clock_never_waits(self):
        rows = feed.Feed(numbered_documents, LAYOUT, n_workers=2, seed=1, rows_per_slot=2,
                         slots_per_worker=3)
        try:
            deadline = time.monotonic() + 20
            taken = 0
            while taken < 12 and time.monotonic() < deadline:
                taken += rows.take(lambda slot: None, wait=False)
        finally:
            rows.stop()
        self.assertEqual(taken, 12)
        self.assertGreater(rows.counts().tokens, 0)

    def test_a_failing_worker_is_reported(self):
        with self.assertRaisesRegex(RuntimeError, "made to fail"):
            self.take(1000, documents=failing_documents, tokens=1e6)

    def test_a_call_in_another_process_gives_its_result_or_its_error(self):
        self.assertEqual(feed.start_call(lambda: 6 * 7)(), 42)
        with self.assertRaisesRegex(RuntimeError, "ZeroDivisionError"):
            feed.start_call(lambda: 1 // 0)()


if __name__ == "__main__":
    unittest.main()
