"""What the configuration means: one frozen dataclass for every section Callboard owns.

`read_settings` is called once, at startup; a service receives its own section and nothing more.
"""

from app.settings.access import (
    AccessRestriction,
    BackendAuthSettings,
    ExternalAccess,
    JwksAccess,
    LegacyAccess,
    StaticAccess,
)
from app.settings.backend import CorsSettings, LifecycleSettings, ReadingRule
from app.settings.callboard import (
    AppSettings,
    CallboardSettings,
    LoggingSettings,
    OrganizationSettings,
    PermissionSettings,
    RetentionSettings,
)
from app.settings.catalog import (
    AllowedKind,
    CatalogLimits,
    CatalogLocation,
    CatalogRule,
    CatalogSettings,
    LocationMatch,
    MassRemoval,
)
from app.settings.database import DatabaseSettings, DatabaseSsl, PostgresDatabase, SqliteDatabase
from app.settings.durations import parse_duration
from app.settings.integrations import IntegrationsSettings
from app.settings.kinds import CustomKind, RelationRule
from app.settings.push import PushSettings, PushSource
from app.settings.read import BackendSettings, Settings, read_settings
from app.settings.section import Section, mistakes, read_section
from app.settings.sign_in import AuthSettings, GuestSettings
from app.settings.webhooks import WebhookSettings

__all__ = [
    "AccessRestriction",
    "AllowedKind",
    "AppSettings",
    "AuthSettings",
    "BackendAuthSettings",
    "BackendSettings",
    "CallboardSettings",
    "CatalogLimits",
    "CatalogLocation",
    "CatalogRule",
    "CatalogSettings",
    "CorsSettings",
    "CustomKind",
    "DatabaseSettings",
    "DatabaseSsl",
    "ExternalAccess",
    "GuestSettings",
    "IntegrationsSettings",
    "JwksAccess",
    "LegacyAccess",
    "LifecycleSettings",
    "LocationMatch",
    "LoggingSettings",
    "MassRemoval",
    "OrganizationSettings",
    "PermissionSettings",
    "PostgresDatabase",
    "PushSettings",
    "PushSource",
    "ReadingRule",
    "RelationRule",
    "RetentionSettings",
    "Section",
    "Settings",
    "SqliteDatabase",
    "StaticAccess",
    "WebhookSettings",
    "mistakes",
    "parse_duration",
    "read_section",
    "read_settings",
]
