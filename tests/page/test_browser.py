"""The page in a real browser: what a reader does with it, by mouse and by keyboard, and what it must never do.

`make test-page` runs it: it needs selenium, and Debian's chromium with its driver; HARNESS_AXE names axe-core's
`axe.min.js` for the check of accessibility.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fixture
import numpy as np
import pytest

from harness.report.page import render

webdriver = pytest.importorskip("selenium.webdriver", reason="it is an extra: make test-page has it")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if not (CHROMIUM and DRIVER):
    pytest.skip("no browser: apt-get install chromium chromium-driver", allow_module_level=True)
AXE = Path(os.environ.get("HARNESS_AXE", "node_modules/axe-core/axe.min.js"))
FIRST = "soundscapes-test-text-audio"
PICTURES = "shapes-test-text-image"
DARK = "return matchMedia('(prefers-color-scheme: dark)').matches"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for each in (
        "--headless=new",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--autoplay-policy=no-user-gesture-required",
    ):
        options.add_argument(each)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # root has none
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@functools.cache
def data() -> Any:
    return fixture.page(queries=3_000, candidates=24)


def retriever(name: str) -> Any:
    return next(each for each in data()["explorers"][FIRST]["retrievers"] if each["name"] == name)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(data()), encoding="utf-8")
    return path


@pytest.fixture
def page(browser: Any, written: Path) -> Iterator[Callable[..., Any]]:
    """Opens the page; afterwards nothing stands in the console, and nothing was asked of any network."""

    def opened(place: str = "", width: int = 1400, dark: bool = False) -> Any:
        browser.get("about:blank")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        browser.get(f"{written.as_uri()}{place}")
        browser.execute_script("try { localStorage.clear() } catch {}")
        return browser

    browser.get_log("browser"), browser.get_log("performance")
    yield opened
    assert not browser.get_log("browser")
    events = [json.loads(each["message"])["message"] for each in browser.get_log("performance")]
    asked = [each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"]
    assert asked and all(each.startswith(("file:", "data:", "about:", "blob:")) for each in asked)


def until(what: Callable[[], Any], seconds: float = 5.0) -> Any:
    """What it gives as soon as it gives something."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, f"nothing came within {seconds} s"
        time.sleep(0.02)
    return found


def all_of(driver: Any, selector: str) -> list[Any]:
    return list(driver.find_elements(By.CSS_SELECTOR, selector))


def one(driver: Any, selector: str) -> Any:
    return until(lambda: all_of(driver, selector))[0]


def texts(driver: Any, selector: str) -> list[str]:
    script = (
        "return [...document.querySelectorAll(arguments[0])].filter(e => e.checkVisibility()).map(e => e.innerText)"
    )
    return list(driver.execute_script(script, selector))


def explorer(driver: Any) -> Any:
    """The first explorer, opened by a click."""
    one(driver, f"#explore-{FIRST} > summary").click()
    return one(driver, f"#explore-{FIRST} .inside .detail .column") and one(driver, f"#explore-{FIRST} .inside")


def query(driver: Any) -> str:
    return str(driver.execute_script("return document.querySelector('.which h3')?.innerText ?? ''"))


def put(driver: Any, selector: str, words: str) -> None:
    field = one(driver, selector)
    field.clear()
    field.send_keys(words)


def choose(driver: Any, label: str) -> None:
    options = all_of(driver, f"#explore-{FIRST}-filter option")
    next(each for each in options if each.get_attribute("textContent") == label).click()


def count(driver: Any) -> int:
    return int(texts(driver, ".matches")[0].split(" of ")[0].replace(",", ""))


def accessible(driver: Any) -> None:
    """By axe-core: nothing serious."""
    driver.execute_script(AXE.read_text())
    found = driver.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    bad = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
    assert not bad, "\n".join(f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in bad)
    assert found["passes"]


