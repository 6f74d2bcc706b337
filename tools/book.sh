#!/usr/bin/env bash
# Makes the documents into a book, target/book, and follows every link of it: tools/book.sh
# mdbook is taken from PATH, else compiled once into target/mdbook (some minutes).
set -euo pipefail
cd "$(dirname "$0")/.."
mdbook=$(command -v mdbook || echo target/mdbook/bin/mdbook)
if [ ! -x "$mdbook" ]; then
  # Without what serves and watches, which is most of it.
  cargo install mdbook --locked --version 0.5.4 --no-default-features --features search --root target/mdbook \
    --target-dir target/mdbook/build
  rm -rf target/mdbook/build
fi
rm -rf target/book
"$mdbook" build docs
python3 - target/book <<'PY'
import html.parser, pathlib, sys, urllib.parse

top = pathlib.Path(sys.argv[1]).resolve()


class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.links, self.ids = [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.ids.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


# The page of everything repeats links that are relative to where they stood; 404 speaks from the root of a server.
pages = {path: Page(path) for path in top.rglob("*.html") if path.name not in ("print.html", "404.html")}
faults, seen = [], 0
for path, page in pages.items():
    for link in page.links:
        parts = urllib.parse.urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        seen += 1
        target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
        if target.is_dir():
            target /= "index.html"
        where = f"{path.relative_to(top)}: {link}"
        if not target.is_relative_to(top) or not target.exists():
            faults.append(f"{where}: leads nowhere")
        elif parts.fragment and target in pages and urllib.parse.unquote(parts.fragment) not in pages[target].ids:
            faults.append(f"{where}: no such heading")
for fault in faults:
    print(f"error: {fault}", file=sys.stderr)
print(f"{len(pages)} pages, {seen} links")
sys.exit(1 if faults or seen < 1000 else 0)
PY
