"""Memory: what a run needs grows with what it is made of, and one that cannot fit is refused in one line."""

import pytest
from small_datasets import small_dataset

from kdlib.methods import Problem, memory
from kdlib.settings import Settings
from kdlib.training.loop import TrainingError

SETTINGS = Settings(seeds=2, epochs=2, hidden=(4,))


def test_a_run_that_cannot_fit_is_refused(monkeypatch):
    need = memory.needed(small_dataset(), SETTINGS)
    monkeypatch.setattr(memory, "available", lambda: need)
    Problem(small_dataset(), SETTINGS)
    with pytest.raises(TrainingError, match=r"^small: 240 training samples of 2 features.* 40 seeds .* lower --seeds"):
        Problem(small_dataset(), Settings(seeds=40, epochs=2, hidden=(4,)))
    with pytest.raises(TrainingError, match=r"about 9\.\d GB"):
        Problem(small_dataset(), Settings(seeds=2, epochs=2, hidden=(10_000, 10_000)))


def test_a_container_may_use_less_than_the_machine_has(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "LIMIT", tmp_path / "memory.max")
    free = memory.available()
    assert free > 1e8
    for text, expected in (("1000000\n", 1e6), ("max\n", pytest.approx(free, rel=0.5))):
        memory.LIMIT.write_text(text)
        assert memory.available() == expected
