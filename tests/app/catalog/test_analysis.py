"""What a first catalog file for a repository might say."""

import pytest

from app.catalog.analysis import LocationAnalyzer, Repository, repository_at
from app.errors import InputError

HOSTS = {
    "github.com": "github",
    "gitlab.com": "gitlab",
    "bitbucket.org": "bitbucketCloud",
    "dev.azure.com": "azure",
    "git.example.org:8443": "github",
    "gitea.com": "gitea",
}
analyzer = LocationAnalyzer(HOSTS)


def suggested(target):
    answer = analyzer.analyze(target)
    (generated,) = answer["generateEntities"]
    assert answer["existingEntityFiles"] == []
    assert generated["fields"] == []
    return generated["entity"]


def test_a_component_is_suggested():
    assert suggested("https://example.com/o/r") == {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "r"},
        "spec": {"type": "other", "lifecycle": "unknown"},
    }


@pytest.mark.parametrize(
    ("target", "annotation", "slug"),
    [
        ("https://github.com/o/r", "github.com/project-slug", "o/r"),
        ("https://git.example.org:8443/o/r", "github.com/project-slug", "o/r"),
        ("https://gitlab.com/group/sub/r", "gitlab.com/project-slug", "group/sub/r"),
        ("https://bitbucket.org/o/r/src/main/x", "bitbucket.org/project-slug", "o/r"),
        ("https://dev.azure.com/org/project/_git/r", "dev.azure.com/project-slug", "project/r"),
    ],
)
def test_known_hosts_are_named_in_an_annotation(target, annotation, slug):
    assert suggested(target)["metadata"]["annotations"] == {annotation: slug}


@pytest.mark.parametrize("target", ["https://gitea.com/o/r", "https://git.example.org/o/r"])
def test_other_hosts_are_not(target):
    assert "annotations" not in suggested(target)["metadata"]


@pytest.mark.parametrize("target", ["nope", "tide reader", "", "mailto:ada@example.org", "/o/r"])
def test_what_is_no_url_is_refused(target):
    with pytest.raises(InputError, match=r"^The given location\.target is not a URL$"):
        analyzer.analyze(target)


@pytest.mark.parametrize("target", ["https://github.com", "https://dev.azure.com/org/p/_git/"])
def test_a_url_has_to_name_a_repository(target):
    with pytest.raises(InputError, match=r"of a repository$"):
        analyzer.analyze(target)


@pytest.mark.parametrize(
    ("path", "owner", "name"),
    [
        ("/r", "", "r"),
        ("/o/r", "o", "r"),
        ("/o/r/", "o", "r"),
        ("/o/r.git", "o", "r"),
        ("/o/a%20b", "o", "a b"),
        ("/o/r/blob/main/catalog-info.yaml", "o", "r"),
        ("/o/r/tree/main/blob/x", "o", "r"),
        ("/o/r/edit/main/x", "o", "r"),
        ("/g/s/r/-/blob/main/x", "g/s", "r"),
        ("/blob/src", "blob", "src"),
        ("/org/_git/r", "r", "r"),
        ("/org/project/_git/r", "project", "r"),
    ],
)
def test_a_repository_is_found_in_a_path(path, owner, name):
    assert repository_at(path) == Repository(owner, name)
