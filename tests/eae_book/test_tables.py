"""Tables of results: the same numbers in HTML and in text, the best emphasised."""

import pytest
from bs4 import BeautifulSoup

from eae_book.tables import table

ROWS = [
    {"model": "AE", "distance": 37.04, "images": 10_000},
    {"model": "EAE <b>", "distance": 29.71, "images": 10_000},
    {"model": "VAE", "distance": 29.9, "images": None},
]


def cells(found):
    soup = BeautifulSoup(found._repr_html_(), "html.parser")
    return soup, [[c.get_text() for c in row.find_all(["th", "td"])] for row in soup.find_all("tr")]


def test_html_holds_the_cells_of_the_text():
    found = table(ROWS, caption="Three models.", digits=1, sort="distance")
    soup, rows = cells(found)
    assert soup.caption.get_text() == "Three models."
    expected = [["EAE <b>", "29.7", "10,000"], ["VAE", "29.9", "-"], ["AE", "37.0", "10,000"]]
    assert rows[-3:] == expected
    for row in expected:
        assert any(all(cell in line for cell in row) for line in repr(found).splitlines())


@pytest.mark.parametrize(("margin", "bold"), [(0.0, ["29.71"]), (0.5, ["29.71", "29.90"])])
def test_the_best_within_the_spread_is_emphasised(margin, bold):
    found = table(ROWS, best={"distance": "min"}, within={"distance": margin})
    soup, _ = cells(found)
    style = soup.style.get_text()
    ids = [name for name in (c.get("id") for c in soup.find_all("td")) if f"#{name}" in style]
    assert [soup.find(id=name).get_text() for name in ids] == bold


def test_the_same_cells_give_the_same_html():
    assert table(ROWS)._repr_html_() == table(ROWS)._repr_html_()


def test_words_may_be_broken_and_numbers_may_not():
    soup, _ = cells(table([{"model": "AE", "distance": 3.0, "verdict": "no better than chance"}]))
    classes = {cell.get_text(): cell.get("class") for cell in soup.find_all("td")}
    assert "words" in classes["no better than chance"]
    assert "words" not in classes["3.00"]


def test_what_is_not_there_is_named():
    with pytest.raises(ValueError, match="no column 'size'; there are model, distance, images"):
        table(ROWS, best={"size": "min"})
    with pytest.raises(ValueError, match="at least one row"):
        table([])
