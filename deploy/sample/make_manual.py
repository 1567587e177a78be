"""Write the sample manual: `python deploy/sample/make_manual.py OUT_DIR [--pdf] [--docx]`.

Without a format both are written. The same content gives the same bytes, today and tomorrow:
no file holds a time of writing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from content import FILE_STEM


def main(argv: list[str] | None = None) -> int:
    """Write the manual as told by the command line and print one path a line."""
    parser = argparse.ArgumentParser(description="Write the sample manual of an invented inverter.")
    parser.add_argument("out_dir", type=Path, help="folder for the files; made if missing")
    parser.add_argument("--pdf", action="store_true", help="only the PDF, unless --docx is given")
    parser.add_argument("--docx", action="store_true", help="only the DOCX, unless --pdf is given")
    args = parser.parse_args(argv)
    both = not (args.pdf or args.docx)
    try:
        args.out_dir.mkdir(parents=True, exist_ok=True)
        # Imported when needed: one format does not ask for the other's library.
        if args.pdf or both:
            from pdf_manual import write_pdf  # noqa: PLC0415

            path = args.out_dir / f"{FILE_STEM}.pdf"
            write_pdf(path)
            print(path)
        if args.docx or both:
            from docx_manual import write_docx  # noqa: PLC0415

            path = args.out_dir / f"{FILE_STEM}.docx"
            write_docx(path)
            print(path)
    except OSError as error:
        print(f"cannot write the manual into {args.out_dir}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