def test_a_table_is_sorted_by_its_headers(page: Callable[..., Any]) -> None:
    driver = page()
    table = f"#{FIRST}-main"
    first = functools.partial(texts, driver, f"{table} tbody tr > :nth-child(3)")
    given, head = first(), one(driver, f"{table} thead th:nth-child(3)")
    button = head.find_element(By.TAG_NAME, "button")
    assert head.get_attribute("aria-sort") == "none"
    button.click()
    values = [float(each.split()[0]) for each in first()]
    assert head.get_attribute("aria-sort") == "descending" and values == sorted(values, reverse=True)
    button.send_keys(Keys.ENTER)
    assert head.get_attribute("aria-sort") == "ascending" and float(first()[0].split()[0]) == min(values)
    button.send_keys(Keys.SPACE)
    assert head.get_attribute("aria-sort") == "none" and first() == given
    one(driver, f"{table} thead th:nth-child(8) button").click()
    assert texts(driver, f"{table} tbody tr:last-child > :nth-child(8)") == ["–"], "what has no number comes last"


def test_rows_are_filtered_by_words(page: Callable[..., Any]) -> None:
    driver = page()
    table = f"#{FIRST}-main"
    put(driver, f"{table} input", "DUAL nprobe")
    assert [each.strip() for each in texts(driver, f"{table} tbody th")] == [
        f"dual-ivf@nprobe={n}" for n in (1, 2, 4, 8, 16)
    ]
    assert texts(driver, f"{table} output") == ["5 of 12"]


def test_a_query_is_found_by_its_words_and_opened(page: Callable[..., Any]) -> None:
    driver = page()
    explorer(driver)
    assert count(driver) == 3_000
    assert len(all_of(driver, ".option")) < 40, "only what is seen is drawn"
    put(driver, f"#explore-{FIRST}-search", "onerror")
    assert count(driver) == 1
    one(driver, ".option").click()
    assert query(driver) == "Query 13" and texts(driver, ".asked") == [fixture.ATTACK]
    assert driver.current_url.endswith(f"#{FIRST}/q13")
    assert not driver.execute_script("return document.querySelectorAll('img[src=x]').length")


def test_captions_of_all_kinds_are_text(page: Callable[..., Any]) -> None:
    driver = page(f"#{FIRST}/q14")
    one(driver, ".asked .more")
    assert len(texts(driver, ".asked")[0]) < 400
    one(driver, ".asked .more").click()
    assert len(texts(driver, ".asked")[0]) > 9_900
    driver.execute_script("location.hash = arguments[0]", f"#{FIRST}/q15")
    until(lambda: query(driver) == "Query 15")
    assert driver.execute_script("return getComputedStyle(document.querySelector('.asked')).direction") == "rtl"
    driver.execute_script("location.hash = arguments[0]", f"#{FIRST}/q17")
    until(lambda: query(driver) == "Query 17")
    assert texts(driver, ".asked") == [fixture.HOSTILE[7]]
    assert any(fixture.QUOTED in each for each in texts(driver, ".boxes label"))


def test_retrievers_and_filters(page: Callable[..., Any]) -> None:
    driver = page()
    explorer(driver)
    assert texts(driver, ".column h4") == ["dual-exact", "cart", "likelihood", "dual-likelihood"], "no control, four"
    right = [each["right"][0] for each in data()["explorers"][FIRST]["queries"]]
    first = {
        each["name"]: [ids and ids[0] == wanted for ids, wanted in zip(each["ids"], right, strict=True)]
        for each in data()["explorers"][FIRST]["retrievers"]
    }
    four = list(zip(*(first[name] for name in texts(driver, ".column h4")), strict=True))
    choose(driver, "all wrong")
    assert count(driver) == sum(not any(each) for each in four)
    choose(driver, "all right")
    assert count(driver) == sum(all(each is not False for each in answers) for answers in four)
    choose(driver, "only cart right")
    assert count(driver) == sum(
        bool(cart) and not any(others) for exact, cart, *rest in four for others in [[exact, *rest]]
    )
    choose(driver, "cart wrong")
    assert count(driver) == first["cart"].count(False)
    choose(driver, "cart: first token wrong")
    pairs = zip(retriever("cart")["paths"], retriever("cart")["right_tokens"], strict=True)
    assert count(driver) == sum(paths[0]["tokens"][0] != tokens[0] for paths, tokens in pairs)
    boxes = all_of(driver, ".boxes input")
    boxes[3].click()  # cart goes, and its filter with it
    assert "cart" not in texts(driver, ".column h4") and count(driver) == 3_000
    boxes[0].click()
    assert texts(driver, ".column h4")[0] == "random"


