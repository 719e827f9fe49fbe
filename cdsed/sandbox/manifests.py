"""The parts of ``manifest.safe`` and ``xfdumanifest.xml`` that a downloader reads, as the missions write them."""

from collections.abc import Sequence
from dataclasses import dataclass

from cdsed.sandbox.names import ParsedName

_FILE_NAMES = {"S1": "manifest.safe", "S2": "manifest.safe", "S3": "xfdumanifest.xml"}
# The name of the algorithm in hashlib and in the manifest; Sentinel-2 changed to SHA3-256 in mid-2021.
_CHECKSUMS = {"S1": ("md5", "MD5"), "S2": ("sha3_256", "SHA3-256"), "S3": ("md5", "MD5")}
_ROOTS = {
    "S1": 'xmlns:safe="http://www.esa.int/safe/sentinel-1.0" version="esa/safe/sentinel-1.0/sentinel-1/sar"',
    "S2": 'xmlns:safe="http://www.esa.int/safe/sentinel/1.1" version="esa/safe/sentinel/1.1/sentinel-2/msi"',
    "S3": 'xmlns:sentinel3="http://www.esa.int/safe/sentinel/sentinel-3/1.0" '
    'version="esa/safe/sentinel/sentinel-3/olci/level-2/1.0"',
}


@dataclass(frozen=True)
class SandboxManifestEntry:
    """One covered file; `digest` in lower-case hex."""

    path: str
    identifier: str
    media_type: str
    size_bytes: int
    digest: str


def manifest_file_name(mission: str) -> str:
    """Return the name of the manifest in products of `mission`."""
    return _FILE_NAMES[mission]


def manifest_algorithm(mission: str) -> str:
    """Return the digest that its manifest uses, as a name for `hashlib.new`."""
    return _CHECKSUMS[mission][0]


def manifest_xml(name: ParsedName, entries: Sequence[SandboxManifestEntry], schemas: Sequence[str]) -> bytes:
    """Return the manifest of the product `name`.

    Parameters
    ----------
    name
        The product.
    entries
        Its covered files.
    schemas
        Paths of the metadata section, which have no checksum.
    """
    units = "\n".join(f'      <dataObjectPointer dataObjectID="{entry.identifier}"/>' for entry in entries)
    metadata = "\n".join(
        f'    <metadataObject ID="schema{number}" classification="SYNTAX" category="REP">\n'
        f'      <metadataReference mimeType="text/xml" locatorType="URL" href="./{path}"/>\n'
        "    </metadataObject>"
        for number, path in enumerate(schemas)
    )
    objects = "\n".join(_data_object(name.mission, entry) for entry in entries)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<xfdu:XFDU xmlns:xfdu="urn:ccsds:schema:xfdu:1" {_ROOTS[name.mission]}>\n'
        "  <informationPackageMap>\n"
        f'    <xfdu:contentUnit unitType="Information Package" textInfo="{name.safename}">\n{units}\n'
        "    </xfdu:contentUnit>\n  </informationPackageMap>\n"
        f"  <metadataSection>\n{metadata}\n  </metadataSection>\n"
        f"  <dataObjectSection>\n{objects}\n  </dataObjectSection>\n</xfdu:XFDU>\n"
    ).encode()


def _data_object(mission: str, entry: SandboxManifestEntry) -> str:
    location = f'locatorType="URL" href="./{entry.path}"'
    digest = entry.digest
    if mission == "S2":  # the attributes are in the reverse order, the digits are upper case
        location, digest = f'href="./{entry.path}" locatorType="URL"', digest.upper()
    return (
        f'    <dataObject ID="{entry.identifier}">\n'
        f'      <byteStream mimeType="{entry.media_type}" size="{entry.size_bytes}">\n'
        f"        <fileLocation {location}/>\n"
        f'        <checksum checksumName="{_CHECKSUMS[mission][1]}">{digest}</checksum>\n'
        "      </byteStream>\n"
        "    </dataObject>"
    )
