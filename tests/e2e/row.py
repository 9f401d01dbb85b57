"""What the rows of r_rows share: a server for the tests of a class, and all dialects.

Each row is called with the build folder."""

import pathlib
import sys
import unittest

import dialects
import servers

DIALECTS = dialects.DIALECTS
STREAMED = (False, True)


class RowTest(unittest.TestCase):
    build = None  # set by main()
    flags = ()
    live = False  # the default body instead of scripts
    server = None

    @classmethod
    def setUpClass(cls):
        make = servers.live if cls.live else servers.scripted
        cls.server = make(cls.build, *cls.flags)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def tearDown(self):
        self.assertIsNone(self.server.process.poll(),
                          f"the server ended:\n{self.server.log()}")

    def assertError(self, answer, status, *words):
        """The status, and words in the message."""
        self.assertEqual(answer.status, status, answer.data[:500])
        for word in words:
            self.assertIn(word, answer.message)

    def assertAnswered(self, answer):
        self.assertEqual((answer.status, answer.error), (200, None), answer.data[:500])
        self.assertTrue(answer.finish, answer.data[-500:])

    def each(self, **more):
        """All dialects, streamed and not, each as a subtest."""
        for dialect in DIALECTS:
            for stream in STREAMED:
                with self.subTest(dialect=dialect.name, stream=stream, **more):
                    yield dialect, stream


def main():
    RowTest.build = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
