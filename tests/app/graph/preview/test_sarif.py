"""Effects as SARIF 2.1.0, in the shape that its specification prescribes."""

from __future__ import annotations

import re

import orjson
import pytest

from app.graph.preview.sarif import RULES, effect_sarif
from tests.app.graph.preview.effects import PLACE, TEAM, effect, entity, owners, problem, relation

LEVELS = {"none", "note", "warning", "error"}


def check(log):
    """Hold a log against the parts of the specification that it uses; nothing else may be there."""
    assert set(log) == {"$schema", "version", "runs"}
    assert (log["version"], log["$schema"].endswith("sarif-schema-2.1.0.json")) == ("2.1.0", True)
    (run,) = log["runs"]
    assert set(run) == {"tool", "columnKind", "results"}
    assert run["columnKind"] in {"utf16CodeUnits", "unicodeCodePoints"}
    driver = run["tool"]["driver"]
    assert set(driver) == {"name", "version", "rules"}
    assert isinstance(driver["name"], str)
    assert isinstance(driver["version"], str)
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(ids) == len(set(ids))
    for rule in driver["rules"]:
        assert set(rule) == {"id", "shortDescription", "defaultConfiguration"}
        assert rule["shortDescription"]["text"]
        assert rule["defaultConfiguration"]["level"] in LEVELS
    for result in run["results"]:
        check_result(result, ids)
    assert orjson.loads(orjson.dumps(log)) == log
    return run["results"]


def check_result(result, ids):
    assert set(result) - {"locations"} == {"ruleId", "ruleIndex", "level", "message"}
    assert ids[result["ruleIndex"]] == result["ruleId"]
    assert result["level"] in LEVELS
    assert list(result["message"]) == ["text"]
    for location in result.get("locations", ()):
        assert list(location) == ["physicalLocation"]
        physical = location["physicalLocation"]
        assert set(physical) == {"artifactLocation", "region"}
        assert list(physical["artifactLocation"]) == ["uri"]
        assert not re.search(r"[\s<>\"{}|\\^`]", physical["artifactLocation"]["uri"])
        region = physical["region"]
        assert set(region) <= {"startLine", "startColumn"}
        assert all(isinstance(number, int) and number >= 1 for number in region.values())
        assert "startLine" in region


def where(result):
    physical = result["locations"][0]["physicalLocation"]
    return physical["artifactLocation"]["uri"], physical["region"]


def test_without_anything_wrong_there_are_rules_and_no_results():
    log = effect_sarif(effect(), "1.2.3")
    assert check(log) == []
    driver = log["runs"][0]["tool"]["driver"]
    assert (driver["version"], [rule["id"] for rule in driver["rules"]]) == ("1.2.3", list(RULES))


@pytest.mark.parametrize("kind", ["invalid", "rule", "unreadable", "conflict"])
def test_a_problem_is_an_error_in_its_line_and_column(kind):
    (result,) = check(effect_sarif(effect(problems=[problem("bad", kind, line=3, column=5)]), ""))
    assert (result["ruleId"], result["level"], result["message"]["text"]) == (kind, "error", "bad")
    assert where(result) == (PLACE, {"startLine": 3, "startColumn": 5})


def test_a_problem_of_a_whole_file_is_in_its_first_line_and_one_of_no_file_nowhere():
    whole, nowhere = check(effect_sarif(effect(problems=[problem(), problem(location="")]), ""))
    assert where(whole) == (PLACE, {"startLine": 1})
    assert "locations" not in nowhere


def test_what_was_wrong_before_is_no_result():
    assert check(effect_sarif(effect(problems=[problem(isNew=False)]), "")) == []


def test_lost_owners_and_references_to_nothing_are_warnings_where_the_entity_is():
    written = effect(
        entities=[entity()],
        ownership=[owners(), owners("group:default/other", ref=TEAM)],
        dangling=[relation(), relation(source="component:default/far")],
    )
    lost, dangling, far = check(effect_sarif(written, ""))
    assert (lost["ruleId"], dangling["ruleId"]) == ("ownership", "dangling")
    assert lost["level"] == dangling["level"] == "warning"
    assert lost["message"]["text"] == (
        "component:default/web loses its owner, which was group:default/team"
    )
    assert where(dangling) == (PLACE, {"startLine": 1})
    assert "locations" not in far


def test_places_are_written_as_the_caller_knows_them():
    written = effect(problems=[problem(line=2)])
    (result,) = check(effect_sarif(written, "", lambda place: place.rpartition("/")[2]))
    assert where(result) == ("web.yaml", {"startLine": 2})
