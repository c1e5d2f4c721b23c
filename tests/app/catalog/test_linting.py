"""Linting catalog files: every mistake, once, at its place."""

from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.lint_rules import RULES
from app.catalog.linting import CatalogText, Linter, dangling, targets
from app.model import policies
from app.model.kinds import Kind, KindRegistry
from app.model.relations import RelationRule

KINDS = KindRegistry()
GOOD = """\
    apiVersion: backstage.io/v1alpha1
    kind: Component
    metadata:
      name: web
      tags: [python]
    spec:
      type: service
      lifecycle: production
      owner: team-a
    """


def lint(*texts: str, kinds: KindRegistry = KINDS):
    files = [
        CatalogText(f"{number}.yaml", dedent(text).encode()) for number, text in enumerate(texts)
    ]
    return Linter(kinds).lint_files(files)


def found(*texts: str, kinds: KindRegistry = KINDS) -> list[tuple[str, int, int]]:
    return [(f.rule.id, f.line, f.column) for f in lint(*texts, kinds=kinds).findings]


def messages(*texts: str) -> list[str]:
    return [finding.message for finding in lint(*texts).findings]


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


# What is fine


def test_a_good_file_has_no_findings():
    report = lint(GOOD, GOOD.replace("name: web", "name: other"))

    assert report.findings == []
    assert report.refs == {"component:default/web", "component:default/other"}
    assert report.files == 2


def test_every_rule_is_known_by_its_id():
    assert all(rule.id == name for name, rule in RULES.items())
    assert {rule.severity for rule in RULES.values()} == {"error", "warning"}


# Syntax


def test_what_is_not_yaml_is_found_where_it_stops_making_sense():
    assert found("a: 1\nb: ]\nc: 2\n") == [("yaml-syntax", 2, 4)]


def test_a_key_given_twice_is_a_mistake_of_syntax():
    (finding,) = lint(changed("      name: web\n", "      name: web\n      name: api\n")).findings

    assert (finding.rule.id, finding.line) == ("yaml-syntax", 5)
    assert finding.message == "Map keys must be unique"


def test_one_broken_document_does_not_hide_the_mistakes_of_others():
    text = "a: [\n---\n" + dedent(changed("owner: team-a", "owner: ''"))

    assert [rule for rule, _, _ in found(text)] == ["yaml-syntax", "schema"]


def test_a_document_that_is_no_object_is_no_entity():
    assert found("- a\n- b\n") == [("not-an-entity", 1, 1)]
    assert found("title: A form\ntype: object\n") == [("not-an-entity", 1, 1)]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n---\n"])
def test_a_file_without_an_entity_is_worth_a_warning(text):
    assert found(text) == [("empty-file", 1, 1)]


# Schemas and formats


def test_every_missing_field_is_named():
    text = changed("      lifecycle: production\n      owner: team-a\n", "")

    assert messages(text) == ["spec.lifecycle is required", "spec.owner is required"]
    assert found(text) == [("schema", 6, 1)] * 2


def test_a_field_of_the_wrong_type_is_found_at_its_place():
    text = changed("tags: [python]", "tags: [python, 3]\n      labels: {a: true}")

    assert found(text) == [("schema", 5, 18), ("schema", 6, 15)]
    assert messages(text) == [
        "metadata.tags[1] must be of type string, not integer",
        "metadata.labels.a must be of type string, not boolean",
    ]


def test_every_field_that_is_not_well_formed_is_found_at_once():
    text = changed(
        "name: web\n      tags: [python]",
        "name: my web\n      tags: [Python, ok, no_good]\n      namespace: Big\n"
        "      links: [{url: nowhere}]",
    )

    assert found(text) == [
        ("field-format", 4, 9),
        ("field-format", 5, 10),
        ("field-format", 5, 22),
        ("field-format", 6, 14),
        ("field-format", 7, 17),
    ]
    assert all("To learn more" not in message for message in messages(text))


