"""What the tests of corpora share: folders and their documents."""

import pytest

from guardflow.sources.corpus import Corpus
from guardflow.sources.corpus_index import IndexReport


def minimal_pdf(*pages: str, title: str = "", encrypt: bool = False, password: str = "secret") -> bytes:
    """A PDF with one line on each page."""
    import io

    from pypdf import PdfReader, PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for text in pages:
        page = writer.add_blank_page(300, 300)
        page[NameObject("/Resources")] = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
        )
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode("latin-1"))
        page[NameObject("/Contents")] = writer._add_object(stream)
    if title:
        writer.add_metadata({"/Title": title, "/CreationDate": "D:20240305101112Z"})
    if encrypt:
        writer.encrypt(password, "owner", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    assert len(PdfReader(io.BytesIO(out.getvalue())).pages) == len(pages) if not encrypt else True
    return out.getvalue()


@pytest.fixture(name="docs")
def docs_fixture(tmp_path):
    folder = tmp_path / "docs"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "harbour.md").write_text("# The harbour\n\nShips have used the harbour since 1921.\n")
    (folder / "crane.txt").write_text("The crane lifts containers. It was painted in Zürich.")
    (folder / "deep" / "er" / "page.html").write_text(
        "<title>Tides</title><p>The tide rises twice a day.</p>"
    )
    (folder / "report.pdf").write_bytes(minimal_pdf("Annual figures rose.", "Second page.", title="Report"))
    return folder


@pytest.fixture(name="index")
def index_fixture(tmp_path):
    return tmp_path / "index.sqlite3"


def titles(corpus: Corpus, query: str) -> list[str]:
    return [hit.title for hit in corpus.search(query)]


HOSTILE = [
    '"',
    '""',
    "'; DROP TABLE documents; --",
    "NEAR(harbour tide, 2)",
    "title:harbour",
    "-harbour",
    "harbour*",
    "^harbour",
    "harbour AND",
    "OR OR NOT",
    "(((",
    "{title text}: x",
    "harbour + tide",
    "\0harbour",
    "a\u202eb\ud800",
    "_ __ ___",
    "harbour " * 5_000,
    " ".join(f"w{i}" for i in range(5_000)),
    "%s %d {0} {{x}}",
    "😀 é ß ﬁ",
]


def counts(report: IndexReport) -> tuple[int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.removed


INDEXING = """
import sys
from guardflow.sources.corpus import Corpus
with Corpus.open(sys.argv[1], index=sys.argv[2]) as corpus:
    print(corpus.stats().documents, len(corpus.search("shared", limit=1000)))
"""


def why(report: IndexReport) -> dict[str, str]:
    return {skipped.path.removeprefix("docs/"): skipped.why for skipped in report.skipped}
