"""Pages fold imports, plots' code and claims; a claim that fails stays in sight."""

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from eae_book.render.folding import fold
from eae_book.tables import table


def folded(source="x = 1", *outputs, tags=()):
    cell = new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})
    return fold(new_notebook(cells=[new_markdown_cell("text"), cell])).cells[1]


def said(*lines):
    return new_output("stream", name="stdout", text="".join(f"{line}\n" for line in lines))


def test_imports_and_plots_are_folded_and_the_rest_is_not():
    picture = new_output("display_data", {"image/png": "aGVsbG8="})
    assert "hide-input" in folded("import math\nfrom a import b\nb()").metadata.tags
    assert "hide-input" in folded("axes.plot(x)", picture).metadata.tags
    assert folded("x = math.pi").metadata.tags == []
    assert "hide-input" in folded("check(x)", said("holds: a: value 1")).metadata.tags
    assert folded("def f(): ...\ncheck(x)", said("holds: a: value 1")).metadata.tags == []
    assert folded("check(x)", said("mean 3", "holds: a: value 1")).metadata.tags == []
    assert folded("x = 1", picture, tags=["parameters"]).metadata.tags == ["parameters"]
    assert folded("axes.plot(x)", picture, tags=["show-input"]).metadata.tags == ["show-input"]


def test_a_fold_says_what_is_behind_it():
    picture = new_output("display_data", {"image/png": "aGVsbG8="})
    rows = table([{"model": "AE", "distance": 3.0}], caption="One.")
    shown = new_output("display_data", {"text/html": rows._repr_html_()})
    for source, outputs, tags, wanted in (
        ("import math", [], [], "Imports"),
        ("axes.plot(x)", [picture], [], "Code of the figure"),
        ("check(x)", [said("holds: a: value 1")], [], "Code of the checks"),
        ("table(rows)", [shown], ["hide-input"], "Code of the table"),
        ("x = 1", [], ["hide-input"], "Code"),
    ):
        metadata = folded(source, *outputs, tags=tags).metadata
        assert metadata.mystnb["code_prompt_show"] == wanted
    assert "mystnb" not in folded("x = 1").metadata


def test_a_table_has_one_head_that_names_its_rows():
    rows = table([{"model": "AE", "distance": 3.0}], caption="One.")
    shown = new_output("display_data", {"text/html": rows._repr_html_()})
    (made,) = folded("rows", shown).outputs
    assert made.data["text/html"].count("<tr>") == rows._repr_html_().count("<tr>") - 1 == 2
    head = made.data["text/html"].partition("</thead>")[0]
    assert head.index("model") < head.index("distance")


def test_claims_go_behind_a_badge_and_other_lines_stay():
    first = "holds: a < b: value 1, band [0, 2]"
    text, badge = folded("f()", said("mean 3", first, "holds: c: value 2, band [0, 2]")).outputs
    assert text.text == "mean 3\n"
    assert "<summary>2 checks hold</summary>" in badge.data["text/html"]
    assert "a &lt; b: value 1" in badge.data["text/html"]
    assert badge.data["text/plain"].splitlines()[0] == first
    assert "open" not in badge.data["text/html"]


def test_claims_of_a_cell_stand_behind_one_badge():
    first, second = folded("f()", said("holds: a: value 1"), said("b", "holds: c: value 2")).outputs
    assert first.text == "b\n"
    assert "<summary>2 checks hold</summary>" in second.data["text/html"]


def test_a_claim_that_fails_is_red_and_open():
    (badge,) = folded("f()", said("holds: a: value 1", "fails: b: value 9")).outputs
    assert 'class="claims claims-fail" open' in badge.data["text/html"]
    assert "<summary>1 of 2 checks fails</summary>" in badge.data["text/html"]
    assert "fails: b: value 9" in badge.data["text/html"]


def test_outputs_without_claims_are_left_alone():
    output = said("holding on", "mean 3")
    assert folded("f()", output).outputs == [output]
