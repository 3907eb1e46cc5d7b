"""What a notebook shows: figures with caption and alt text, tables, and computed sentences.

JupyterLab displays them as usual. In addition each carries its meaning as metadata under the key `kdlib`, from which
the published page is made: the page never takes HTML from a notebook, so a value that looks like markup stays text.
Out of scope: which figures and numbers to show.
"""

import html
import numbers
import re
import time

from IPython.display import publish_display_data

NUMERIC = re.compile(r"[-–−+±.,:%()\[\]\de \u00a0\u202f]+")  #: columns of such cells are right-aligned: 0.98 ± 0.01
IMAGES = {name: f"application/vnd.kdlib.{name}" for name in ("light", "dark", "narrow", "narrow_dark")}  #: for the page
EXPLORER_MIME = "application/vnd.kdlib.explorer+json"
PROGRESS_MIME = "application/vnd.kdlib.progress+json"  #: how far a training is, for the report that runs the notebook
UPDATE_SECONDS = 0.25  #: between two of these
BEST = "★"  #: in addition to bold, which not every reader sees


def figure(encoded: dict, name: str = "") -> None:
    """Shows a figure once, as PNG, with its caption below: images and numbers as `plots.images.encode` gives them.

    encoded: with its `caption`, and `alt`, for readers who cannot see it: what it shows, in a sentence or two. The page
    shows its numbers as a table and as CSV, and the image that suits the reader's screen, which JupyterLab ignores.
    With a `name`, Markdown can refer to it: `[the ablation](#figure-ablation)` reads "Figure 3" on the page.
    """
    for key in ("caption", "alt"):
        if not isinstance(encoded[key], str) or not encoded[key].strip():
            raise ValueError(f"{key}: expected a sentence about the figure, got {encoded[key]!r}")
    caption, images = encoded["caption"], {IMAGES[style]: image for style, image in encoded["images"].items()}
    bundle = {"text/plain": f"Figure: {encoded['alt']}", "image/png": encoded["png"], **images}
    meaning = {"kind": "figure", "name": _checked_name(name)}
    meaning |= {key: encoded[key] for key in ("caption", "alt", "sizes", "data") if key in encoded}
    size = dict(zip(("width", "height"), encoded["sizes"]["light"], strict=True))
    publish_display_data(bundle, {"image/png": size, "kdlib": meaning})
    # The page takes the caption from the figure itself; this one is for JupyterLab.
    publish_display_data({"text/markdown": f"*{caption}*", "text/plain": caption}, {"kdlib": {"kind": "caption"}})


def table(
    frame, caption: str, *, digits: int = 4, formats=None, best=None, note: str = "", index=None, name: str = ""
) -> None:
    """Shows a pandas frame, with its caption above and `note` below it; nothing if it has no rows.

    Floats get `digits` decimals, or `formats[column]` (such as ".1%"); what is missing or empty is a dash, and
    thousands of long counts are set apart. `best` marks cells in bold and with a star: a frame of booleans like
    `frame`, or a dict {column: "max" or "min"}, which marks nothing where several read the same. The index is shown
    unless it merely counts rows, or as `index=True` or `False` decides. `name` is as in `figure`:
    `[the table](#table-NAME)`.
    """
    if not len(frame):
        return
    if index is None:
        index = any(name is not None for name in frame.index.names) or frame.index.dtype.kind not in "iu"
    heads = [str(name or "") for name in frame.index.names] if index else []
    columns = heads + [" · ".join(map(str, c)) if isinstance(c, tuple) else str(c) for c in frame.columns]
    formats = formats or {}
    marked = _marked(frame, best, lambda column, value: _cell(value, digits, formats.get(column)))
    rows, marks = [], []
    for r, (key, values) in enumerate(zip(frame.index, frame.itertuples(index=False, name=None), strict=True)):
        keys = [_cell(k, digits) for k in (key if isinstance(key, tuple) else (key,))] if index else []
        cells = [_cell(v, digits, formats.get(c)) for c, v in zip(frame.columns, values, strict=True)]
        marks += [[r, len(keys) + c] for c in range(len(values)) if marked[r][c]]
        rows.append(keys + cells)
    numeric = [c >= len(heads) and all(NUMERIC.fullmatch(row[c]) for row in rows) for c in range(len(columns))]
    meaning = {
        "kind": "table", "name": _checked_name(name), "caption": caption, "columns": columns, "rows": rows,
        "heads": len(heads), "numeric": numeric, "marks": marks, "note": note,
    }  # fmt: skip
    publish_display_data({"text/html": _html(meaning), "text/plain": _plain(meaning)}, {"kdlib": meaning})


def claim(text: str) -> None:
    """Shows a sentence or paragraph of Markdown whose numbers were just computed; nothing if it is empty."""
    if text:
        publish_display_data({"text/markdown": text, "text/plain": text}, {"kdlib": {"kind": "claim"}})


