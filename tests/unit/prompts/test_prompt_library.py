"""The library: where prompts are found, which one wins, and when they are read again."""

import os
from pathlib import Path

import pytest

from guardflow.errors import PromptError
from guardflow.prompts import PromptLibrary, default_roots


def write(root: Path, name: str, body: str = "Hi") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"---\n---\n{body}" if "partials" not in name else body)
    return path


def text(library: PromptLibrary, name: str = "a") -> str:
    return library.load(name).render({}).messages[0].content


def test_the_first_folder_that_has_a_file_wins(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    write(two, "a.md", "second {% include 'partials/p.md' %}")
    write(two, "partials/p.md", "second")
    write(one, "partials/p.md", "first")
    assert text(PromptLibrary([one, two])) == "second first"


def test_an_unchanged_prompt_is_loaded_once(tmp_path: Path) -> None:
    write(tmp_path, "a.md")
    library = PromptLibrary([tmp_path])
    assert library.load("a") is library.load("a")


def test_an_edit_is_seen(tmp_path: Path) -> None:
    path = write(tmp_path, "a.md", "one")
    library = PromptLibrary([tmp_path])
    assert text(library) == "one"
    stat = path.stat()
    write(tmp_path, "a.md", "two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert text(library) == "two"


def test_an_edit_of_an_include_or_a_variant_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("---\nvariants: {v: {file: a.v.md}}\n---\n{% include 'partials/p.md' %}")
    write(tmp_path, "partials/p.md", "one")
    write(tmp_path, "a.v.md", "one")
    library = PromptLibrary([tmp_path])
    before = library.load("a")
    write(tmp_path, "partials/p.md", "another")
    assert text(library) == "another"
    write(tmp_path, "a.v.md", "another")
    assert library.load("a").render({}, variant="v").messages[0].content == "another"
    assert library.load("a").hash() != before.hash()


def test_a_file_that_appears_in_an_earlier_folder_is_seen(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    write(two, "a.md", "{% include 'partials/p.md' %}")
    write(two, "partials/p.md", "old")
    library = PromptLibrary([one, two])
    assert text(library) == "old"
    write(one, "partials/p.md", "new")
    assert text(library) == "new"
    write(one, "a.md", "mine")
    assert text(library) == "mine"


def test_a_prompt_that_is_removed_or_broken_is_no_longer_served(tmp_path: Path) -> None:
    path = write(tmp_path, "a.md")
    library = PromptLibrary([tmp_path])
    library.load("a")
    path.write_text("broken")
    with pytest.raises(PromptError, match="begins with its front matter"):
        library.load("a")
    path.unlink()
    with pytest.raises(PromptError, match="there is no prompt 'a'"):
        library.load("a")


def test_a_missing_prompt_names_what_is_near(tmp_path: Path) -> None:
    write(tmp_path, "qa/answer.md")
    write(tmp_path, "qa/plan.md")
    with pytest.raises(PromptError, match=r"no prompt 'qa/anwser' in .*: did you mean 'qa/answer'"):
        PromptLibrary([tmp_path]).load("qa/anwser")
    with pytest.raises(PromptError, match=r"no prompt 'x' in .*: create x.md"):
        PromptLibrary([tmp_path / "empty"]).load("x")


def test_a_missing_include_names_what_is_near(tmp_path: Path) -> None:
    write(tmp_path, "partials/rules.md")
    write(tmp_path, "a.md", "{% include 'partials/rule.md' %}")
    with pytest.raises(PromptError, match=r"no file 'partials/rule.md': did you mean 'partials/rules.md'"):
        PromptLibrary([tmp_path]).load("a")


@pytest.mark.parametrize(
    "name", ["", "../a", "/a", "a/../b", "a//b", "a.md", "a\\b", "a\n", "./a", "a/", "~a", "a b"]
)
def test_what_is_not_a_name_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path, "a.md")
    with pytest.raises(PromptError, match="is not the name of a prompt"):
        PromptLibrary([tmp_path / "prompts"]).load(name)


def test_a_link_that_leaves_the_folders_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "secret.md", "secret")
    root = tmp_path / "prompts"
    write(root, "a.md", "{% include 'partials/p.md' %}")
    (root / "partials").mkdir()
    (root / "partials/p.md").symlink_to(tmp_path / "secret.md")
    (root / "b.md").symlink_to(tmp_path / "secret.md")
    library = PromptLibrary([root])
    for name in ("a", "b"):
        with pytest.raises(PromptError, match="is a link that leaves the prompt folders"):
            library.load(name)


def test_a_link_within_the_folders_works(tmp_path: Path) -> None:
    write(tmp_path, "a.md")
    (tmp_path / "b.md").symlink_to(tmp_path / "a.md")
    assert text(PromptLibrary([tmp_path]), "b") == "Hi"


def test_a_folder_with_a_prompts_name_is_no_prompt(tmp_path: Path) -> None:
    (tmp_path / "a.md").mkdir()
    with pytest.raises(PromptError, match="there is no prompt 'a'"):
        PromptLibrary([tmp_path]).load("a")


def test_names_are_those_of_all_folders_without_partials_and_variants(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for root, name in [
        (one, "qa/answer.md"), (two, "qa/answer.md"), (two, "judges/deep/fair.md"), (two, "top.md"),
        (one, "qa/answer.strict.md"), (one, "partials/p.md"), (two, "qa/partials/p.md"), (two, "notes.txt"),
    ]:  # fmt: skip
        write(root, name)
    library = PromptLibrary([one, two, tmp_path / "none"])
    assert library.names() == ["judges/deep/fair", "qa/answer", "top"]
    assert [library.load(name).name for name in library.names()] == list(library.names())


def test_the_projects_prompts_come_before_those_of_the_package(tmp_path: Path) -> None:
    (tmp_path / "guardflow.toml").touch()
    deep = tmp_path / "src" / "deep"
    deep.mkdir(parents=True)
    project, shipped = default_roots(deep)
    assert project == tmp_path / "prompts"
    assert shipped.name == "prompts"
    assert shipped.is_dir()


def test_the_nearest_project_file_decides(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "pyproject.toml").touch()
    (inner / "pyproject.toml").touch()
    assert default_roots(inner)[0] == inner / "prompts"


def test_in_the_checkout_there_is_one_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    import guardflow

    checkout = Path(guardflow.__file__).parent.parent
    monkeypatch.chdir(checkout / "tests")
    assert default_roots() == (checkout / "prompts",)
