"""What a notebook shows: figures with caption and alt text, tables, and computed sentences.

JupyterLab displays them as usual; beside that, each carries its meaning as metadata under the key
`kdlib`, from which the published page is made. The page never takes HTML from a notebook, so a value
that looks like markup stays text. Which figures and numbers to show is decided elsewhere.
"""

import base64
import html
import io
import numbers
import re
import time

from IPython.display import publish_display_data

DOTS_PER_INCH = 192  # two image pixels per CSS pixel, sharp on dense screens
NUMERIC = re.compile(r"[-–−+±.,:%()\[\]\de \u00a0\u202f]+")  # such columns are set to the right: 0.98 ± 0.01
DARK = "application/vnd.kdlib.dark"  #: a second PNG, which JupyterLab passes over
PROGRESS = "application/vnd.kdlib.progress+json"  #: what the press shows while a notebook trains
EXPLORER = "application/vnd.kdlib.explorer+json"
BEST = "★"  # marks what is printed in bold, for those who do not see bold


def figure(fig, caption: str, alt: str, *, dark=None, data: str = "", name: str = "") -> None:
    """Shows a Matplotlib figure once, as PNG, with its caption below, and closes it.

    `alt` is for readers who cannot see the figure: what it shows, in a sentence or two. `dark` is the same figure for
    a dark page. `data` names the file beside the published page that holds the figure's numbers. With a `name`,
    Markdown can refer to it: `[the ladder](#figure-ladder)` reads "Figure 3" on the page.
    """
    for what, text in (("caption", caption), ("alt", alt)):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{what}: expected a sentence about the figure, got {text!r}")
    png, width, height = _png(fig)
    bundle = {"image/png": png, "text/plain": f"Figure: {alt}"}
    if dark is not None:
        bundle[DARK], *_ = _png(dark)
    meaning = {"kind": "figure", "name": _name(name), "caption": caption, "alt": alt, "data": data}
    meaning |= {"width": width, "height": height}
    publish_display_data(bundle, {"image/png": {"width": width, "height": height}, "kdlib": meaning})
    # The page has the caption from the figure itself; this one is for JupyterLab.
    publish_display_data({"text/markdown": f"*{caption}*", "text/plain": caption}, {"kdlib": {"kind": "caption"}})


def table(
    frame, caption: str, *, digits: int = 4, formats=None, best=None, note: str = "", index=None, name: str = ""
) -> None:
    """Shows a pandas frame, with its caption above.

    Floats get `digits` decimals, or `formats[column]` (such as ".1%"), long counts a thin space between thousands; a
    missing value is a dash.
    `best` marks cells in bold and with a star: a frame of booleans like `frame`, or a dict
    {column: "max" or "min"}. `note` stands below the table. The index is shown unless it is a bare
    count of rows; `index=True` or `False` decides otherwise. `name` is as in `figure`: `[the table](#table-NAME)`.
    """
    if index is None:
        index = any(name is not None for name in frame.index.names) or frame.index.dtype.kind not in "iu"
    heads = [str(name or "") for name in frame.index.names] if index else []
    columns = heads + [" · ".join(map(str, c)) if isinstance(c, tuple) else str(c) for c in frame.columns]
    marked = _marked(frame, best)
    formats = formats or {}
    rows, marks = [], []
    for r, (key, values) in enumerate(zip(frame.index, frame.itertuples(index=False, name=None), strict=True)):
        keys = [_text(k, digits) for k in (key if isinstance(key, tuple) else (key,))] if index else []
        cells = [_text(v, digits, formats.get(c)) for c, v in zip(frame.columns, values, strict=True)]
        marks += [[r, len(keys) + c] for c in range(len(values)) if marked[r][c]]
        rows.append(keys + cells)
    numeric = [c >= len(heads) and all(NUMERIC.fullmatch(row[c]) for row in rows) for c in range(len(columns))]
    meaning = {
        "kind": "table", "name": _name(name), "caption": caption, "columns": columns, "rows": rows, "heads": len(heads),
        "numeric": numeric, "marks": marks, "note": note,
    }  # fmt: skip
    publish_display_data({"text/html": _html(meaning), "text/plain": _plain(meaning)}, {"kdlib": meaning})


def claim(text: str) -> None:
    """Shows a sentence or paragraph of Markdown whose numbers were computed just now; nothing if there is none."""
    if text:
        publish_display_data({"text/markdown": text, "text/plain": text}, {"kdlib": {"kind": "claim"}})


def explorer(scenes: dict) -> None:
    """Lets the reader of the published page choose dataset, method and seed; in JupyterLab it is only named."""
    if scenes["datasets"]:
        said = f"An explorer of {len(scenes['datasets'])} datasets, on the published page."
        publish_display_data({"text/plain": said, EXPLORER: scenes}, {"kdlib": {"kind": "explorer"}})


def progress(output: str = ""):
    """Tells how far a training is: by a bar with the time left, which goes with it; or, with an `output`, to the press.

    Returns what a `Problem` calls with the task, the epoch and the number of epochs. The press hears of it four times
    a second, as an update of a display that is not there: JupyterLab passes over it, and no notebook keeps it.
    """
    from tqdm.auto import tqdm

    bars, told = {}, [0.0]

    def tell(task: str, epoch: int, epochs: int) -> None:
        if epoch == epochs or time.monotonic() > told[0] + 0.25:
            told[0] = time.monotonic()
            data = {PROGRESS: {"task": task, "epoch": epoch, "epochs": epochs}}
            publish_display_data(data, transient={"display_id": PROGRESS}, update=True)

    def heard(task: str, epoch: int, epochs: int) -> None:
        if task not in bars:
            bars[task] = tqdm(total=epochs, desc=task, unit="epoch", leave=False)
        bars[task].update(epoch - bars[task].n)
        if epoch == epochs:
            bars.pop(task).close()

    return tell if output else heard


def literal(text) -> str:
    """`text` with Markdown's signs escaped: for names that come from outside, such as a file's."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|~$<>&])", r"\\\1", " ".join(str(text).split()))


def _name(name: str) -> str:
    if name and not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise ValueError(f"name: expected small letters, digits and hyphens, such as 'ladder', got {name!r}")
    return name


def _png(fig) -> tuple[str, int, int]:
    """A figure as PNG in base64, and its width and height on the page; closes it.

    Of 256 colours, which the eye does not tell from all and which are a third of the bytes; the paper's own is among
    them, or a faint box would show on the page. The same figure is the same bytes.
    """
    from matplotlib import pyplot  # only a notebook that draws pays for these
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    fig.savefig(drawn, format="png", dpi=DOTS_PER_INCH, bbox_inches="tight")
    pyplot.close(fig)
    with Image.open(drawn) as image:
        image = image.convert("RGB")
        colours = image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        palette, paper = colours.getpalette(), 3 * colours.getpixel((0, 0))
        palette[paper : paper + 3] = image.getpixel((0, 0))
        colours.putpalette(palette)
        colours.save(small, format="PNG", optimize=True)
        width, height = (side * 96 // DOTS_PER_INCH for side in image.size)
    return base64.b64encode(small.getvalue()).decode("ascii"), width, height


def _text(value, digits: int, form: str | None = None) -> str:
    if value is None or value != value:  # NaN and NaT differ from themselves
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


def _marked(frame, best) -> list[list[bool]]:
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
        for r, value in enumerate(values):
            marked[r][frame.columns.get_loc(column)] = bool(value == winner)
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
