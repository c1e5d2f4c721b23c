"""Reading configuration by Backstage's rules, and remembering where everything was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config import Config, Place, load_config
from app.config.place import Node, merge, plain, without_nulls
from app.config.secrecy import MASK, is_secret_name
from app.config.substitution import substitute
from app.errors import ConfigError


@pytest.fixture
def load(tmp_path):
    def load(files=None, *arguments, environment=None, overrides=None):
        for name, text in (files or {}).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return load_config(arguments, environment or {}, tmp_path, overrides)

    return load


@pytest.fixture
def refused(load):
    def refused(files, *arguments, environment=None):
        with pytest.raises(ConfigError) as error:
            load(files, *arguments, environment=environment)
        return str(error.value)

    return refused


def read(load, text, **environment):
    return load({"a.yaml": text}, "a.yaml", environment=environment)


# Which files


def test_without_arguments_the_usual_files_are_read_and_local_is_stronger(load):
    config = load(
        {
            "app-config.yaml": "x: {a: 1, b: 1}",
            "app-config.local.yaml": "x: {b: 2}",
            "app-config.production.yaml": "x: {b: 3}",
        }
    )

    assert config.get("x") == {"a": 1, "b": 2}
    assert config.files == ("app-config.yaml", "app-config.local.yaml")


def test_backstage_env_names_further_usual_files(load):
    files = {
        "app-config.yaml": "x: base",
        "app-config.local.yaml": "y: local",
        "app-config.prod.yaml": "{x: prod, y: prod}",
        "app-config.prod.local.yaml": "z: prod.local",
    }

    config = load(files, environment={"BACKSTAGE_ENV": "prod, other"})

    assert [config.get(key) for key in "xyz"] == ["prod", "local", "prod.local"]


def test_without_any_file_the_shipped_defaults_count(load):
    config = load()

    assert config.files == ()
    assert config.get("backend.listen.port") == 7007
    assert config.origin("backend.listen.port").startswith("defaults.yaml:")


def test_with_arguments_only_those_files_are_read_the_last_being_strongest(load):
    files = {"app-config.yaml": "z: 1", "1.yaml": "x: 1\ny: 1", "2.yaml": "x: 2"}

    config = load(files, "1.yaml", "2.yaml")

    assert (config.get("x"), config.get("y"), config.get("z")) == (2, 1, None)


def test_a_file_that_was_asked_for_must_exist(refused):
    assert refused({}, "nope.yaml") == "configuration file nope.yaml does not exist"


def test_urls_are_refused(refused):
    assert "not from URLs" in refused({}, "https://example.com/app-config.yaml")


def test_an_empty_file_holds_nothing(load):
    files = {"a.yaml": "", "b.yaml": "# x\n~\n", "c.yaml": "x: 1"}

    assert load(files, "a.yaml", "b.yaml", "c.yaml").get("x") == 1


# Merging


def test_objects_merge_and_everything_else_is_replaced(load):
    files = {
        "1.yaml": "a: {b: {c: 1, d: [1, 2]}, e: text}\nz: {a: 1}\nw: 1",
        "2.yaml": "a: {b: {d: [3]}, e: {f: 1}}\nz: 5\nw: {q: 1}",
        "3.yaml": "z: {b: 2}",
    }

    config = load(files, "1.yaml", "2.yaml", "3.yaml")

    assert config.get("a") == {"b": {"c": 1, "d": [3]}, "e": {"f": 1}}
    assert config.get("z") == {"b": 2}
    assert config.get("w") == {"q": 1}


def test_null_takes_a_weaker_value_away(load):
    files = {"1.yaml": "a: {b: {c: 1}, d: 1}", "2.yaml": "a: {b: null}", "3.yaml": "a: {b: {e: 1}}"}

    assert load(files, "1.yaml", "2.yaml").get("a") == {"d": 1}
    assert load(files, "1.yaml", "2.yaml", "3.yaml").get("a") == {"b": {"e": 1}, "d": 1}


def test_null_over_a_shipped_default_leaves_the_default(load):
    assert read(load, "permission: {enabled: null}").get("permission.enabled") is False


def test_nulls_inside_lists_stay(load):
    assert read(load, "a: [1, null, {b: null}]").get("a") == [1, None, {"b": None}]


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=12,
)
OBJECT = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


def nodes(value):
    if isinstance(value, dict):
        return Node({key: nodes(child) for key, child in value.items()}, Place("test"))
    if isinstance(value, list):
        return Node([nodes(child) for child in value], Place("test"))
    return Node(value, Place("test"))


def naive_merge(high, low):
    if not isinstance(high, dict) or not isinstance(low, dict):
        return high
    keys = [*high, *(key for key in low if key not in high)]
    both = {key: naive_merge(high.get(key, low.get(key)), low.get(key)) for key in keys}
    return {key: high[key] if high.get(key, 0) is None else both[key] for key in keys}


def strip(value):
    if not isinstance(value, dict):
        return value
    return {key: strip(child) for key, child in value.items() if child is not None}


@given(OBJECT, OBJECT)
def test_merging_is_what_it_is_on_plain_objects(high, low):
    merged = without_nulls(merge(nodes(high), nodes(low)))

    assert plain(merged) == strip(naive_merge(high, low))


# YAML


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("off", "off"),
        ("2024-01-01", "2024-01-01"),
        ("true", True),
        ("'true'", "true"),
        ("0x1f", 31),
        ("0o17", 15),
        ("017", 17),
        ("1_000", "1_000"),
        (".5", 0.5),
        ("1e3", 1000),
        ("!!str 5", "5"),
        ("!!int '7'", 7),
        ("!custom x", "x"),
        ("12:30:45", "12:30:45"),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(load, text, value):
    assert read(load, f"a: {text}").get("a") == value


def test_keys_become_texts_and_merge_keys_stay_as_they_are(load):
    config = read(load, "m: &m {k: 1}\nn: {<<: *m, l: 2}\no: {1: one, true: yes}")

    assert config.get("n") == {"<<": {"k": 1}, "l": 2}
    assert config.get("o") == {"1": "one", "true": "yes"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: {x: 1,\n  x: 2}", "b.x: given twice, first at a.yaml:2 (a.yaml:3)"),
        ("[1]", "the top level: wanted object (a.yaml:1)"),
        ("a: 1\nb: [1", "did not find expected ',' or ']' (a.yaml:3:1)"),
        ("a: 1\n---\nb: 2", "but found another document (a.yaml:2:1)"),
        ("a: &x [*x]", "a[0]"),
        ("? [a]\n: 1", "a key must be a single value (a.yaml:1)"),
        ("a: *nope", "found undefined alias (a.yaml:1:4)"),
    ],
)
def test_malformed_yaml_is_refused_with_its_place(refused, text, message):
    assert message in refused({"a.yaml": text}, "a.yaml")


def test_text_that_is_not_utf_8_is_refused_with_its_line(load, tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"a: 1\nb: \xff\n")

    with pytest.raises(ConfigError, match=r"not UTF-8 text \(a.yaml:2\)"):
        load({}, "a.yaml")


def test_aliases_cannot_multiply_without_end(refused):
    names = zip("abcdefg", "bcdefgh", strict=True)
    bomb = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in names
    )

    assert "too many aliases" in refused({"a.yaml": bomb}, "a.yaml")


def test_a_byte_order_mark_does_no_harm(load):
    assert read(load, "\ufeffa: 1").get("a") == 1


# Variables


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}-${B}", "aa-bb"),
        ("$${A} ${ A }", "${A} aa"),
        ("${EMPTY}", ""),
        ("${EMPTY:-x}", "x"),
        ("${NOPE:-x:-y}", "x:-y"),
        ("${NOPE:- x }", "x"),
        ("${A:-x}", "aa"),
        ("${NOPE:-}", None),
        ("before ${NOPE} after", None),
        ("${}", None),
        ("${A:-${B}}", "${A:-bb}"),
        ("${{A}}", "${{A}}"),
        ("$A {A}", "$A {A}"),
        ("$$${A}", "$${A}"),
        ("${N}", "5"),
    ],
)
def test_variables_are_filled_in(load, text, value):
    config = read(load, f"a: '{text}'", A="aa", B=" bb\n", N="5", EMPTY="")

    assert config.get("a") == value


@given(st.text(), st.text(alphabet="ab ", max_size=5))
def test_texts_without_references_stay_and_references_are_replaced_everywhere(text, value):
    text = text.replace("$", "")

    assert substitute(text, {}).text == text
    assert substitute(f"{text}${{V}}{text}", {"V": value}).text == f"{text}{value.strip()}{text}"


def test_a_value_whose_variable_is_missing_is_absent_and_says_which(load):
    config = read(load, "a:\n  b: ${ONE}-${TWO}\n  c: {$env: THREE}")

    assert config.get("a") == {}
    assert config.keys("a") == ()
    assert config.missing_variables("a.b") == ("ONE", "TWO")
    assert config.missing_variables("a.c") == ("THREE",)
    with pytest.raises(ConfigError) as error:
        config.require("a.b")
    assert str(error.value) == "a.b: required (ONE, TWO are not set) (a.yaml:2)"


def test_a_weaker_file_stands_in_for_a_missing_variable(load):
    config = load(
        {"1.yaml": "a: base\nb: 1", "2.yaml": "a: ${NOPE}\nb: {$env: NOPE}"}, "1.yaml", "2.yaml"
    )

    assert (config.get("a"), config.get("b")) == ("base", 1)
    assert config.missing_variables("a") == ()


def test_a_default_that_stands_in_for_a_missing_variable_is_remembered(load):
    config = read(load, "backend: {listen: {port: '${PORT}'}}")

    assert config.get("backend.listen.port") == 7007
    assert config.missing_variables("backend.listen.port") == ("PORT",)


def test_absent_items_leave_their_list(load):
    config = read(load, "a: [x, '${NOPE}', {b: '${A}', c: '${NOPE}'}]", A="y")

    assert config.get("a") == ["x", {"b": "y"}]
    assert config.get("a[1].b") == "y"
    assert config.missing_variables("a") == ("NOPE",)
    assert config.missing_variables("a[1].c") == ("NOPE",)


def test_keys_are_not_substituted(load):
    assert read(load, "a: {'${A}': 1}", A="x").get("a") == {"${A}": 1}


# Includes

INCLUDED = {
    "a.yaml": (
        "env: {$env: A}\n"
        "indirect: {$env: '${NAME}'}\n"
        "file: {$file: sub/secret.txt}\n"
        "whole: {$include: sub/inner.yaml}\n"
        "part: {$include: sub/inner.yaml#x.y}\n"
        "json: {$include: 'sub/data.json#k'}\n"
        "nothing: {$include: sub/inner.yaml#nope}\n"
        "empty: {$include: sub/empty.yaml}\n"
        "list: [{$include: sub/inner.yaml#s}]\n"
    ),
    "sub/secret.txt": "\n hi ${A} \n\n",
    "sub/inner.yaml": (
        "x: {y: '${A}', z: {$file: secret.txt}}\ns: <${A}>\nn: {$include: deep/k.yaml}\n"
    ),
    "sub/deep/k.yaml": "q: {$file: ../secret.txt}\n",
    "sub/data.json": '{"k": {"a": "${A}", "f": 1.5e3, "n": null}}',
    "sub/empty.yaml": "",
}


def test_includes_bring_in_variables_files_and_parts_of_files(load):
    config = load(INCLUDED, "a.yaml", environment={"A": " aa ", "NAME": "A"})

    secret = "\n hi ${A}"
    assert config.get("env") == config.get("indirect") == config.get("part") == "aa"
    assert config.get("file") == secret
    inner = {"x": {"y": "aa", "z": secret}, "s": "<aa>", "n": {"q": secret}}
    assert config.get("whole") == inner
    assert config.get("json") == {"a": "aa", "f": 1500}
    assert config.get("nothing") is None
    assert config.get("empty") is None
    assert config.get("list") == ["<aa>"]


def test_included_values_are_placed_in_their_own_file(load):
    config = load(INCLUDED, "a.yaml", environment={"A": "aa", "NAME": "A"})

    assert config.origin("whole.s") == "sub/inner.yaml:2"
    assert config.origin("whole.n") == "sub/deep/k.yaml:1"
    assert config.origin("whole.n.q") == "sub/deep/k.yaml:1"
    assert config.origin("json.a") == "sub/data.json"
    assert config.origin("file") == "a.yaml:3"


def test_a_whole_file_may_be_an_include(load):
    assert load({"a.yaml": "$include: b.yaml", "b.yaml": "x: 1"}, "a.yaml").get("x") == 1


def test_what_an_include_yields_is_not_an_include_itself(load):
    files = {"a.yaml": "a: {$include: b.yaml#x}", "b.yaml": "x: {$env: A}"}

    assert load(files, "a.yaml", environment={"A": "aa"}).get("a") == {"$env": "A"}


def test_other_keys_with_a_dollar_have_no_meaning(load):
    config = read(load, "a: {$ref: x, $env2: y}\nb: {$schema: {$env: A}}", A="aa")

    assert config.get("a") == {"$ref": "x", "$env2": "y"}
    assert config.get("b") == {"$schema": "aa"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {$env: A, b: 1}", "a: $env must stand alone (a.yaml:1)"),
        ("a:\n- $env: 5", "a[0]: $env takes a string (a.yaml:2)"),
        ("a: {$file: no.txt}", "a: cannot read no.txt, it does not exist (a.yaml:1)"),
        ("a: {$file: .}", "Is a directory"),
        ("a: {$include: b.txt}", "a: $include of b.txt: not a .yaml, .yml or .json file"),
        ("a: {$include: b.yaml#x.y}", "a: $include: nothing at 'x.y' in b.yaml (a.yaml:1)"),
        ("a: {$include: '${NO}.yaml'}", "a: $include needs NO, which is not set (a.yaml:1)"),
        ("a: {$include: bad.yaml}", "a: $include of bad.yaml: not valid YAML"),
        ("a: {$include: bad.json}", "a: $include of bad.json: not valid JSON"),
        ("a: {$include: a.yaml#a}", None),
        ("a: {$include: loop.yaml}", "never ends"),
    ],
)
def test_wrong_includes_are_refused_with_key_file_and_line(load, refused, text, message):
    files = {
        "a.yaml": text,
        "b.yaml": "x: 1",
        "bad.yaml": "[",
        "bad.json": "{'x': 1}",
        "loop.yaml": "b: {$include: loop.yaml}",
    }

    if message is None:
        assert load(files, "a.yaml").get("a") == {"$include": "a.yaml#a"}
    else:
        assert message in refused(files, "a.yaml")


# APP_CONFIG_ variables and the command line


def test_app_config_variables_are_stronger_than_files_and_parsed_as_json(load):
    environment = {
        "APP_CONFIG_a_b": "2",
        "APP_CONFIG_a_c-d_camelCase": '{"x": [1]}',
        "APP_CONFIG_text": "plain text",
        "APP_CONFIG_quoted": '"5"',
        "APP_CONFIG_flag": "true",
        "APP_CONFIG_nan": "NaN",
        "APP_CONFIG_raw": "${A}",
        "APP_CONFIG_empty": "",
    }

    config = read(load, "a: {b: 1, c-d: {e: 1}}", **environment)

    assert config.get("a") == {"b": 2, "c-d": {"e": 1, "camelCase": {"x": [1]}}}
    assert config.get("text") == "plain text"
    assert config.get("quoted") == "5"
    assert config.get("flag") is True
    assert config.get("nan") == "NaN"
    assert config.get("raw") == "${A}"
    assert config.get("empty") is None
    assert config.origin("a.b") == "environment APP_CONFIG_a_b"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"APP_CONFIG_a": "null"}, "APP_CONFIG_a: the value may not be null"),
        ({"APP_CONFIG_a__b": "1"}, "a..b: not a possible key (environment APP_CONFIG_a__b)"),
        ({"APP_CONFIG_a": "1", "APP_CONFIG_a_b": "1"}, "a.b: a already has a plain value"),
        ({"APP_CONFIG_a": '{"b": 1}', "APP_CONFIG_a_b": "1"}, "a.b: given twice"),
    ],
)
def test_app_config_variables_that_make_no_sense_are_refused(refused, environment, message):
    assert message in refused({}, environment=environment)


def test_the_command_line_is_strongest(load):
    config = load(
        {"app-config.yaml": "a: {b: 1, c: 1}"},
        environment={"APP_CONFIG_a_b": "2"},
        overrides={"a.b": 3},
    )

    assert config.get("a") == {"b": 3, "c": 1}
    assert config.origin("a.b") == "command line"


# Reading


def test_every_value_knows_its_file_and_line(load):
    config = load(
        {"1.yaml": "a:\n  b:\n  - c: 1\n  -\n    d: {e: 2}\n", "2.yaml": "\na: {f: 3}"},
        "1.yaml",
        "2.yaml",
    )

    places = {path: config.origin(path) for path in ("a.b", "a.b[0].c", "a.b[1].d.e", "a.f", "a")}

    assert places == {
        "a.b": "1.yaml:2",
        "a.b[0].c": "1.yaml:3",
        "a.b[1].d.e": "1.yaml:5",
        "a.f": "2.yaml:2",
        "a": "2.yaml:2",
    }
    assert config.origin("a.b[1].nope") == "1.yaml:5"


def test_files_outside_the_working_directory_are_named_in_full(tmp_path):
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text("a: 1")
    inside = tmp_path / "inside"
    inside.mkdir()

    config = load_config([elsewhere], {}, inside)

    assert config.origin("a") == f"{elsewhere}:1"


def test_a_section_reads_like_a_configuration_of_its_own(load):
    config = read(load, "a:\n  b:\n    c: 1\n    d: ${NOPE}")

    section = config.section("a").section("b")

    assert section.get("c") == 1
    assert section.get() == {"c": 1}
    assert section.origin("c") == "a.yaml:3"
    assert section.missing_variables("d") == ("NOPE",)
    with pytest.raises(ConfigError, match=r"^a\.b\.x: required \(a\.yaml:2\)$"):
        section.require("x")
    assert config.section("nope").get() == {}
    with pytest.raises(ConfigError, match=r"a\.b\.c: wanted object \(a\.yaml:3\)"):
        config.section("a.b.c")


def test_paths_that_lead_nowhere_give_the_default(load):
    config = read(load, "a: [1]\nb: text")

    assert config.get("a[3]", "none") == "none"
    assert config.get("a.x") is None
    assert config.get("b.x.y") is None
    assert config.keys("b") == ()


def test_node_env_tells_whether_this_is_development(load):
    assert load(environment={"NODE_ENV": "development"}).is_development
    assert not load(environment={"NODE_ENV": "production"}).is_development
    assert not load().is_development


# Secrets

SECRETS = """
db: {password: hunter2-a, user: ada, url: 'postgresql://ada:hunter2-b@host/db'}
env: ${SECRET}
partly: x-${SECRET}
default: ${NOPE:-shown}
file: {$file: secret.txt}
list: [{clientSecret: hunter2-c, isOn: true}]
apiKey: 5
credentials: {user: hunter2-d, isOn: true}
backstageTokenExpiration: {hours: 1}
"""


def test_secrets_are_masked(load):
    files = {"a.yaml": SECRETS, "secret.txt": "hunter2-e"}
    environment = {"SECRET": "hunter2-f", "APP_CONFIG_over": '{"x": "hunter2-g"}'}

    config = load(files, "a.yaml", environment=environment)

    shown = config.redacted()
    assert "hunter2" not in json.dumps(shown)
    assert shown["db"] == {
        "password": MASK,
        "user": "ada",
        "url": f"postgresql://ada:{MASK}@host/db",
    }
    assert shown["default"] == "shown"
    assert shown["list"] == [{"clientSecret": MASK, "isOn": True}]
    assert shown["apiKey"] == MASK
    assert shown["credentials"] == {"user": MASK, "isOn": True}
    assert shown["backstageTokenExpiration"] == {"hours": 1}
    assert config.section("db").redacted()["password"] == MASK


def test_a_configuration_prints_without_its_values(load):
    config = load({"a.yaml": SECRETS, "secret.txt": "hunter2"}, "a.yaml")

    assert "hunter2" not in repr(config)
    assert "hunter2" not in repr(config.section("db"))
    assert "a.yaml" in repr(config)


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("token", True),
        ("clientSecret", True),
        ("PASSWORD", True),
        ("X-API-Key", True),
        ("Authorization", True),
        ("secretAccessKey", True),
        ("accessKeyId", False),
        ("keyStore", False),
        ("monkey", False),
        ("omitIdentityTokenOwnershipClaim", False),
        ("", False),
    ],
)
def test_names_of_secrets_are_recognised_by_their_last_word(name, is_secret):
    assert is_secret_name(name) is is_secret


def test_a_configuration_made_by_hand_can_be_read():
    config = Config.of(nodes({"a": {"b": [1]}}), directory=Path("/"))

    assert config.get("a.b[0]") == 1
    assert config.origin("a.b[0]") == "test"
