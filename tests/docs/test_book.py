"""The book is whole: its summary names every chapter once, by the chapter's own title, and mdBook builds it without a word of warning."""

import re
import subprocess

import pytest
from pages import DOCS, ROOT, prose

SUMMARY = (DOCS / 'SUMMARY.md').read_text()


def chapters(text: str) -> list[tuple[str, str]]:
    """The (title, file) of a summary, in their order."""
    return re.findall(r'^(?:\s*- )?\[([^]]+)\]\(([^)]+)\)$', text, re.MULTILINE)


def test_the_summary_names_every_page_once():
    named = [file for _, file in chapters(SUMMARY)]
    there = {page.name for page in DOCS.glob('*.md')} - {'SUMMARY.md'}
    assert len(named) == len(set(named)) and len(named) > 10
    assert set(named) == there, f'not in docs/SUMMARY.md: {sorted(there - set(named))}; not in docs/: {sorted(set(named) - there)}'


@pytest.mark.parametrize('title, file', chapters(SUMMARY))
def test_a_chapter_has_the_title_that_the_summary_says(title, file):
    headings = re.findall(r'^# (.+)$', prose((DOCS / file).read_text()), re.MULTILINE)
    assert headings == [title]


def test_nothing_of_the_summary_is_no_chapter():
    """mdBook passes over a line that it does not understand."""
    for line in SUMMARY.splitlines():
        assert not line or re.fullmatch(r'# .+', line) or chapters(line), line


def test_the_book_is_built_without_a_warning(tmp_path):
    found = subprocess.run([ROOT / 'scripts/setup_book.sh', '--no-compile'], capture_output=True, text=True)
    if found.returncode != 0:
        pytest.skip(f'no mdbook: {found.stderr.strip().splitlines()[-1]}')
    built = subprocess.run([found.stdout.strip(), 'build', ROOT, '--dest-dir', tmp_path / 'book'], capture_output=True, text=True)
    said = built.stdout + built.stderr
    assert built.returncode == 0, said
    wrong = [line for line in said.splitlines() if re.search(r'WARN|ERROR|warning|error', line)]
    assert not wrong, said
    for _, file in chapters(SUMMARY):
        page = (tmp_path / 'book' / file).with_suffix('.html')
        text = page.read_text()
        # What stands for the tests only is not shown.
        assert '<main>' in text and not re.search(r'(?<!<!-- )not run:|(?<!<!-- )run in the background', text), file
    # Links between chapters lead to pages, and pictures came along.
    text = (tmp_path / 'book/QUICKSTART.html').read_text()
    assert 'href="WEIGHTS.html"' in text and '.md"' not in text
    assert (tmp_path / 'book/web.png').is_file()
