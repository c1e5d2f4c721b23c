"""Providers of the configuration: what is wrong with them is said at once, with file and line."""

from __future__ import annotations

from datetime import timedelta
from textwrap import dedent

import pytest

from app.bootstrap.providers import provider_sources, provider_warnings
from app.config import load_config
from app.errors import ConfigError
from app.scm.readers import ReaderSettings, open_readers
from app.settings import read_settings


@pytest.fixture
def settings_of(tmp_path):
    def read(text):
        path = tmp_path / "app-config.yaml"
        path.write_text(dedent(text))
        return read_settings(load_config((path,)))

    return read


@pytest.fixture
def readers(tmp_path):
    return open_readers(ReaderSettings(tmp_path))


def test_all_mistakes_are_said_at_once_with_file_and_line(settings_of, readers):
    settings = settings_of("""\
        catalog:
          providers:
            git:
              shop:
                branch: main
                paths: [a.yaml, 3]
              bank:
                url: https://git.example/bank.git
                schedule:
                  frequency: often
              market: {url: https://git.example/market.git}
        """)

    with pytest.raises(ConfigError) as raised:
        provider_sources(settings, readers)

    one, two, three = sorted(str(raised.value).splitlines())
    assert one.startswith("catalog.providers.git.bank.schedule.frequency: ")
    assert one.endswith("app-config.yaml:10)")
    assert two.startswith("catalog.providers.git.shop.paths[1]: ")
    assert two.endswith("app-config.yaml:6)")
    assert three.startswith("catalog.providers.git.shop.url: required (")
    assert three.endswith("app-config.yaml:4)")


@pytest.mark.parametrize("written", ["5", "[]", "text", "[{url: x}]"])
def test_what_is_no_section_is_said_to_be_none(settings_of, readers, written):
    settings = settings_of(f"catalog: {{providers: {{git: {written}}}}}\n")

    with pytest.raises(ConfigError, match=r"catalog.providers.git: wanted object .*:1"):
        provider_sources(settings, readers)


def test_a_single_provider_is_named_as_it_is_written(settings_of, readers):
    settings = settings_of("catalog: {providers: {git: {branch: main}}}\n")

    with pytest.raises(ConfigError, match=r"^catalog.providers.git.url: required"):
        provider_sources(settings, readers)


def test_what_is_left_empty_counts_as_left_out(settings_of, readers):
    settings = settings_of("""\
        catalog:
          providers:
            git: {url: 'https://git.example/a.git', branch: ~, schedule: {frequency: ~}}
            github: ~
        """)

    (source,) = provider_sources(settings, readers)

    assert (source.name, source.every) == ("git:default", timedelta(minutes=30))


def test_keys_that_mean_nothing_are_named(settings_of, readers):
    settings = settings_of("""\
        catalog:
          providers:
            git:
              shop:
                url: https://git.example/shop.git
                brunch: main
                schedule: {frequency: 5m, timeout: 1m, scope: global, frequenzy: 5m}
            awsS3: {whatever: {it: has}}
        """)

    assert len(provider_sources(settings, readers)) == 1
    first, second = provider_warnings(settings)
    assert first.startswith("catalog.providers.git.shop.brunch: unknown key (")
    assert first.endswith("app-config.yaml:6)")
    assert second.startswith("catalog.providers.git.shop.schedule.frequenzy: unknown key (")