def test_a_field_at_the_root_that_no_entity_has_is_unknown():
    assert found(dedent(GOOD) + "relations: []\nfoo: 1\n") == [
        ("unknown-field", 10, 1),
        ("unknown-field", 11, 6),
    ]


def test_a_missing_envelope_field_is_found():
    assert messages(changed("    kind: Component\n", "")) == ["kind is required"]


def test_a_misspelt_kind_gets_a_hint():
    assert messages(changed("kind: Component", "kind: component")) == [
        'the catalog knows no kind "component"; did you mean "Component"?'
    ]
    assert messages(changed("kind: Component", "kind: Widget")) == [
        'the catalog knows no kind "Widget"'
    ]


def test_the_api_version_of_a_known_kind_is_checked():
    (finding,) = lint(changed("backstage.io/v1alpha1", "backstage.io/v1")).findings

    assert (finding.rule.id, finding.line) == ("unknown-kind", 1)
    assert "backstage.io/v1alpha1 or backstage.io/v1beta1" in finding.message


def test_keys_that_differ_only_in_case_cannot_be_searched():
    text = changed("tags: [python]", "annotations: {Example: a, example: b}")

    assert [rule for rule, _, _ in found(text)] == ["duplicate-key"]


def test_what_the_catalog_overwrites_is_worth_a_warning():
    text = changed("tags: [python]", "uid: abc")

    assert found(text) == [("overwritten-field", 5, 8)]


def test_a_kind_of_ones_own_is_held_to_its_schema_and_relations():
    spec = {"type": "object", "required": ["source"]}
    kind = Kind(
        "Dataset",
        ("data.example.com/v1",),
        {"type": "object", "properties": {"spec": spec}},
        (RelationRule("storage.bucket", "dependsOn", "Resource"),),
    )
    text = """\
        apiVersion: data.example.com/v1
        kind: Dataset
        metadata: {name: sales}
        spec: {storage: {bucket: 'resource:'}}
        """

    rules = [rule for rule, _, _ in found(text, kinds=KindRegistry([kind]))]

    assert sorted(rules) == ["reference", "schema"]


@given(
    st.fixed_dictionaries(
        {
            "apiVersion": st.sampled_from(["backstage.io/v1alpha1", "x", "", "a b/c"]),
            "kind": st.sampled_from(["Component", "Group", "Nothing", "no kind"]),
            "metadata": st.fixed_dictionaries(
                {"name": st.sampled_from(["web", "my web", "", 3])},
                optional={
                    "namespace": st.sampled_from(["default", "No", ""]),
                    "tags": st.lists(st.sampled_from(["a", "A", "b_c", 1]), max_size=3),
                    "labels": st.dictionaries(
                        st.sampled_from(["a", "b/c", "d e"]), st.sampled_from(["x", "y z", 1])
                    ),
                    "links": st.lists(
                        st.fixed_dictionaries({"url": st.sampled_from(["https://a", "b"])})
                    ),
                },
            ),
            "spec": st.sampled_from([{}, {"type": "x"}, {"owner": ""}, []]),
        },
        optional={"relations": st.just([]), "other": st.just(1)},
    )
)
def test_the_linter_is_silent_about_an_entity_only_if_the_catalog_takes_it(data):
    import orjson

    report = Linter(KINDS).lint_files([CatalogText("a.yaml", orjson.dumps(data))])

    refused = policies.check_envelope(data) or policies.check_fields(data)
    assert bool(report.count("error")) == bool(refused or KINDS.validate(data))


# References


def test_a_reference_without_a_kind_where_none_is_implied_is_a_mistake():
    text = changed("owner: team-a", "owner: team-a\n      dependsOn: ['resource:db', other]")

    assert found(text) == [("reference", 10, 30)]


