"""Keeps a report's table and the README's pictures in reports/reference/, from a report that is there.

`python tools/reference.py reports` after `make report`. The pictures are those that the summary shows, byte for byte.
"""

import base64
import json
import shutil
import sys
from pathlib import Path

PICTURES = {"Why the original's student lost": "ladder.png", "Decision boundaries": "boundaries.png"}  #: by heading


def main(out: Path, reference: Path) -> str:
    """Copies what is kept; returns the error if there is nothing to keep."""
    try:
        record = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
        cells = json.loads((out / "summary.ipynb").read_text(encoding="utf-8"))["cells"]
    except OSError:
        return f"there is no report in {out}: make one first, with `make report`"
    if record["status"] != "ok" or record["parameters"]["draft"]:
        return f"the report in {out} is a draft, or failed: only a whole one is kept"
    reference.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(out / "table.csv", reference / "table.csv")
    heading, pictures = "", dict(PICTURES)
    for cell in cells:
        if cell["cell_type"] == "markdown":
            titles = [line.lstrip("# ").strip() for line in cell["source"] if line.startswith("#")]
            heading = titles[-1] if titles else heading
        for output in cell.get("outputs", []):
            if heading in pictures and "image/png" in output.get("data", {}):
                (reference / pictures.pop(heading)).write_bytes(base64.b64decode(output["data"]["image/png"]))
    return f"the summary has no figure under {', '.join(pictures)}" if pictures else ""


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(__file__).parents[1] / "reports" / "reference") or 0)
