"""The settings of a run, checked when they are made.

One frozen dataclass is the template's parameters, the command line's options and every method's
settings at once, so that a wrong value stops a run before any training. Paths and machines are not
settings of a run and do not belong here.
"""

from dataclasses import dataclass, fields


class SettingsError(ValueError):
    """A setting of the wrong name, type or range; the message says what was expected and what came."""


@dataclass(frozen=True)
class Settings:
    """All settings of one run of the experiment, the same for every method that it compares."""

    seeds: int = 30  #: networks per method; methods are compared seed by seed
    epochs: int = 300  #: passes of the network or student over the training set
    hidden: tuple[int, ...] = (64, 32)  #: units of the hidden layers
    batch_size: int = 32  #: samples per update
    learning_rate: float = 3e-3  #: Adam's rate, at the start where a schedule lowers it
    temperature: float = 4.0  #: softens teachers' and students' logits in `kd_*`
    alpha: float = 0.5  #: weight of the labels' cross-entropy; the teachers get 1 - alpha

    def __post_init__(self):
        if isinstance(self.hidden, list):  # what a notebook's or a YAML file's list becomes
            object.__setattr__(self, "hidden", tuple(self.hidden))
        for name in ("seeds", "epochs", "batch_size"):
            check_whole(name, getattr(self, name))
        if not isinstance(self.hidden, tuple) or not self.hidden:
            raise SettingsError(f"hidden: expected a list of layer widths such as [64, 32], got {self.hidden!r}")
        for width in self.hidden:
            check_whole("hidden", width)
        check_number("learning_rate", self.learning_rate, 0, 1)
        check_number("temperature", self.temperature, 0, 1000)
        check_number("alpha", self.alpha, 0, 1, including_low=True)

    @classmethod
    def named(cls, **settings) -> "Settings":
        """A study from settings by name; an unknown name is a `SettingsError` that lists the known ones."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(settings) - known):
            raise SettingsError(f"unknown setting {', '.join(unknown)}; the settings are {', '.join(sorted(known))}")
        return cls(**settings)


def check_whole(name: str, value) -> None:
    """Raises `SettingsError` if a setting is no whole number from 1 to a million."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1_000_000:
        raise SettingsError(f"{name}: expected a whole number of at least 1, got {value!r}")


def check_number(name: str, value, low: float, high: float, including_low: bool = False) -> None:
    """Raises `SettingsError` if a setting is no number above `low`, or at least that, and at most `high`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not (low <= value if including_low else low < value) or not value <= high:
        bound = "of at least" if including_low else "above"
        raise SettingsError(f"{name}: expected a number {bound} {low} and at most {high}, got {value!r}")
