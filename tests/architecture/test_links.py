"""Links between the pages of this repository lead somewhere."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\((?P<file>[^)#:\s]*)(?:#(?P<part>[^)\s]+))?\)")
CODE = re.compile(r"```.*?```", re.DOTALL)


def parts(page: str) -> set[str]:
    """Give the names that a page's headings have as the ends of links."""
    titles = re.findall(r"^#+ (.*)$", CODE.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_links_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    followed = 0
    for page in pages:
        for link in LINK.finditer(CODE.sub("", page.read_text())):
            target = page.parent / link["file"] if link["file"] else page
            assert target.exists(), (page.name, link[0])
            if link["part"] is not None:
                assert link["part"] in parts(target.read_text()), (page.name, link[0])
            followed += 1
    assert len(pages) > 15
    assert followed > 50
