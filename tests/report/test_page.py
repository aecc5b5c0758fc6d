from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from cellixir.exceptions import ConfigurationError, DataError
from cellixir.figures.regression import observed_vs_predicted
from cellixir.figures.style import RC, families, new_axes
from cellixir.metrics.intervals import Interval
from cellixir.report.page import Report

PICTURES = True  # every figure is drawn


class Page(HTMLParser):
    """Cells of the tables, ids and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.cells: list[dict[str, str]] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self._inside = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        if tag == "td":
            self._inside = True
            self.cells.append({"text": "", **dict(attrs)})

    def handle_endtag(self, tag):
        if tag == "td":
            self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.cells[-1]["text"] += data


def line() -> Axes:
    ax = new_axes()
    ax.plot([0, 1], [2, 3])
    return ax


def test_page_fetches_nothing():
    page = Report("T", "S").section("A", "text").figure(line(), "c").table(pd.DataFrame({"a": [1]})).render()
    assert "http:" not in page
    assert "https:" not in page
    for target in re.findall(r"""(?:src|href|srcset|action)\s*=\s*["']?([^"'\s>]*)""", page):
        assert target.startswith(("#", "data:"))
    assert not re.search(r"url\((?!#)|@import|<link|<iframe", page)


def test_everything_a_user_writes_is_escaped():
    evil = "<script>alert('x')</script>"
    ax = line()
    ax.set_title(evil)
    report = Report(evil, evil).section(evil, evil).statement(evil).notes([evil]).facts({evil: evil})
    report.table(pd.DataFrame({evil: [evil]}), evil).figure(ax, evil, evil).figure(line(), evil, png=True)
    page = report.render()
    assert "<script>alert" not in page
    assert page.count("<script") == 1  # the page's own
    assert page.count("&lt;script&gt;") >= 14


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1))
def test_text_of_a_cell_comes_back_as_it_was(text):
    page = Page(Report("t").table(pd.DataFrame({"a": [text]})).render())
    assert [cell["text"] for cell in page.cells] == [text]


def test_cells_show_rounded_numbers_and_sort_by_exact_ones():
    frame = pd.DataFrame({"n": [213787], "x": [-1.23456], "nan": [np.nan], "zero": [-0.0001], "s": [12.345]})
    cells = Page(Report("t").table(frame, formats={"s": "{:.1f}", "nan": lambda v: "never"}).render()).cells
    assert [cell["text"] for cell in cells] == ["213,787", "−1.235", "–", "0.000", "12.3"]
    assert [float(cell["data-v"]) for cell in cells[:2]] == [213787, -1.23456]
    assert {cell["class"] for cell in cells} == {"n"}


def test_estimates_show_their_interval_and_hide_an_unknown_one():
    frame = pd.DataFrame({"r": [Interval(1.0, 0.9, -1.1), Interval(2.0)]})
    cells = Page(Report("t").table(frame, float_format="{:.2f}").render()).cells
    assert [cell["text"] for cell in cells] == ["1.00 0.90 to −1.10", "2.00"]
    assert cells[1]["data-v"] == "2.0"


def test_words_are_left_alone_and_missing_ones_are_a_dash():
    frame = pd.DataFrame({"a": ["x-1", None, pd.NA, True, False]})
    cells = Page(Report("t").table(frame).render()).cells
    assert [cell["text"] for cell in cells] == ["x-1", "–", "–", "yes", "no"]
    assert not any("class" in cell for cell in cells)


def test_rows_are_set_off_by_label_and_values_get_dots():
    frame = pd.DataFrame({"m": ["a", "b"]}, index=["first", "second"])
    page = Report("t").table(frame, highlight=["second"], colours={"m": {"a": "#123456"}}).render()
    assert page.count('class="marked"') == 1
    assert page.index('class="marked"') > page.index('style="background:#123456"')