def test_a_reference_to_a_kind_that_does_not_fit_is_worth_a_warning():
    text = changed("owner: team-a", "owner: component:team-a\n      system: api:x")

    assert found(text) == [("wrong-kind", 9, 10), ("wrong-kind", 10, 11)]
    assert "should name a Group or a User" in messages(text)[0]


def test_users_may_own():
    assert found(changed("owner: team-a", "owner: user:ada")) == []


def test_references_are_dangling_unless_they_are_in_the_files_or_known_elsewhere():
    text = changed("owner: team-a", "owner: team-a\n      system: shop\n      providesApis: [x, y]")
    group = """\
        apiVersion: backstage.io/v1alpha1
        kind: Group
        metadata: {name: Team-A}
        spec: {type: team, children: []}
        """
    report = lint(text, group)

    assert targets(report) == ["api:default/x", "api:default/y", "system:default/shop"]
    missing = list(dangling(report, {"system:default/shop", "api:default/x"}))
    assert [(f.line, f.column, f.message, f.ref) for f in missing] == [
        (11, 21, "spec.providesApis[1]: there is no api:default/y", "component:default/web")
    ]


def test_an_entity_that_is_not_valid_is_no_dangling_reference():
    broken = """\
        apiVersion: backstage.io/v1alpha1
        kind: Group
        metadata: {name: team-a}
        spec: {}
        """

    assert list(dangling(lint(GOOD, broken), set())) == []


# Several files


def test_an_entity_that_is_defined_twice_is_found_at_the_second_place():
    report = lint(GOOD, "# again\n" + dedent(changed("name: web", "name: WEB")))

    (finding,) = report.findings
    assert (finding.rule.id, finding.file, finding.line) == ("duplicate-entity", "1.yaml", 2)
    assert finding.message == "component:default/web is defined already, in 0.yaml:1"


def test_places_are_right_in_later_documents_and_other_encodings():
    text = dedent(GOOD) + "---\n# é\n" + dedent(changed("name: web", "name: ü"))
    for data in (text.encode("utf-8-sig"), text.replace("\n", "\r\n").encode("utf-16")):
        report = Linter(KINDS).lint_files([CatalogText("a", data)])

        assert [(f.rule.id, f.line, f.column) for f in report.findings] == [("field-format", 15, 9)]


# Templates of files


@pytest.mark.parametrize(
    "text",
    [
        changed("name: web", "name: ${{ values.name | dump }}"),
        changed("name: web", "name: '${{ values.name }}'"),
        changed("name: web", "name: {{cookiecutter.name | jsonify}}"),
        changed("owner: team-a", "owner: team-a\n    {%- if values.system %}\n      system: x"),
    ],
)
def test_a_template_of_a_file_is_one_finding(text):
    report = lint(text)

    assert [finding.rule.id for finding in report.findings] == ["yaml-template"]
    assert report.is_template
    assert report.entities == []


def test_the_finding_names_the_first_expression():
    assert found(changed("name: web", "name: ${{ values.name }}")) == [("yaml-template", 4, 9)]


def test_expressions_in_texts_and_in_templates_are_as_they_should_be():
    template = """\
        apiVersion: scaffolder.backstage.io/v1beta3
        kind: Template
        metadata: {name: make}
        spec:
          type: service
          steps:
            - action: fetch:template
              input: {url: '${{ parameters.url }}'}
          output: {links: [{url: '${{ steps.x.output }}', icon: ''}]}
        """

    assert found(changed("tags: [python]", "description: 'about {{ braces }}'")) == []
    assert found(template) == [("schema", 9, 57)]


def test_a_mistake_elsewhere_in_a_file_with_braces_is_told_as_what_it_is():
    text = changed("tags: [python]", "description: '{{ braces }}'").replace("owner: team-a", "x: 1")

    assert [rule for rule, _, _ in found(text)] == ["schema"]


# Neighbours


