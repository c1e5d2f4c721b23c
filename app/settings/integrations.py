"""`integrations`: the source-control hosts that are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.config import Config

# Hosts that are known without being configured.
PUBLIC_HOSTS: Mapping[str, str] = {
    "github": "github.com",
    "gitlab": "gitlab.com",
    "bitbucketCloud": "bitbucket.org",
    "azure": "dev.azure.com",
    "gitea": "gitea.com",
}


@dataclass(frozen=True, slots=True)
class IntegrationsSettings:
    """`hosts` maps each host to its type; `raw` is the section as written."""

    hosts: Mapping[str, str]
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


def read_integrations(config: Config) -> tuple[IntegrationsSettings, tuple[str, ...]]:
    """List the hosts, and say which entries are malformed; what is in them is read later."""
    hosts = {host: kind for kind, host in PUBLIC_HOSTS.items()}
    mistakes = []
    for kind in config.keys("integrations"):
        path = f"integrations.{kind}"
        entries = config.get(path)
        if not isinstance(entries, list):
            continue
        for index, entry in enumerate(entries):
            place = f"{path}[{index}]"
            if not isinstance(entry, Mapping):
                mistakes.append(config.complaint(place, "wanted object"))
                continue
            host = entry.get("host", PUBLIC_HOSTS.get(kind))
            if isinstance(host, str) and host:
                hosts[host] = kind
            elif kind in PUBLIC_HOSTS or "host" in entry:
                mistakes.append(config.complaint(f"{place}.host", "wanted string"))
    return IntegrationsSettings(hosts, config.get("integrations", {})), tuple(mistakes)
