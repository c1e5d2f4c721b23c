"""Effects as Markdown: all is told, names are never markup, and it is never too long."""

from __future__ import annotations

import pytest

from app.graph.preview.markdown import LONGEST, effect_markdown, plain
from tests.app.graph.preview.effects import (
    PLACE,
    WEB,
    change,
    effect,
    entity,
    owners,
    problem,
    relation,
)


def lines(**parts):
    return effect_markdown(effect(**parts)).splitlines()


def test_nothing_that_changes_is_said_in_one_line():
    assert effect_markdown(effect()) == "### Catalog preview\n\nNo entity changes\n"


def test_the_head_counts_what_changes_and_what_to_worry_about():
    written = effect(
        entities=[entity(operation="create"), entity("component:default/old", "delete")],
        problems=[problem(), problem(kind="conflict"), problem(isNew=False)],
        ownership=[owners()],
        dangling=[relation()],
    )
    written["summary"]["hidden"] = 2
    assert effect_markdown(written).splitlines()[2] == (
        "1 created · 0 updated · 1 deleted · 2 that you may not see · **1 new problems** · "
        "**1 names in conflict** · **1 entities lose their owner** · **1 references to nothing**"
    )


def test_changed_values_are_shown_before_and_after():
    changes = [
        change("/spec/owner", before="a", after="b"),
        change("/spec/tags", "add", after=["x", 1]),
        change("/spec/old", "remove", before="y"),
        change("/spec/text", isLong=True),
        change("/spec/note", "add", after="z" * 500),
    ]
    shown = lines(entities=[entity(WEB, "update", *changes)])
    assert f"- ~ `{WEB}`" in shown
    assert "  - `/spec/owner` `a` → `b`" in shown
    assert '  - `/spec/tags` is `["x",1]` now' in shown
    assert "  - `/spec/old` was `y`" in shown
    assert "  - `/spec/text` changed, and is long" in shown
    assert f"  - `/spec/note` is `{'z' * 120}…` now" in shown


def test_problems_owners_relations_and_files_are_shown_with_their_places():
    files = {"unknown": [PLACE, "url:x"], "skipped": ["url:x"]}
    added = {"added": [relation()], "removed": [relation(type="ownedBy")]}
    known = problem("not valid", line=3, column=5, isNew=False)
    written = effect(problems=[known], ownership=[owners()], relations=added, files=files)
    shown = effect_markdown(written, lambda place: place.rpartition("/")[2]).splitlines()
    assert "- `web.yaml:3:5` not valid (as before)" in shown
    assert "- `component:default/web`: `group:default/team` → **nobody**" in shown
    assert "- + `component:default/web` dependsOn `api:default/web`" in shown
    assert "- - `component:default/web` ownedBy `api:default/web`" in shown
    assert "- `web.yaml` is read by no source; shown as if it were registered" in shown
    assert "- `url:x` is read by no source; left out" in shown


@pytest.mark.parametrize(
    "text", ["@all", "<img src=x>", "[a](http://x)", "#1", "**b**", "a\n\n# head", "`c`", "~~d~~"]
)
def test_no_message_is_markup(text):
    (shown,) = (line for line in lines(problems=[problem(text)]) if line.startswith("- "))
    message = shown.removeprefix(f"- `{PLACE}` ")
    assert message == plain(text)
    bare = message.replace("\\\\", "")
    for position, character in enumerate(bare):
        if character in "@<[#*`~":
            assert bare[position - 1] == "\\"


def test_no_value_ends_the_code_it_is_shown_in():
    shown = lines(entities=[entity(WEB, "update", change("/a", before="x`` y", after=""))])
    assert "  - `/a` ``` x`` y ``` → ``\N{NO-BREAK SPACE}``" in shown


def test_long_lists_and_long_comments_are_cut_where_they_may_be():
    many = [entity(f"component:default/n{number}", "create") for number in range(60)]
    assert "- … and 10 more" in lines(entities=many)

    problems = [problem(f"{number} {'x' * 2000}") for number in range(50)]
    text = effect_markdown(effect(problems=problems))
    assert len(text) < LONGEST + 200
    assert text.endswith("\n\n*There is more, too much to be shown here.*\n")
    assert text.count("<details") == text.count("</details")
