"""Every relative link of the documents leads somewhere, on GitHub as in the book."""

import pytest
from pages import DOCS, ROOT, anchors, links

PAGES = [ROOT / 'README.md', ROOT / 'ARCHITECTURE.md', ROOT / 'CONTRIBUTING.md', *sorted(DOCS.glob('*.md')), *sorted(ROOT.glob('models/*/README.md'))]


def relative(page):
    return [target for target in links(page.read_text()) if '://' not in target and not target.startswith('mailto:')]


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page):
    wrong = []
    for target in relative(page):
        path, _, anchor = target.partition('#')
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or ROOT not in (file, *file.parents):
            wrong.append(f'{target}: there is no such file')
        elif anchor and (file.suffix != '.md' or anchor not in anchors(file.read_text())):
            wrong.append(f'{target}: there is no such heading')
    assert not wrong, wrong


@pytest.mark.parametrize('page', sorted(DOCS.glob('*.md')), ids=lambda page: page.name)
def test_a_chapter_links_to_nothing_outside_of_the_book(page):
    """On GitHub such a link works, and on the book's pages it does not."""
    outside = [target for target in relative(page) if target.startswith('..')]
    assert not outside, outside


def test_links_that_lead_nowhere_would_be_found():
    """The tools of these tests, on a page that has one of each."""
    page = '# A page, `of` words\n\n[a](B.md#c-d) `[no](link)`\n\n    [no](code)\n\n```sh\n[no](fence)\n```\n\n## C: d\n'
    assert links(page) == ['B.md#c-d']
    assert anchors(page) == {'a-page-of-words', 'c-d'}