def test_what_is_right_is_said_in_words(page: Callable[..., Any]) -> None:
    driver = page(f"#{FIRST}/q10")
    one(driver, ".answer")
    wanted = data()["explorers"][FIRST]["queries"][0]["right"]
    right = [id in wanted for id in retriever("dual-exact")["ids"][0]]
    cards = texts(driver, ".column:first-child .answer")
    assert ["✓ right" in each for each in cards] == right
    assert ("right at once" in texts(driver, ".column:first-child .said")[0]) == right[0]


def test_the_path_through_the_tree(page: Callable[..., Any]) -> None:
    driver = page(f"#{FIRST}/q10")
    one(driver, ".column.generative .path summary").click()
    rows = until(lambda: texts(driver, ".column.generative .levels tbody tr"))
    path, right = retriever("cart")["paths"][0][0], retriever("cart")["right_tokens"][0]
    assert [each.split()[1] for each in rows] == [str(token) for token in path["tokens"]]
    assert [each.split()[-1] for each in rows] == [str(token) for token in right]
    signs = ["=" if token == wanted else "≠" for token, wanted in zip(path["tokens"], right, strict=True)]
    assert [each.split()[-2] for each in rows] == signs


def test_a_sound_plays(page: Callable[..., Any]) -> None:
    driver = page(f"#{FIRST}/q11")
    one(driver, ".column .play").click()
    played = "const a = document.querySelector('audio'); return a && a.currentTime > 0.05 ? a.duration : 0"
    assert until(lambda: driver.execute_script(played)) == pytest.approx(1.0, abs=0.02)
    assert one(driver, ".medium.on .play").get_attribute("aria-label").startswith("Stop ")
    all_of(driver, ".column:nth-child(2) .play")[0].click()
    paused = "return [...document.querySelectorAll('audio')].map(a => a.paused)"
    until(lambda: driver.execute_script(paused) == [True, False])


def test_a_sound_beside_the_page_plays_and_a_missing_one_is_named(browser: Any, tmp_path: Path) -> None:
    media = [{**each, "clip": f"media/{place}.wav"} for place, each in enumerate(data()["explorers"][FIRST]["media"])]
    (tmp_path / "media").mkdir()
    _, uri = fixture.sound(np.random.default_rng(0), 0.7)
    (tmp_path / "media" / "2.wav").write_bytes(base64.b64decode(uri.partition(",")[2]))
    apart = {**data()["explorers"][FIRST], "media": media}
    small = {**data(), "explorers": {**data()["explorers"], FIRST: apart}}
    (tmp_path / "report.html").write_text(render(small), encoding="utf-8")
    browser.get(f"{(tmp_path / 'report.html').as_uri()}#{FIRST}/q12")
    one(browser, ".rights .play").click()
    until(lambda: texts(browser, ".rights .told") == ["0.7 s"])
    browser.get("about:blank")
    browser.get(f"{(tmp_path / 'report.html').as_uri()}#{FIRST}/q11")
    one(browser, ".rights .play").click()
    until(lambda: texts(browser, ".rights .told") == ["can't be played: is media/1.wav beside this page?"])


