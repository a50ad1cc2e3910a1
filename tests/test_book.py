"""The built book, opened in a browser: what a reader meets, and what must never happen to one.

`make test` opens some pages of each kind, `make regress` all of them.
"""

import json
import os
import re
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

from eae_book.render.book import build_committed
from eae_book.render.pages import render
from eae_book.render.staging import toc_documents
from eae_book.runner.project import Project

ROOT = Path(__file__).resolve().parents[1]
PAGES = toc_documents(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")))
CHAPTERS = [page for page in PAGES if page.startswith("notebooks/")]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SCHEMES = ("light", "dark")
SHOWS = "scheme => document.documentElement.dataset.theme === scheme"
# No sandbox, because containers run as root; the rest keeps Chromium from calling home by itself.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
FACTS, CUTS = (
    (Path(__file__).parent / f"page_{name}.js").read_text(encoding="utf-8")
    for name in ("facts", "cuts")
)
# Text outputs of all chapters that have to be scrolled, by the width of the window: never more.
MOST_SCROLLED = {1400: 0, 390: 0}
ENOUGH, ENOUGH_LARGE = 4.5, 3.0  # contrast of running and of large text: WCAG 2.1, 1.4.3, level AA

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SOME = {"book/preface", "book/notation", "book/runs", CHAPTERS[-1], "search"}


def in_browser(pages):
    """Parameters of a test over pages, of which most wait for `make regress`."""
    kept = [pytest.param(p, marks=[] if p in SOME else pytest.mark.regress) for p in pages]
    return pytest.mark.parametrize("page", kept)


@cache
def soup_of(path):
    """A page, read once for all tests: none of them changes what it reads."""
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """The book of the committed notebooks, built apart from the reader's own copy."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, copy)
    for name in ("book", "notebooks", "data/results"):
        shutil.copytree(ROOT / name, copy / name)
    return build_committed(Project(copy)).page.parent


@pytest.fixture(scope="module")
def address(html):
    """The book on a server of this machine: a page opened as a file may fetch nothing."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=html)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def browser_path():
    """The browser to test with; without one, a reason to skip, but a failure where CI is set."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        reason = f"no browser: install one of {', '.join(BROWSERS)}, or name it in CHROMIUM"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return found


def test_a_missing_browser_is_a_skip_for_a_reader_and_a_failure_in_ci(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="chromium"):
        browser_path()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CHROMIUM"):
        browser_path()


@pytest.fixture(scope="module")
def open_page(address):
    """A function that opens a page of the book in a light or dark window."""
    path = browser_path()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        size = {"width": 1280, "height": 900}
        windows = {s: browser.new_context(color_scheme=s, viewport=size) for s in SCHEMES}

        def visit(page, scheme="light"):
            """The tab, and all that went wrong in it: errors, missing files, foreign requests."""
            tab, wrong = windows[scheme].new_page(), []

            def heard(line):
                # Browsers ask for /favicon.ico by themselves where a page names no icon in time.
                if line.type in ("error", "warning") and not line.location["url"].endswith(".ico"):
                    wrong.append(line.text)

            tab.on("console", heard)
            tab.on("pageerror", lambda error: wrong.append(f"uncaught: {error}"))

            def answered(response):
                if not response.ok and response.status != 304:  # the browser's own copy holds
                    wrong.append(f"{response.status}: {response.url}")

            tab.on("response", answered)
            tab.on(
                "request",
                lambda request: (
                    None
                    if request.url.startswith((address, "data:"))
                    else wrong.append(f"leaves the machine: {request.url}")
                ),
            )
            tab.goto(address + page, wait_until="load")
            return tab, wrong

        yield visit
        browser.close()


@pytest.fixture(scope="module")
def facts(open_page):
    """What the browser knows of a page once it is set, measured once for all tests."""

    @cache
    def measure(page):
        tab, wrong = open_page(f"{page}.html")
        found = {}
        for scheme in SCHEMES:  # as where a system turns dark in the evening
            tab.emulate_media(color_scheme=scheme)
            tab.wait_for_function(SHOWS, arg=scheme)
            found[scheme] = tab.evaluate(FACTS)
        cuts = {}
        for width in MOST_SCROLLED:
            tab.set_viewport_size({"width": width, "height": 844})
            cuts[width] = tab.evaluate(CUTS)
        width = tab.evaluate("document.documentElement.scrollWidth")
        tab.close()
        more = {"wrong": wrong, "width_on_a_phone": width, "cuts": cuts}
        return {scheme: {**of, **more} for scheme, of in found.items()}

    return lambda page, scheme="light": measure(page)[scheme]


def test_the_book_has_the_pages_of_its_table_of_contents_and_no_other(html):
    generated = {"genindex", "index", "prf-prf", "py-modindex", "search"}
    built = {path.relative_to(html).with_suffix("").as_posix() for path in html.rglob("*.html")}
    assert {page for page in built if not page.startswith("_static/")} - generated == set(PAGES)
    assert len(PAGES) == len(set(PAGES)) >= 10
    for page in PAGES:
        assert len(soup_of(html / f"{page}.html").article.find_all("h1")) == 1, page


@pytest.mark.browser
@in_browser([*PAGES, "search", "genindex"])
def test_a_page_opens_without_an_error_and_asks_nothing_of_the_network(facts, page):
    assert facts(page)["wrong"] == []


@pytest.mark.browser
def test_the_first_page_leads_to_the_preface(open_page):
    tab, wrong = open_page("index.html")
    tab.wait_for_url("**/book/preface.html")
    assert wrong == []


@pytest.mark.browser
@in_browser(PAGES)
def test_all_mathematics_is_set(facts, html, page):
    written = len(soup_of(html / f"{page}.html").article.select(".math"))
    assert written > 0 or page not in CHAPTERS
    assert facts(page)["formulas"] >= written
    assert facts(page)["broken_formulas"] == []
    assert facts(page)["cut_formulas"] == [], "wider than the column of a desktop"


@pytest.mark.browser
def test_search_finds_a_word_and_nothing_for_one_that_is_not_there(open_page):
    tab, wrong = open_page("search.html?q=digamma")
    hit = tab.locator("#search-results li a", has_text="Notation").first
    hit.wait_for(timeout=20_000)
    hit.click()
    tab.wait_for_url("**/book/notation.html*")
    assert wrong == []
    tab, _ = open_page("search.html?q=zyzzyva")
    tab.get_by_text("did not match any documents").wait_for(timeout=20_000)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", SCHEMES)
@in_browser(PAGES)
def test_every_text_can_be_read_in_light_and_in_dark(facts, page, scheme):
    measured = facts(page, scheme)
    assert measured["theme"] == scheme
    assert len(measured["texts"]) > 20
    faint = [
        text
        for text in measured["texts"]
        if text["contrast"] < (ENOUGH_LARGE if text["large"] else ENOUGH)
    ]
    assert faint == []


@pytest.mark.browser
def test_a_window_that_opens_in_the_dark_is_dark_from_the_start(open_page):
    tab, wrong = open_page("book/preface.html", "dark")
    assert tab.evaluate(FACTS)["theme"] == "dark"
    assert wrong == []


@pytest.mark.browser
@in_browser(["book/preface", *CHAPTERS])
def test_figures_stand_on_white_in_the_light_and_on_the_page_or_white_in_the_dark(facts, page):
    for scheme in SCHEMES:
        measured = facts(page, scheme)
        assert measured["pictures"]
        for picture in measured["pictures"]:
            assert picture["filter"] == "none", picture["source"]
            assert scheme == "dark" or not picture["dark"], picture["source"]
            ground = measured["ground"] if picture["dark"] else [255] * 4
            assert picture["corners"] == [ground] * 4, picture["source"]


@pytest.mark.browser
@in_browser(PAGES)
def test_nothing_is_cut_and_what_scrolls_can_be_seen_to_scroll(facts, page):
    for width, found in facts(page)["cuts"].items():
        assert found["hidden"] == [], f"beyond the column of a window of {width} pixels"
        assert found["silent"] == [], f"scrolls without a cue at {width} pixels"
    assert facts(page)["cuts"][1400]["tables"] == [], "a table wider than the column"


@pytest.mark.regress
@pytest.mark.browser
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("width", MOST_SCROLLED)
def test_no_more_text_outputs_have_to_be_scrolled_than_before(facts, width):
    found = [name for page in CHAPTERS for name in facts(page)["cuts"][width]["outputs"]]
    assert len(found) <= MOST_SCROLLED[width], found


@pytest.mark.browser
@in_browser(PAGES)
def test_nothing_is_wider_than_a_phone(facts, page):
    assert facts(page)["width_on_a_phone"] <= 390


@pytest.mark.browser
def test_recorded_runs_can_be_narrowed(open_page):
    tab, wrong = open_page("book/runs.html")
    rows = tab.locator("#runs-filter ~ .runs-table tbody tr:visible")
    total = rows.count()
    assert tab.locator(".runs-said").inner_text() == f"{total} of {total} runs"
    tab.locator("#runs-filter select").first.select_option("models-scan")
    scan = rows.count()
    assert 0 < scan < total
    assert "models-scan" in rows.last.inner_text()
    tab.locator("#runs-filter input").fill("seed2")
    assert 0 < rows.count() < scan
    assert wrong == []


def test_the_links_at_the_foot_follow_the_road(html):
    for page, following in pairwise(PAGES):
        link = soup_of(html / f"{page}.html").select_one("a.right-next")
        target = ((html / f"{page}.html").parent / link["href"]).resolve()
        assert target == (html / f"{following}.html").resolve(), page


def test_a_chapter_shows_its_number_and_how_long_it_takes_to_read(html):
    for page in CHAPTERS:
        article = soup_of(html / f"{page}.html").article
        number = article.h1.select_one(".section-number").get_text(strip=True).rstrip(".")
        assert number == Path(page).name.partition("_")[0].lstrip("0")
        head = [item.get_text(" ", strip=True) for item in article.select(".chapter-head dl > *")]
        assert head[0] == "Time to read", page
        assert re.fullmatch(r"\d+ minutes", head[1]), page
        assert not article.select_one("table:-soup-contains('ime to read')"), page


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_can_be_downloaded_as_its_notebook(html, chapter):
    page = html / f"{chapter}.html"
    (link,) = soup_of(page).select("a.btn-download-source-button[href$='.ipynb']")
    offered = json.loads((page.parent / link["href"]).read_text(encoding="utf-8"))
    assert offered == json.loads((ROOT / f"{chapter}.ipynb").read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES)
def test_every_picture_has_a_caption_and_words_for_those_who_cannot_see_it(html, page):
    pictures = soup_of(html / f"{page}.html").article.find_all("img")
    assert pictures or page not in CHAPTERS
    for picture in pictures:
        figure = picture.find_parent("figure")
        assert figure is not None, picture["src"]
        assert len(figure.figcaption.get_text(" ", strip=True)) > 30, picture["src"]
        words = picture.get("alt", "")
        assert len(words) > 30, picture["src"]
        assert not re.search(r"[0-9a-f]{16}|_images|\.(png|svg)", words), words


def test_no_page_names_a_script_a_style_or_a_font_elsewhere(html):
    kinds = {"script": "src", "img": "src", "iframe": "src", "link": "href"}
    for path in html.rglob("*.html"):
        soup = soup_of(path)
        named = [tag.get(kinds[tag.name], "") for tag in soup.find_all(list(kinds))]
        assert [name for name in named if re.match(r"(https?:)?//", name)] == [], path.name
    for path in html.rglob("*.css"):
        found = re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//\S+", path.read_text("utf-8"))
        assert found == [], path.name


def test_every_link_inside_the_book_leads_somewhere(html):
    anchors = {}
    for path in html.rglob("*.html"):
        soup = soup_of(path)
        anchors[path] = {tag["id"] for tag in soup.select("[id]")}, soup.select("a[href]")
    for path, (_, links) in anchors.items():
        for link in links:
            address = urlsplit(link["href"])
            if not address.scheme and not address.netloc:
                target = (path.parent / unquote(address.path)).resolve() if address.path else path
                where = f"{path.relative_to(html)}: {link['href']}"
                assert target.exists(), where
                known = anchors[target][0] if target in anchors else {address.fragment}
                assert address.fragment in ("", *known), where


@pytest.mark.regress
@pytest.mark.timeout(1800)
def test_every_address_elsewhere_answers(html):
    """None may be gone; a server that wants no visits from programs is believed to be there."""
    found = {a["href"].partition("#")[0] for p in html.rglob("*.html") for a in links_out(p)}
    with ThreadPoolExecutor(8) as pool:
        answers = dict(zip(found, pool.map(answer, found), strict=True))
    if not any(isinstance(status, int) for status in answers.values()):
        pytest.skip(f"no network: {next(iter(answers.values()))}")
    gone = {address: said for address, said in answers.items() if said in (404, 410)}
    assert gone == {}


def links_out(path):
    return soup_of(path).select("article a[href^=http]")


def answer(address):
    """The status of a page's answer, or in words why there is none."""
    request = Request(address, headers={"User-Agent": "Mozilla/5.0 (a book checks its links)"})
    try:
        with urlopen(request, timeout=30) as reply:
            return reply.status
    except HTTPError as error:
        return error.code
    except OSError as error:
        return str(error)


@pytest.mark.regress  # a second build; what the settings become, test_staging.py sees without
def test_a_chapter_opens_in_colab_once_the_repository_has_an_address(html, tmp_path):
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert config["repository"]["url"] or not colab_links(html / f"{CHAPTERS[0]}.html")

    # A book of two pages, with every setting of this one but the address.
    config["repository"]["url"] = "https://github.com/someone/some-book"
    toc = {"format": "jb-book", "root": "book/first", "chapters": [{"file": "notebooks/01_one"}]}
    shutil.copytree(ROOT / "book" / "_static", tmp_path / "book" / "_static")
    shutil.copy(ROOT / "book" / "references.bib", tmp_path / "book")
    (tmp_path / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    (tmp_path / "book" / "first.md").write_text("# First\n", encoding="utf-8")
    python = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    one = nbformat.v4.new_notebook(metadata=python, cells=[nbformat.v4.new_markdown_cell("# One")])
    runs_page = "---\norphan: true\n---\n"
    notebooks = {"01_one": nbformat.writes(one)}
    page, _ = render(Project(tmp_path), notebooks=notebooks, runs_page=runs_page)
    colab = "https://colab.research.google.com/github/someone/some-book/blob/main"
    chapter = page.parent / "notebooks/01_one.html"
    assert colab_links(chapter) == [f"{colab}/notebooks/01_one.ipynb"]
    assert soup_of(chapter).select("a[href='https://github.com/someone/some-book']")


def colab_links(path):
    return [link["href"] for link in soup_of(path).select("a[href*=colab]")]
