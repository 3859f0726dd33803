"""A corpus keeps in step with its folder, and tells what it skipped."""

import os
import sqlite3
import stat

import pytest
from corpus_lab import HOSTILE, INDEXING, counts, docs_fixture, index_fixture, minimal_pdf, titles, why  # noqa: F401  # fixtures

from guardflow.errors import UsageError
from guardflow.sources import corpus_index
from guardflow.sources.corpus import Corpus, Hit


def test_all_kinds_are_found_and_read_whole(docs, index):
    with Corpus.open(docs, index=index) as corpus:
        assert (corpus.report.added, corpus.report.skipped) == (4, ())
        assert titles(corpus, "harbour ships") == ["The harbour"]
        assert titles(corpus, "tide") == ["Tides"]
        assert titles(corpus, "containers") == ["crane"]
        assert titles(corpus, "annual figures") == ["Report"]
        report = corpus.best("annual")
        assert (report.kind, report.uri, str(report.published)) == ("pdf", "docs/report.pdf", "2024-03-05")
        assert report.text == "Annual figures rose.\n\nSecond page."
        page = corpus.get(corpus.search("tide")[0].document_id)
        assert (page.uri, page.kind, page.text) == (
            "docs/deep/er/page.html",
            "html",
            "The tide rises twice a day.",
        )
        stats = corpus.stats()
        assert (stats.files, stats.documents, stats.skipped) == (4, 4, 0) and stats.characters > 100


def test_words_are_found_by_stem_without_accents_and_by_their_beginning(docs, index):
    with Corpus.open(docs, index=index) as corpus:
        assert titles(corpus, "PAINTING zurich") == ["crane"]
        assert titles(corpus, "contai") == ["crane"]
        assert titles(corpus, "zzz") == [] == titles(corpus, "") == titles(corpus, "?!")
        assert corpus.best("zzz") is None
        assert corpus.search("the", limit=0) == []
        assert len(corpus.search("the", limit=2)) == 2


def test_better_fits_come_first_and_titles_count_more(tmp_path, index):
    (tmp_path / "docs").mkdir()
    for name, text in (
        ("a", "---\ntitle: Other\n---\nOne word on lighthouses."),
        ("b", "---\ntitle: Lighthouses\n---\nOne word on them all."),
        ("c", "# C\n\nNo."),
    ):
        (tmp_path / "docs" / f"{name}.md").write_text(text)
    with Corpus.open(tmp_path / "docs", index=index) as corpus:
        hits = corpus.search("lighthouse")
        assert [hit.title for hit in hits] == ["Lighthouses", "Other"]
        assert hits[0].score > hits[1].score > 0
        assert isinstance(hits[0], Hit) and "word on lighthouses" in hits[1].snippet


def test_languages_without_spaces_are_searched(tmp_path, index):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "ja.txt").write_text("全文検索は便利です。SQLiteで動きます。")
    (tmp_path / "docs" / "th.txt").write_text("สวัสดีชาวโลก")
    with Corpus.open(tmp_path / "docs", index=index) as corpus:
        assert titles(corpus, "検索") == ["ja"] == titles(corpus, "便利な検索") == titles(corpus, "sqlite")
        assert titles(corpus, "ชาวโลก") == ["th"]
        assert corpus.search("検索")[0].snippet == "全文検索は便利です。SQLiteで動きます。"
        assert corpus.best("検索").text == "全文検索は便利です。SQLiteで動きます。"


@pytest.mark.parametrize("query", HOSTILE)
def test_a_query_is_words_and_never_syntax(docs, index, query):
    with Corpus.open(docs, index=index) as corpus:
        hits = corpus.search(query)
        assert len(hits) <= 4
        if "harbour" in query:
            assert "The harbour" in {hit.title for hit in hits}
        assert corpus.stats().documents == 4


def test_operators_find_the_words_they_are_written_with(tmp_path, index):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("We sat near the fire, not far off.")
    with Corpus.open(tmp_path / "docs", index=index) as corpus:
        assert titles(corpus, "NEAR") == ["a"] == titles(corpus, "NOT")


def test_only_what_changed_is_read_again(docs, index):
    Corpus.open(docs, index=index).close()
    read: list[tuple[str, int]] = []
    with Corpus.open(docs, index=index, progress=lambda p: read.append((p.uri, p.read))) as corpus:
        assert counts(corpus.report) == (0, 0, 4, 0)
        assert read[-1][1] == 0 and len(read) == 4
        (docs / "crane.txt").write_text("The crane was sold to a museum.")
        (docs / "new.txt").write_text("A new pier.")
        (docs / "harbour.md").unlink()
        os.utime(docs / "report.pdf", ns=(1, 1))  # only its time changed
        assert counts(corpus.refresh()) == (1, 1, 2, 1)
        assert titles(corpus, "museum") == ["crane"] and titles(corpus, "containers") == []
        assert titles(corpus, "pier") == ["new"] and titles(corpus, "harbour") == []
        assert counts(corpus.refresh()) == (0, 0, 4, 0)