def test_the_list_is_walked_by_keyboard(page: Callable[..., Any]) -> None:
    driver = page()
    explorer(driver)
    box = one(driver, ".list")
    box.send_keys("jj", Keys.ARROW_DOWN, "k", Keys.ENTER)
    assert query(driver) == "Query 12"
    box.send_keys(Keys.END, Keys.ENTER)
    assert query(driver) == "Query 3009"
    active = one(driver, f"[id='{box.get_attribute('aria-activedescendant')}']")
    assert active.get_attribute("aria-posinset") == "3000" and active.get_attribute("aria-selected") == "true"
    box.send_keys(Keys.HOME, Keys.PAGE_DOWN, Keys.PAGE_UP, Keys.ARROW_UP, Keys.ENTER)
    assert query(driver) == "Query 10"
    all_of(driver, ".step")[1].send_keys(Keys.ENTER)
    assert query(driver) == "Query 11"
    assert driver.execute_script("return document.activeElement.textContent") == "next", "the focus stays where it was"


def test_every_control_is_reached_by_tab_and_seen(page: Callable[..., Any]) -> None:
    driver = page()
    body = one(driver, "body")
    body.send_keys(Keys.TAB)
    assert driver.execute_script("return document.activeElement.className") == "skip"
    driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert driver.execute_script("return document.activeElement.id") == "main"
    style = "const s = getComputedStyle(document.activeElement); return [s.outlineStyle, parseFloat(s.outlineWidth)]"
    explorer(driver)
    one(driver, f"#explore-{FIRST} > summary").send_keys(Keys.TAB)
    reached = []
    for _ in range(13):
        active = driver.switch_to.active_element
        reached.append(f"{active.tag_name} {active.get_attribute('class')}".strip())
        line, width = driver.execute_script(style)
        assert line != "none" and width >= 1, f"{reached[-1]} shows no focus"
        active.send_keys(Keys.TAB)
    assert reached[:7] == ["input"] * 7
    assert reached[7:12] == ["input", "select", "div list", "a", "button step"], "previous is off at the first query"


def test_dark_mode_is_toggled_and_remembered(page: Callable[..., Any]) -> None:
    driver = page()
    paper = functools.partial(driver.execute_script, "return getComputedStyle(document.body).backgroundColor")
    light, button = paper(), one(driver, ".theme")
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    dark = paper()
    assert dark != light and button.get_attribute("aria-pressed") == "true"
    driver.refresh()
    assert paper() == dark, "chosen once"
    driver = page(dark=True)
    driver.refresh()
    assert driver.execute_script(DARK) and paper() == dark, "as the system has it"
    one(driver, ".theme").click()
    assert paper() == light


def test_an_address_leads_to_its_query(page: Callable[..., Any]) -> None:
    driver = page(f"#{FIRST}/q2017")
    until(lambda: query(driver) == "Query 2017")
    option = until(lambda: all_of(driver, ".option[aria-selected=true]"))[0]
    assert option.get_attribute("aria-posinset") == "2008" and option.is_displayed()
    driver = page("#motions-test-text-video/q12")
    until(lambda: query(driver) == "Query 12")
    one(driver, ".column .play").click()
    assert one(driver, ".column .medium img").get_attribute("src").startswith("data:image/webp"), "moves"
    page(f"#{FIRST}/q99999")
    one(driver, ".list")
    page("#nowhere/q1")
    page("#%E0%A4%A")


@pytest.mark.parametrize("width", [1400, 400])
def test_a_picture_opens_larger_and_the_focus_returns(page: Callable[..., Any], width: int) -> None:
    driver = page(f"#{PICTURES}/q12", width=width)
    button = one(driver, ".rights .enlarge")
    medium = data()["explorers"][PICTURES]["media"][2]
    thumb = button.find_element(By.TAG_NAME, "img")
    assert thumb.get_attribute("src") == medium["thumb"] and "larger" in button.get_attribute("aria-label")
    inside = "return document.activeElement.closest('dialog') !== null"
    back = functools.partial(driver.execute_script, "return document.activeElement === arguments[0]", button)
    button.send_keys(Keys.ENTER)
    shown = one(driver, "dialog[open] img")
    assert shown.get_attribute("src") == medium["clip"] and driver.execute_script(inside)
    assert until(lambda: int(shown.get_attribute("naturalWidth"))) == 4 * int(thumb.get_attribute("naturalWidth"))
    assert shown.size["width"] > thumb.size["width"]
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    webdriver.ActionChains(driver).send_keys(Keys.ESCAPE).perform()  # the button that has the focus goes with it
    until(lambda: not all_of(driver, "dialog"))
    assert back()
    beside = webdriver.ActionChains(driver).move_by_offset(3, 3).click()  # in a corner of the window
    for close in (lambda: one(driver, "dialog .step").click(), beside.perform):
        button.send_keys(Keys.SPACE)
        one(driver, "dialog[open] img").click()  # which closes nothing
        close()
        until(lambda: not all_of(driver, "dialog"))
        assert back()


