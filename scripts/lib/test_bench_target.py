"""Tests of what bench-target computes: python3 -m unittest discover scripts/lib"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True

import processes  # noqa: E402
from bench_target import machine, rows, table, visit  # noqa: E402

POOL, FIXED = rows.Row("tail", "pool", 4, "normal"), rows.Row("tail", "pool-1ms", 4, "normal")


def run(ok=100, sent=100, status=None, **account):
    """A run document, as far as it is read."""
    return {
        "account": {"ok": ok, "sent": sent, "unsent": 0, "scheduled": sent, **account},
        "warmup": {"ok": 10, "sent": 12},
        "status": status or {"200": ok},
        "failures": {},
        "summary": {"errors": sent - ok},
    }


class Figures(unittest.TestCase):
    def test_a_spread_is_median_least_and_most(self):
        self.assertEqual(table.spread("{:.1f}", [3, 1, 2]), "2.0 (1.0 to 3.0)")
        self.assertEqual(table.spread("{:.1f}", []), "-")

    def test_ratios_are_of_the_same_round_only(self):
        results = table.Results()
        results.add(POOL, 1, {"p99.9": 10})
        results.add(POOL, 2, {"p99.9": 40})
        results.add(POOL, 3, {"rate": 1})
        results.add(FIXED, 2, {"p99.9": 10})
        results.add(FIXED, 3, {"p99.9": 1})
        results.add(FIXED, 4, {"p99.9": 1})
        expectation = rows.Expectation("", "p99.9", FIXED, POOL, most=0.5)
        self.assertEqual(results.ratios(expectation), [0.25])

    def test_expectations_are_met_at_their_limit(self):
        at_least, at_most = (
            rows.Expectation("", "", POOL, POOL, **limit) for limit in ({"least": 2}, {"most": 0.5})
        )
        self.assertEqual([at_least.met(ratio) for ratio in (1.99, 2)], [False, True])
        self.assertEqual([at_most.met(ratio) for ratio in (0.5, 0.51)], [True, False])

    def test_everything_expected_is_measured(self):
        every = rows.all_rows()
        self.assertEqual(len(every), len(set(every)))
        for expectation in rows.expectations():
            self.assertIn(expectation.row, every)
            self.assertIn(expectation.of, every)

    def test_a_part_without_rows_has_no_table(self):
        results = table.Results()
        results.add(POOL, 1, {"p99": 1.5})
        self.assertEqual(results.part("shared", [POOL]), "")
        self.assertIn("| `pool` | 4 | normal | - | 1.50 (1.50 to 1.50) |", results.part("tail", [POOL]))


class Checks(unittest.TestCase):
    def test_rows_lie_between_answers_and_requests(self):
        document = run(ok=100, sent=103)
        for kept in (110, 115):
            visit.verify(document, kept)
        visit.verify(document, None)
        for kept in (109, 116):
            with self.assertRaises(visit.Unfit):
                visit.verify(document, kept)

    def test_a_load_with_failures_has_no_figures(self):
        visit.refuse_failures(run())
        with self.assertRaisesRegex(visit.Unfit, "1 of 100 requests failed: 1 of status 500"):
            visit.refuse_failures(run(ok=99, status={"200": 99, "500": 1}))
        with self.assertRaisesRegex(visit.Unfit, "7 of 107 requests could not be sent"):
            visit.refuse_failures(run(unsent=7, scheduled=107))


class Machine(unittest.TestCase):
    def test_the_file_system_is_that_of_the_nearest_mount(self):
        self.assertEqual(machine.file_system("/proc/self"), "proc")
        self.assertNotIn(machine.file_system("/"), ("unknown", "proc"))

    def test_a_busy_cpu_is_seen(self):
        loop = [sys.executable, "-c", "while True: pass"]
        with subprocess.Popen(loop, preexec_fn=processes.tied()) as busy:
            share = machine.others_share(0.5)
            busy.kill()
        self.assertGreater(share, 0.5 / os.cpu_count())

    def test_a_page_takes_time_to_be_synced_and_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertGreater(machine.sync_milliseconds(folder), 0)
            self.assertEqual(os.listdir(folder), [])


class Processes(unittest.TestCase):
    def test_a_family_is_found_costs_time_and_is_gone(self):
        script = "python3 -c 'while True: pass' & echo $!; wait"
        shell = subprocess.Popen(
            ["sh", "-c", script], stdout=subprocess.PIPE, text=True, preexec_fn=processes.tied()
        )
        child = int(shell.stdout.readline())
        try:
            self.assertEqual(processes.family(shell.pid), [shell.pid, child])
            while processes.cpu_seconds([child]) < 0.05:
                self.assertIsNotNone(processes.stat(child))
            self.assertEqual(processes.gone([child], 0), [child])
        finally:
            os.kill(child, signal.SIGKILL)
            shell.communicate()
        self.assertEqual(processes.gone([child, shell.pid], 10), [])

    def test_who_is_tied_ends_with_its_parent(self):
        middle = (
            f"import sys; sys.path.insert(0, {str(pathlib.Path(processes.__file__).parent)!r}); import processes, subprocess\n"
            "print(subprocess.Popen(['sleep', '60'], preexec_fn=processes.tied()).pid, flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-Bc", middle], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as parent:
            child = int(parent.stdout.readline())
            parent.kill()
        self.assertEqual(processes.gone([child], 10), [])


if __name__ == "__main__":
    unittest.main()
