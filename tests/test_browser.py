"""Every page as a reader opens it, in a browser: complete, readable in both themes and on a phone, accessible."""

import collections
import functools
import gzip
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
TOC = yaml.safe_load((ROOT / "book/_toc.yml").read_text())
PAGES = [TOC["root"], *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"])]
VIEWS = [("dark", 400), ("light", 1300)]  # theme, width of the window
FRAME = ("dark", 1300)  # of the first page alone, as what stands around the pages is the same
# Rules of colours, which take nearly all of axe's time; they get a text of each look, see ``LOOKS``.
COLOURS = ["color-contrast", "link-in-text-block"]
ELSEWHERE = [*COLOURS, "scrollable-region-focusable"]  # for the last see ``STUCK``
ALL = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
ALL |= {"rules": {rule: {"enabled": False} for rule in ELSEWHERE}}

# What only a browser knows of a page.
FACTS = """() => {
  const luminance = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map((c) => (c / 255 <= 0.04045 ? c / 3294.6 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = luminance(getComputedStyle(document.body).backgroundColor);
  const contrast = (color) => {
    const [low, high] = [luminance(color), ground].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const all = (selector) => [...document.querySelectorAll(selector)];
  return {
    theme: document.documentElement.dataset.theme,
    over: document.documentElement.scrollWidth - innerWidth,
    formulas: all(".math").length,
    rendered: all("mjx-container").length,
    formula_errors: all("mjx-merror, [data-mjx-error]").length,
    headings: all("main h1, main h2, main h3, main h4, main h5, main h6").filter((h) => h.offsetParent).map((h) => +h.tagName[1]),
    unnamed: all("main img:not([alt]), main img[alt=''], figure svg").filter((e) => !e.closest("[aria-label]:not([aria-label=''])")).map((e) => e.outerHTML.slice(0, 80)),
    pale: all("figure svg text").filter((t) => contrast(getComputedStyle(t).fill) < 4.5).map((t) => t.textContent),
    drawings: all("figure.gffn-figure > svg").filter((e) => e.checkVisibility()).map((e) => e.clientWidth / e.getAttribute("width")),
    ids: all("[id]").map((e) => e.id),
    links: all("a[href]").map((a) => a.href),
  };
}"""

# What scrolls and no keyboard reaches. The theme gives it a tab stop a moment after the page is there.
STUCK = """async () => {
  const scrolls = (e) => e.scrollWidth > e.clientWidth && ["auto", "scroll"].includes(getComputedStyle(e).overflowX);
  const reached = (e) => e.tabIndex >= 0 || e.querySelector("a[href], button, input, select, [tabindex='0']");
  const stuck = () => [...document.querySelectorAll("main *")].filter((e) => scrolls(e) && !reached(e));
  for (let waited = 0; stuck().length && waited < 30; waited++) await new Promise((next) => setTimeout(next, 100));
  return stuck().map((e) => e.outerHTML.slice(0, 80));
}"""
# Colours in transition are those of neither theme, and waiting for animations to end can take for ever.
AT_ONCE = "*, ::before, ::after { transition: none !important; animation: none !important }"
# Leave out what repeats itself: drawings (their text was measured in both themes by then), rows of tables, parts of
# formulas, words of code in one colour. To axe every one of them is work.
ABRIDGE = """() => {
  const words = {};
  const repeated = (e) => (words[e.className] = (words[e.className] ?? 0) + 1) > 5;
  document.querySelectorAll("figure svg[aria-label] > *, tbody tr:nth-child(n+6), mjx-container > *").forEach((e) => e.remove());
  [...document.querySelectorAll("pre span:not(:has(span))")].filter(repeated).forEach((e) => e.remove());
}"""
# What decides on the contrast of a text, or of a link with the text around it, is the same in all texts of
# one look: a text of each that is not known goes into ``looks``.
LOOKS = """(known) => {
  const looks = new Map();
  for (const text of document.body.querySelectorAll("*")) {
    const words = [...text.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
    if (!words.some((node) => node.data.trim())) continue;
    if (!text.checkVisibility({ visibilityProperty: true })) continue;
    const { color, fontSize, fontWeight, textShadow } = getComputedStyle(text);
    const look = [color, fontSize, fontWeight, textShadow];
    const link = text.closest("a[href]");
    const around = link && getComputedStyle(link.parentElement).color;
    if (link) look.push(getComputedStyle(link).textDecorationLine, around);
    for (let e = text; e; e = e.parentElement) {
      const { backgroundColor, backgroundImage, opacity, filter, position } = getComputedStyle(e);
      const behind = [backgroundColor, backgroundImage, opacity, filter, position].join();
      if (behind !== look.at(-1)) look.push(behind);
    }
    looks.set(look.join(" / "), link ?? text);
  }
  known.forEach((look) => looks.delete(look));
  window.looks = [...looks.values()];
  return [...looks.keys()];
}"""


def look(page, theme, width):
    """Give the reader another theme and window, and wait until the page has followed."""
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_function("(theme) => document.documentElement.dataset.theme === theme", arg=theme)
    page.evaluate("document.fonts.ready.then(() => null)")  # the last to come


@pytest.fixture(scope="module")
def seen(browser, html):
    """By page, theme and width: the facts, what went wrong, what was loaded, and what axe finds.

    A page is loaded once, as on a phone in the dark, and looked at in every view. Axe gets it abridged then.
    """
    axe = Path(pytest.importorskip("axe_playwright_python").__file__).with_name("axe.min.js").read_text()
    found = {}
    context = browser.new_context()
    page = context.new_page()  # one for all: by the second, its process knows the scripts and styles
    wrong, loaded, times = [], set(), collections.Counter()
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("console", lambda message: wrong.append(f"console: {message.text}"))
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
    page.on("request", lambda request: loaded.add(request.url))

    def faults(where, options):
        options = {"preload": False, "resultTypes": ["violations"], **options}
        return page.evaluate(f"(options) => axe.run({where}, options)", options)["violations"]

    for name in PAGES:
        page.emulate_media(color_scheme=VIEWS[0][0])
        page.set_viewport_size({"width": VIEWS[0][1], "height": 900})
        wrong, loaded = [], set()
        page.goto((html / f"{name}.html").as_uri())
        page.evaluate("window.MathJax && MathJax.startup.promise")
        stuck = page.evaluate(STUCK)
        page.add_style_tag(content=AT_ONCE)
        views = [*VIEWS, FRAME] if name == PAGES[0] else VIEWS
        for view in views:
            look(page, *view)
            found[name, *view] = page.evaluate(FACTS) | {"wrong": wrong, "loaded": loaded, "stuck": stuck}
        page.evaluate(ABRIDGE)
        page.evaluate(axe)
        for view in reversed(views):
            look(page, *view)
            looks = page.evaluate(LOOKS, [look for look, seen in times.items() if seen == 3])
            times.update(looks)
            found[name, *view]["faults"] = faults("{ include: looks }", {"runOnly": COLOURS}) if looks else []
            if view == VIEWS[1]:
                found[name, *view]["faults"] += faults("document", ALL)
    context.close()
    return found


def of_all(seen, fault):
    """What ``fault`` (facts -> list) finds, with where."""
    return [f"{' '.join(map(str, view))}: {one}" for view, facts in seen.items() for one in fault(facts)]


def local(url):
    return Path(unquote(urlsplit(url).path))


def test_pages_load_whole_and_from_nowhere_else(seen):
    assert not of_all(seen, lambda facts: facts["wrong"])
    assert not of_all(
        seen, lambda facts: [u for u in facts["loaded"] if not u.startswith(("file:", "data:", "blob:"))]
    )


@functools.cache
def weight(path):
    """Bytes of a file, and as web servers send it."""
    raw = path.read_bytes()
    packed = gzip.compress(raw, 6) if path.suffix in (".html", ".js", ".css", ".svg") else raw
    return len(raw), len(packed)


def test_pages_weigh_less_than_a_megabyte(seen):
    """With everything that they load, on a first visit; unpacked 2.5 MB."""

    def heavy(facts):
        files = [weight(local(url)) for url in facts["loaded"] if url.startswith("file:")]
        raw, packed = map(sum, zip(*files))
        return [f"{raw / 1e6:.2f} MB, packed {packed / 1e6:.2f} MB"] if raw > 2.5e6 or packed > 1e6 else []

    assert not of_all(seen, heavy)


def test_pages_follow_the_readers_theme_and_window(seen):
    assert not of_all(seen, lambda facts: [facts["over"]] if facts["over"] > 0 else [])
    assert all(facts["theme"] == theme for (_, theme, _), facts in seen.items())


def test_a_phone_gets_drawings_of_its_own(seen):
    """One for each figure, in which no text shrinks."""
    drawn = {view: facts["drawings"] for view, facts in seen.items()}
    for (name, _, width), sizes in drawn.items():
        assert len(sizes) == len(drawn[name, *VIEWS[0]]), name
        assert width > VIEWS[0][1] or all(size == 1 for size in sizes), name
    assert sum(map(len, drawn.values())) > 2 * 30


def test_formulas_are_set(seen):
    assert not of_all(seen, lambda facts: [facts["formula_errors"]] if facts["formula_errors"] else [])
    assert not of_all(
        seen,
        lambda facts: (
            [] if facts["rendered"] == facts["formulas"] else [(facts["rendered"], facts["formulas"])]
        ),
    )
    assert sum(facts["rendered"] for facts in seen.values()) > 100


def test_headings_are_in_order(seen):
    def disorder(facts):
        levels = facts["headings"]
        steps = [later - earlier for earlier, later in zip(levels, levels[1:])]
        return [] if levels[0] == 1 == levels.count(1) and max(steps, default=1) <= 1 else [levels]

    assert not of_all(seen, disorder)


def test_drawings_have_words_and_contrast(seen):
    assert not of_all(seen, lambda facts: facts["unnamed"])
    assert not of_all(seen, lambda facts: facts["pale"])


def test_links_and_anchors_lead_somewhere(seen, html):
    ids = {html / f"{name}.html": set(seen[name, *VIEWS[0]]["ids"]) for name in PAGES}

    def dead(facts):
        for link in set(facts["links"]):
            target, fragment = local(link), urlsplit(link).fragment
            if not link.startswith("file:"):
                continue
            if not target.exists():
                yield f"{link} is not there"
            elif target in ids and fragment and unquote(fragment) not in ids[target] and "=" not in fragment:
                yield f"{link}: no such anchor"

    assert not of_all(seen, dead)


def test_a_keyboard_reaches_all_that_scrolls(seen):
    assert not of_all(seen, lambda facts: facts["stuck"])


def test_axe_finds_no_serious_fault(seen):
    assert not of_all(
        seen,
        lambda facts: [
            f"{fault['id']}: {node['html'][:120]} ({' '.join(node['failureSummary'].split())[:160]})"
            for fault in facts["faults"]
            if fault["impact"] in ("serious", "critical")
            for node in fault["nodes"]
        ],
    )


@pytest.mark.parametrize(
    "word, page", [("typicality", "ood"), ("log-partition", "glossary"), ("Wilson", "calibration")]
)
def test_search_finds_terms(browser, html, word, page):
    here = browser.new_page()  # a folder, unlike a server, does not let it fetch what it found
    here.goto(f"{html.as_uri()}/search.html?q={word}")
    here.wait_for_selector(f"#search-results a[href*='{page}']", timeout=20_000)
    here.close()


def test_an_old_address_keeps_what_follows_it(visit):
    here = visit("notebooks/03_calibration.html#ece-long")
    here.wait_for_url("**/notebooks/calibration.html#ece-long")
    assert here.locator("#ece-long").is_visible()


def test_the_theme_that_a_reader_chooses_stays(visit):
    here = visit(f"{PAGES[0]}.html")
    before = here.evaluate("document.documentElement.dataset.mode")
    here.locator(".theme-switch-button:visible").first.click()
    chosen = here.evaluate("document.documentElement.dataset.mode")
    assert chosen != before
    here.reload()
    assert here.evaluate("document.documentElement.dataset.mode") == chosen


@pytest.mark.parametrize("name", ("draw", "film", "playground"))
def test_without_scripts_the_page_says_that_it_needs_them(visit, name):
    here = visit(f"book/{name}.html", java_script_enabled=False)
    assert here.get_by_text("where scripts are allowed").is_visible()
    assert not here.locator(f"#gffn-{name}").is_visible()


def test_print_page_opens(visit):
    # Its scripts have run then, but MathJax, which sets all formulas of the book for a quarter of a minute.
    here = visit("print.html", wait_until="domcontentloaded")
    assert here.locator("figure.gffn-figure svg").count() > 20