def test_a_larger_picture_beside_the_page_is_shown_and_a_missing_one_is_named(browser: Any, tmp_path: Path) -> None:
    pictures = data()["explorers"][PICTURES]
    media = [{**each, "clip": f"media/{place}.full"} for place, each in enumerate(pictures["media"])]
    candidates = {place: {**each, "name": fixture.ATTACK} for place, each in pictures["candidates"].items()}
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "2.full").write_bytes(base64.b64decode(pictures["media"][2]["clip"].partition(",")[2]))
    apart = {**pictures, "media": media, "candidates": candidates}
    path = tmp_path / "report.html"
    path.write_text(render({**data(), "explorers": {**data()["explorers"], PICTURES: apart}}), encoding="utf-8")
    for place, wide, said in ((2, 512, ""), (1, 128, "no larger one: is media/1.full beside this page?")):
        browser.get("about:blank")
        browser.get(f"{path.as_uri()}#{PICTURES}/q{10 + place}")
        one(browser, ".rights .enlarge").click()
        shown = one(browser, "dialog[open] img")
        is_wide = f"return arguments[0].naturalWidth === {wide}"
        until(functools.partial(browser.execute_script, is_wide, shown))
        assert texts(browser, "dialog .name") == [fixture.ATTACK] and one(browser, "dialog p").text == said
        assert not browser.execute_script("return document.querySelectorAll('img[src=x]').length")


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_needs_no_scrolling_aside(page: Callable[..., Any], dark: bool) -> None:
    driver = page(f"#{FIRST}/q14", width=400, dark=dark)
    one(driver, ".column")
    one(driver, ".asked .more").click()
    one(driver, ".column.generative .path summary").click()
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 400
    inside = "const b = document.querySelector('.columns'); return b.scrollWidth > b.clientWidth"
    assert driver.execute_script(inside), "columns are moved through in their own box"


def test_a_large_page_is_seen_within_a_second(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "large.html"
    noise = [fixture.data_uri("audio/wav", np.random.default_rng(each).bytes(400_000)) for each in range(28)]
    heavy = {**data()["explorers"][FIRST], "media": [{"kind": "audio", "thumb": None, "clip": each} for each in noise]}
    path.write_text(render({**data(), "explorers": {**data()["explorers"], FIRST: heavy}}), encoding="utf-8")
    assert 14e6 < path.stat().st_size < 20e6
    browser.get(path.as_uri())
    paint = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    assert until(lambda: browser.execute_script(paint)) < 1_000
    explorer(browser)


@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core: npm pack axe-core; HARNESS_AXE=…/axe.min.js")
@pytest.mark.parametrize(("dark", "width"), [(False, 1400), (True, 1400), (False, 400)])
@pytest.mark.parametrize("task", [FIRST, "soundscapes-test-audio-text"])
def test_nothing_stands_in_the_way_of_a_reader(page: Callable[..., Any], task: str, dark: bool, width: int) -> None:
    driver = page(f"#{task}/q12", width=width, dark=dark)
    one(driver, ".column.generative .path summary").click()
    one(driver, ".play")
    accessible(driver)


@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core: npm pack axe-core; HARNESS_AXE=…/axe.min.js")
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_stands_in_the_way_of_who_looks_at_a_picture(page: Callable[..., Any], dark: bool) -> None:
    driver = page(f"#{PICTURES}/q12", dark=dark)
    one(driver, ".rights .enlarge").click()
    one(driver, "dialog[open]")
    accessible(driver)
