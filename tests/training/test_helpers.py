"""Helpers give the same bits and take the last offer first; nothing waits for one that has not begun or has died."""

import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from kdlib.training import losses
from kdlib.training.batches import Shuffled
from kdlib.training.helpers import Helpers
from kdlib.training.loop import cosine, run
from kdlib.training.networks import Architecture, initial_weights
from kdlib.training.plan import TrainingPlan, stack

pytestmark = pytest.mark.slow
SECONDS = 120  #: that a process may take to start on a busy machine
X = np.random.default_rng(0).normal(size=(60, 3))
LABELS = np.eye(2)[(X[:, 0] > 0).astype(int)]


def planned(*seeds, epochs=3, **changes):
    batches = Shuffled(np.arange(60), 10, 6, epochs, seeds)
    weights, rates = initial_weights(Architecture(3, (5,), (2,)), seeds), cosine(0.01, batches.updates)
    plan = TrainingPlan("test", weights, X, (LABELS,), losses.cross_entropy, batches, rates, watch=(X, LABELS))
    return replace(plan, **changes)


def wait_for(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def children():
    """The processes of pools that this one has started."""
    return [each for each in psutil.Process().children() if "spawn_main" in " ".join(each.cmdline())]


def test_helpers_take_the_last_offer_first_and_their_fits_have_the_same_bits():
    plans = [planned(0, 1), planned(2), stack([planned(3, 4), planned(5, 6)])]
    helpers, kept, all_kept = Helpers(1), [], threading.Event()

    def keep_as(number):
        def keep(fit):
            kept.append((number, fit))
            if len(kept) == 2:
                all_kept.set()

        return keep

    for number, plan in enumerate(plans):
        helpers.offer(plan, keep_as(number))
    assert helpers.fit(plans[0]) is None  # it is asked for before a process can have started, and not trained twice
    assert all_kept.wait(SECONDS)
    assert [number for number, _ in kept] == [2, 1]
    for number, fit in kept:
        ours = run(plans[number])
        assert helpers.fit(plans[number]) is fit
        for array, same in zip([*ours.weights, ours.loss], [*fit.weights, fit.loss], strict=True):
            np.testing.assert_array_equal(array, same)
    assert helpers.fit(plans[0]) is None


def test_a_helper_goes_on_after_a_training_that_fails_and_an_interrupted_cell():
    before, helpers, wrong = set(children()), Helpers(1), planned(0, x=np.full((60, 3), np.nan))
    helpers.offer(wrong, lambda fit: pytest.fail("trained"))
    wait_for(lambda: not helpers._offers)
    assert helpers.fit(wrong) is None  # this process will say what is wrong
    for each in set(children()) - before:
        each.send_signal(signal.SIGINT)
    helpers.offer(plan := planned(0), lambda fit: None)
    wait_for(lambda: not helpers._offers)
    assert helpers.fit(plan).updates == 18


def test_nothing_waits_for_a_helper_that_died():
    before, helpers, long = set(children()), Helpers(1), planned(0, epochs=200_000)
    helpers.offer(long, lambda fit: pytest.fail("trained"))
    wait_for(lambda: not helpers._offers)
    for each in set(children()) - before:
        each.kill()
    assert helpers.fit(long) is None
    wait_for(lambda: not helpers.count)
    helpers.offer(plan := planned(0), lambda fit: pytest.fail("trained"))
    assert helpers.fit(plan) is None


def test_a_helper_ends_with_a_process_that_is_killed():
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_helpers import children, planned, wait_for, Helpers
helpers = Helpers(1)
helpers.offer(planned(0, epochs=200_000), None)
wait_for(lambda: not helpers._offers)
print(children()[0].pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, timeout=2 * SECONDS)
    assert ended.returncode < 0
    wait_for(lambda: not psutil.pid_exists(int(ended.stdout)))


def test_a_loss_that_helpers_cannot_import_is_not_offered():
    helpers, own = Helpers(1), planned(0, loss=lambda logits, targets, settings: logits)
    helpers.offer(own, lambda fit: pytest.fail("trained"))
    assert helpers.fit(own) is None
    assert helpers._pool is None
