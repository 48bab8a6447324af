"""Software bills of materials in the JSON of CycloneDX, written by its own library and checked with
the schema that this brings.

The same parts give the same bytes: the time is that of the sources, and the number that every bill
must have is made from what it describes.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from releasekit.errors import ReleaseError
from releasekit.parts import Part
from releasekit.targets import NAME

SUFFIX = ".cdx.json"

_SCHEMA = SchemaVersion.V1_6
"""What the tools that read bills have known since 2024."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """What a bill is of: a program, the Python package or the image.

    `kind` is the type of its package URL (`github`, `pypi`, `docker`), `namespace` the part of that
    before the name. `files` are published together; a bill has the checksum of each.
    """

    version: str
    kind: str
    files: tuple[Path, ...] = ()
    namespace: str = ""
    is_image: bool = False


def render(artefact: Artefact, parts: Sequence[Part], seconds: int) -> str:
    """The bill of an artefact with these parts; `seconds` is the Unix time in it."""
    digests = {path.name: _digest(path) for path in artefact.files}
    root = _root(artefact, digests)
    components = [_component(part) for part in parts]
    named = [str(root.purl), *digests.values(), *(str(one.purl) for one in components)]
    bom = Bom(
        components=components,
        serial_number=uuid5(NAMESPACE_URL, "\n".join(named)),
        metadata=BomMetaData(component=root, timestamp=datetime.fromtimestamp(seconds, UTC)),
    )
    bom.register_dependency(root, components)
    for component in components:
        bom.register_dependency(component)
    text: str = make_outputter(bom, OutputFormat.JSON, _SCHEMA).output_as_string(indent=2)
    return text + "\n"


def read(path: Path) -> dict[str, Any]:
    """A bill. Raises ReleaseError for one that does not follow its schema."""
    text = path.read_text(encoding="utf-8")
    try:
        fault = JsonStrictValidator(_SCHEMA).validate_str(text)
        data: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise ReleaseError(f"{path.name} is no JSON: {error}") from error
    if fault is not None:
        reason = str(getattr(fault.data, "message", fault)).partition("\n")[0]
        raise ReleaseError(f"{path.name} does not follow the schema of CycloneDX: {reason}")
    return data


def stated_digests(bill: dict[str, Any]) -> dict[str, str]:
    """The SHA-256 of each file that a bill is of, by name."""
    references = bill["metadata"]["component"].get("externalReferences", [])
    return {
        one["url"]: mark["content"]
        for one in references
        if one["type"] == "distribution"
        for mark in one["hashes"]
    }


def file_digests(files: Iterable[Path]) -> dict[str, str]:
    """The SHA-256 of each of these files, by name."""
    return {path.name: _digest(path) for path in files}


def _root(artefact: Artefact, digests: dict[str, str]) -> Component:
    purl = PackageURL(artefact.kind, artefact.namespace or None, NAME, artefact.version)
    return Component(
        name=NAME,
        version=artefact.version,
        type=ComponentType.CONTAINER if artefact.is_image else ComponentType.APPLICATION,
        purl=purl,
        bom_ref=str(purl),
        licenses=[LicenseFactory().make_from_string("MIT")],
        external_references=[
            ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION,
                url=XsUri(name),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
            )
            for name, digest in digests.items()
        ],
    )


def _component(part: Part) -> Component:
    is_package = part.kind != "generic"
    name = part.name if is_package else part.name.lower().replace(" ", "-")
    purl = PackageURL(part.kind, part.namespace or None, name, part.version or None)
    return Component(
        name=part.name,
        version=part.version or None,
        purl=purl,
        bom_ref=str(purl),
        cpe=f"cpe:2.3:a:{part.product}:{part.version}{':*' * 7}" if _has_cpe(part) else None,
        licenses=[LicenseFactory().make_from_string(part.license)] if part.license else [],
    )


def _has_cpe(part: Part) -> bool:
    return bool(part.product and part.version)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