@pytest.fixture
def folder(tmp_path):
    """A repository in a folder; answers what linting a file in it finds."""
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    (tmp_path / "outside.txt").write_text("x")

    def lint_here(name: str, text: str, **others: str):
        for other, content in others.items():
            path = tmp_path / "repo" / other.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        path = tmp_path / "repo" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = dedent(text).encode()
        report = Linter(KINDS).lint_files([CatalogText(name, data, path)])
        return [(f.rule.id, f.line, f.message) for f in report.findings]

    return lint_here


def an_api(definition: str) -> str:
    return f"""\
        apiVersion: backstage.io/v1alpha1
        kind: API
        metadata: {{name: a}}
        spec:
          type: openapi
          lifecycle: production
          owner: team-a
          definition: {definition}
        """


def test_a_placeholder_is_filled_in_from_the_file_beside(folder):
    assert folder("a/catalog-info.yaml", an_api("{$text: ./api.txt}"), a__api_txt="hello") == []
    assert folder("a/catalog-info.yaml", an_api("{$text: /top.txt}"), top_txt="hello") == []


def test_an_empty_file_does_not_make_a_definition(folder):
    ((rule, _, message),) = folder("c.yaml", an_api("{$text: ./api.txt}"), api_txt="")

    assert (rule, message) == ("schema", "spec.definition must not be empty")


@pytest.mark.parametrize(
    ("placeholder", "content", "reason"),
    [
        ("{$text: ./nope.txt}", "", "no such file or directory"),
        ("{$text: ../outside.txt}", "", "it is not in the same repository"),
        ('{$text: "./a\\0b"}', "", "embedded null byte"),
        ("{$text: 5}", "", "wants the address of a file"),
        ("{$json: {a: b}}", "", "wants the address of a file"),
        ("{$json: ./api.txt}", "{", "it is not JSON"),
        ("{$yaml: ./api.txt}", "a: 1\n---\nb: 2\n", "it holds 2 documents"),
        ("{$yaml: ./api.txt}", "a: [", "not"),
    ],
)
def test_a_placeholder_that_cannot_be_used_is_one_finding(folder, placeholder, content, reason):
    ((rule, line, message),) = folder("c.yaml", an_api(placeholder), api_txt=content)

    assert (rule, line) == ("placeholder", 8)
    assert reason in message or reason == "not"


def test_a_placeholder_that_names_the_web_is_left_to_the_server(folder):
    assert folder("c.yaml", an_api("{$text: 'https://example.com/a.yaml'}")) == []


def test_a_file_of_the_wrong_type_is_held_to_the_schema(folder):
    ((rule, _, message),) = folder("c.yaml", an_api("{$json: ./api.json}"), api_json="{}")

    assert (rule, message) == ("schema", "spec.definition must be of type string, not object")


def test_targets_of_a_location_have_to_exist(folder):
    location = """\
        apiVersion: backstage.io/v1alpha1
        kind: Location
        metadata: {name: all}
        spec:
          targets: [./a.yaml, ./b.yaml, './*/c.yaml', './x/*.yaml', 'https://example.com/d.yaml']
        """

    findings = folder("all.yaml", location, a_yaml="", x__y_yaml="")

    assert [(rule, line) for rule, line, _ in findings] == [("missing-target", 5)] * 2
    assert findings[0][2] == "./b.yaml: there is no such file"
    assert findings[1][2] == "./*/c.yaml: no file matches"
    assert (
        folder("all.yaml", location.replace("spec:", "spec:\n          presence: optional")) == []
    )


@pytest.mark.parametrize("target", ["./" + "x" * 300, '"./a\\0b"', "./" + "{a,b}" * 9])
def test_a_target_that_cannot_be_a_path_is_one_finding(folder, target):
    location = f"""\
        apiVersion: backstage.io/v1alpha1
        kind: Location
        metadata: {{name: all}}
        spec:
          target: {target}
        """

    ((rule, line, _),) = folder("all.yaml", location)

    assert (rule, line) == ("missing-target", 5)
