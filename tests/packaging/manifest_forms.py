"""The forms that winget and Scoop ask of manifests, for the members that ours have.

They restate in our words what the published schemas say (winget's for version 1.6.0 of manifests,
Scoop's `schema.json`), of which no package has a copy that knows portable programs and ARM64. Both
managers pass over a member that they do not know, so here it is an error: whoever adds one looks up
what is allowed, and adds it here.
"""

from typing import Any

Form = dict[str, Any]

_TEXT: Form = {"type": "string", "minLength": 1}
_URL: Form = {"type": "string", "pattern": "^https://[^$ ]+$", "maxLength": 2048}
_SHA256: Form = {"type": "string", "pattern": "^[0-9A-Fa-f]{64}$"}


def _object(*, optional: Form | None = None, **required: Form) -> Form:
    return {
        "type": "object",
        "required": list(required),
        "properties": required | (optional or {}),
        "additionalProperties": False,
    }


def _text(shortest: int, longest: int) -> Form:
    return {"type": "string", "minLength": shortest, "maxLength": longest}


def _list(item: Form, longest: int) -> Form:
    return {"type": "array", "items": item, "maxItems": longest, "uniqueItems": True}


_NAME = r"[^.\s\\/:*?\"<>|]{1,32}"
_IN_EACH: Form = {
    "PackageIdentifier": {"type": "string", "pattern": rf"^{_NAME}(\.{_NAME}){{1,7}}$"},
    "PackageVersion": {"type": "string", "pattern": r"^[^\\/:*?\"<>|]{1,128}$"},
    "ManifestVersion": {"const": "1.6.0"},
}
_LOCALE: Form = {"type": "string", "pattern": "^[a-z]{2,3}(-[A-Za-z]{1,8})*$", "maxLength": 20}
_TAG = _text(1, 40)

WINGET = {
    "version": _object(**_IN_EACH, ManifestType={"const": "version"}, DefaultLocale=_LOCALE),
    "installer": _object(
        **_IN_EACH,
        ManifestType={"const": "installer"},
        InstallerType={"const": "portable"},
        Installers={
            **_list(
                _object(
                    Architecture={"enum": ["x64", "x86", "arm", "arm64", "neutral"]},
                    InstallerUrl=_URL,
                    InstallerSha256=_SHA256,
                ),
                1024,
            ),
            "minItems": 1,
        },
        optional={"Commands": _list(_text(1, 40), 16)},
    ),
    "defaultLocale": _object(
        **_IN_EACH,
        ManifestType={"const": "defaultLocale"},
        PackageLocale=_LOCALE,
        Publisher=_text(2, 256),
        PackageName=_text(2, 256),
        License=_text(3, 512),
        ShortDescription=_text(3, 256),
        optional={
            "PackageUrl": _URL,
            "LicenseUrl": _URL,
            "ReleaseNotesUrl": _URL,
            "Moniker": _TAG,
            "Tags": _list(_TAG, 16),
        },
    ),
}
"""The forms of winget's manifests, by their `ManifestType`."""

_ARCHITECTURES = ("64bit", "arm64")
# Scoop puts the version in the place of this name.
_LATER_URL: Form = {"type": "string", "pattern": r"^https://[^$ ]+\$version[^$ ]+$"}

SCOOP = _object(
    version={"type": "string", "pattern": r"^[\w.+-]+$"},
    description=_TEXT,
    homepage=_URL,
    license=_TEXT,
    architecture=_object(**{name: _object(url=_URL, hash=_SHA256) for name in _ARCHITECTURES}),
    bin=_TEXT,
    optional={
        "persist": _TEXT,
        "checkver": _TEXT,
        "autoupdate": _object(
            architecture=_object(**{name: _object(url=_LATER_URL) for name in _ARCHITECTURES}),
            hash=_object(url={"type": "string", "pattern": r"\$(url|baseurl)"}),
        ),
    },
)
"""The form of Scoop's manifest."""