def test_a_same_sized_change_is_seen_by_its_time(docs, index):
    with Corpus.open(docs, index=index) as corpus:
        text = (docs / "crane.txt").read_text()
        (docs / "crane.txt").write_text(text.replace("lifts", "drops"))
        os.utime(docs / "crane.txt", ns=(5, 5))
        assert counts(corpus.refresh()) == (0, 1, 3, 0)
        assert "drops" in corpus.best("containers").text


def test_copies_are_one_document_as_long_as_one_is_left(docs, index):
    (docs / "z copy.txt").write_bytes((docs / "crane.txt").read_bytes())
    with Corpus.open(docs, index=index) as corpus:
        assert (corpus.stats().files, corpus.stats().documents) == (5, 4)
        first = corpus.best("containers")
        assert first.uri == "docs/crane.txt"
        (docs / "crane.txt").unlink()
        corpus.refresh()
        assert corpus.get(first.id).uri == "docs/z copy.txt"
        (docs / "z copy.txt").unlink()
        corpus.refresh()
        assert titles(corpus, "containers") == []
        with pytest.raises(UsageError, match="search again"):
            corpus.get(first.id)


def test_the_full_text_table_stays_whole_through_changes(docs, index):
    with Corpus.open(docs, index=index) as corpus:
        for round_ in range(6):
            (docs / "crane.txt").write_text(f"Round {round_} of 全文 changes. Zürich.")
            (docs / f"n{round_ % 2}.txt").write_text(f"Number {round_}")
            (docs / f"n{(round_ + 1) % 2}.txt").unlink(missing_ok=True)
            corpus.refresh()
        assert titles(corpus, "round") == ["crane"]
    with sqlite3.connect(index) as db:
        from guardflow.sources.words import spaced

        db.create_function("spaced", 1, spaced, deterministic=True)
        db.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
        assert (
            db.execute("SELECT count(*) FROM words").fetchone()
            == db.execute("SELECT count(*) FROM documents").fetchone()
        )
    db.close()


def test_several_folders_are_one_corpus(tmp_path, docs, index):
    other = tmp_path / "other" / "docs"
    other.mkdir(parents=True)
    (other / "crane.txt").write_text("Cranes are birds, too.")
    with Corpus.open([docs, other], index=index) as corpus:
        assert {corpus.get(hit.document_id).uri for hit in corpus.search("crane")} == {
            "docs/crane.txt",
            "docs-2/crane.txt",
        }
    with Corpus.open(docs, index=index) as corpus:  # the same file for other folders is made anew
        assert corpus.report.added == 4 and corpus.stats().documents == 4


def test_the_index_is_in_the_state_home_one_for_each_folder_and_private(docs, tmp_path, monkeypatch):
    monkeypatch.setenv("GUARDFLOW_HOME", str(tmp_path / "state"))
    before = {path: path.read_bytes() for path in docs.rglob("*") if path.is_file()}
    Corpus.open(docs).close()
    Corpus.open(docs / "deep").close()
    with Corpus.open(str(docs)) as corpus:
        assert counts(corpus.report) == (0, 0, 4, 0)
        made = list((tmp_path / "state" / "corpus").iterdir())
        assert len([path for path in made if path.suffix == ".sqlite3"]) == 2
        assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
    assert before == {path: path.read_bytes() for path in docs.rglob("*") if path.is_file()}


def test_a_pdf_that_is_only_locked_against_changes_is_read(docs, index):
    (docs / "owned.pdf").write_bytes(minimal_pdf("Anybody may read.", encrypt=True, password=""))
    with Corpus.open(docs, index=index) as corpus:
        assert corpus.report.skipped == () and corpus.best("anybody").text == "Anybody may read."


def test_a_file_with_a_new_time_and_the_same_content_is_not_parsed(docs, index, monkeypatch):
    def never(*args, **options):
        raise AssertionError("it was parsed again")

    with Corpus.open(docs, index=index) as corpus:
        monkeypatch.setattr(corpus_index, "read", never)
        os.utime(docs / "report.pdf", ns=(7, 7))
        assert counts(corpus.refresh()) == (0, 0, 4, 0)
        assert corpus.best("annual").text.startswith("Annual figures rose.")