def prose(text: str) -> None:
    """Shows Markdown that only some datasets need, as if it stood in a cell of its own."""
    publish_display_data({"text/markdown": text, "text/plain": text}, {"kdlib": {"kind": "prose"}})


def explorer(scenes: dict) -> None:
    """Lets the reader of the published page choose dataset, method and seed; JupyterLab shows a line of text."""
    if scenes["datasets"]:
        text = f"The published page has an explorer here, of {len(scenes['datasets'])} datasets."
        publish_display_data({"text/plain": text, EXPLORER_MIME: scenes}, {"kdlib": {"kind": "explorer"}})


def progress(output: str = ""):
    """A function (task, epoch, epochs) that a `Problem` calls as a training goes on: it moves a bar with the time left.

    Of what is `reused`, there is no bar.

    With an `output` folder, a report runs the notebook: then no bar is drawn, and the report is told, four times a
    second, by an update of a display that does not exist, which JupyterLab ignores and no notebook stores.
    """
    from tqdm.auto import tqdm

    bars, last_update = {}, -UPDATE_SECONDS

    def tell_report(task: str, epoch: int, epochs: int, reused: bool = False) -> None:
        nonlocal last_update
        if epoch == epochs or time.monotonic() > last_update + UPDATE_SECONDS:
            last_update = time.monotonic()
            data = {PROGRESS_MIME: {"task": task, "epoch": epoch, "epochs": epochs, "reused": reused}}
            publish_display_data(data, transient={"display_id": PROGRESS_MIME}, update=True)

    def move_bar(task: str, epoch: int, epochs: int, reused: bool = False) -> None:
        if reused:
            return
        if task not in bars:
            bars[task] = tqdm(total=epochs, desc=task, unit="epoch", leave=False)
        bars[task].update(epoch - bars[task].n)
        if epoch == epochs:
            bars.pop(task).close()

    return tell_report if output else move_bar


def literal(text) -> str:
    """`text` with Markdown's special characters escaped: for names from outside, such as a file's."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|~$<>&])", r"\\\1", " ".join(str(text).split()))


def _checked_name(name: str) -> str:
    if name and not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise ValueError(f"name: expected lower-case letters, digits and hyphens, such as 'ablation', got {name!r}")
    return name


def _cell(value, digits: int, form: str | None = None) -> str:
    if value is None or value != value or value == "":  # NaN and NaT differ from themselves
        return "–"
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return "yes" if value else "no"
    if form is not None:
        return format(value, form)
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        return f"{value:.{digits}f}"
    if isinstance(value, numbers.Integral) and abs(value) >= 10_000:
        return f"{value:,}".replace(",", "\u202f")
    return str(value)


def _marked(frame, best, text) -> list[list[bool]]:
    marked = [[False] * frame.shape[1] for _ in range(len(frame))]
    if best is None:
        return marked
    if hasattr(best, "to_numpy"):
        if best.shape != frame.shape:
            raise ValueError(f"best: expected booleans of shape {frame.shape}, got {best.shape}")
        return best.to_numpy(dtype=bool).tolist()
    for column, which in best.items():
        if which not in ("max", "min"):
            raise ValueError(f"best: expected 'max' or 'min' for column {column!r}, got {which!r}")
        values = frame[column]
        winner = values.max() if which == "max" else values.min()
        ties = [text(column, value) == text(column, winner) for value in values]
        for r, tied in enumerate(ties if sum(ties) == 1 else ()):
            marked[r][frame.columns.get_loc(column)] = tied
    return marked


def _html(table) -> str:
    """The table for JupyterLab; every value is escaped."""
    marks = {tuple(mark) for mark in table["marks"]}

    def cell(r, c, text):
        tag, style = ("th", "left") if c < table["heads"] else ("td", "right" if table["numeric"][c] else "left")
        text = html.escape(text)
        text = f"<strong>{text}&nbsp;{BEST}</strong>" if (r, c) in marks else text
        return f'<{tag} style="text-align: {style}">{text}</{tag}>'

    head = "".join(f"<th>{html.escape(column)}</th>" for column in table["columns"])
    body = "".join(
        "<tr>" + "".join(cell(r, c, text) for c, text in enumerate(row)) + "</tr>"
        for r, row in enumerate(table["rows"])
    )
    caption = f'<caption style="text-align: left">{html.escape(table["caption"])}</caption>'
    note = f"<p>{html.escape(table['note'])}</p>" if table["note"] else ""
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"


def _plain(table) -> str:
    marks = {tuple(mark) for mark in table["marks"]}
    starred = [
        [f"{text} {BEST}" if (r, c) in marks else text for c, text in enumerate(row)]
        for r, row in enumerate(table["rows"])
    ]
    widths = [max(map(len, column)) for column in zip(table["columns"], *starred, strict=True)]
    lines = ["  ".join(t.ljust(w) for t, w in zip(row, widths, strict=True)) for row in [table["columns"], *starred]]
    return "\n".join([table["caption"], "", *(line.rstrip() for line in lines), *filter(None, [table["note"]])])