def test_format_of_a_column_that_is_not_there_is_refused():
    with pytest.raises(DataError, match="no column 'b' to format; the table has 'a'"):
        Report("t").table(pd.DataFrame({"a": [1]}), formats={"b": "{}"})


def test_columns_of_the_same_name_and_empty_tables_pass():
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert [cell["text"] for cell in Page(Report("t").table(frame).render()).cells] == ["1", "2"]
    assert Page(Report("t").table(frame[:0]).render()).cells == []


def test_anchors_are_made_from_titles_and_stay_unique():
    report = Report("t").section("Top").section("Per-drug, R²").section("Per-drug R").section("4 folds").section("µ")
    anchors = [section.anchor for section in report.sections]
    assert anchors == ["top", "top-2", "per-drug-r", "per-drug-r-2", "s-4-folds", "section"]
    page = report.render()
    assert all(f'href="#{anchor}"' in page and f'id="{anchor}"' in page for anchor in anchors[1:])
    for bad in ("top", "a b", '"'):
        with pytest.raises(ConfigurationError, match="choose another one"):
            report.section("x", anchor=bad)


def test_ids_of_figures_do_not_meet():
    page = Report("t").section("s")
    for _ in range(3):
        page.figure(line())
    html = page.render()
    ids = Page(html).ids
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]*)\)", html)) <= set(ids)


def test_page_is_the_same_each_time():
    pages = {Report("t").section("s").figure(observed_vs_predicted([1, 2], [2, 1])).render() for _ in range(2)}
    assert len(pages) == 1


def test_heavy_figures_become_bitmaps():
    ax = new_axes()
    ax.scatter(np.arange(9000) % 97, np.arange(9000) % 89)
    page = Report("t").figure(ax, alt='a "b"').render()
    assert 'alt="a &#34;b&#34;" src="data:image/png;base64,' in page
    assert len(page) < 400_000


def test_light_figures_stay_text_that_can_be_searched():
    ax = line()
    ax.set_xlabel("Nutlin-3a")
    assert ">Nutlin-3a</text>" in Report("t").figure(ax).render()


def test_letters_that_no_font_has_stay_text_beside_a_bitmap_of_the_points(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(RC, "font.family", families([]))  # whatever is installed
    monkeypatch.setattr("cellixir.report.page.SVG_LIMIT", 10_000)
    for png in (True, False):
        ax = new_axes()
        ax.scatter(np.arange(400), np.arange(400))
        ax.set_title("细胞 세포")
        page = Report("A").section("S").figure(ax, "細胞", png=png).render()
        assert re.search("<text[^>]*>[^<]*细胞 세포</text>", page)
        assert page.count("data:image/png;base64,") == 1
        assert "<circle" not in page
        assert page.count("<use") < 100  # ticks, and no points
    assert families(["DejaVu Sans", "Noto Sans CJK JP"]) == ["sans-serif", "Noto Sans CJK JP"]


def test_paired_figures_share_a_row_and_an_odd_one_stands_alone():
    report = Report("t").section("s")
    for _ in range(3):
        report.figure(line(), "caption", pair=True)
    page = report.render()
    assert page.count('class="row two"') == 1
    assert page.count('class="beside"') == 1


def test_nothing_is_left_open():
    _, ax = plt.subplots()
    Report("t").figure(ax).figure(line())
    assert plt.get_fignums() == []


def test_axes_without_a_figure_are_refused():
    ax = line()
    ax.remove()
    with pytest.raises(ConfigurationError, match="no figure"):
        Report("t").figure(ax)


def test_write_makes_folders_and_replaces(tmp_path: Path):
    path = tmp_path / "new" / "page.html"
    assert Report("one").write(path) == path
    Report("two").write(str(path))
    assert "<h1>two</h1>" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["page.html"]


def test_failed_write_leaves_the_old_page_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = Report("old").write(tmp_path / "page.html")

    def full(self: Path, text: str, **_: object) -> None:
        with self.open("w") as file:
            file.write(text[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        Report("new").write(path)
    assert "<h1>old</h1>" in path.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [path]
