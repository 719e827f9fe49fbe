"""The files of a product, as in real products: one function per mission."""

from dataclasses import dataclass

from cdsed.sandbox.names import ParsedName

_XML, _BINARY, _NETCDF = "text/xml", "application/octet-stream", "application/x-netcdf"
_S1_CHANNELS = {"SV": ("vv",), "SH": ("hh",), "DV": ("vv", "vh"), "DH": ("hh", "hv")}
_S1_SCHEMAS = (
    *("s1-level-1-product", "s1-level-1-noise", "s1-level-1-rfi", "s1-level-1-calibration"),
    *("s1-level-1-measurement", "s1-level-1-quicklook"),
    *("s1-object-types", "s1-product-preview", "s1-map-overlay"),
)
_S2_10M, _S2_20M, _S2_60M = (
    ("B02", "B03", "B04", "B08"),
    ("B05", "B06", "B07", "B8A", "B11", "B12"),
    ("B01", "B09"),
)
_S2_REPORTS = (
    "FORMAT_CORRECTNESS",
    "GENERAL_QUALITY",
    "GEOMETRIC_QUALITY",
    "RADIOMETRIC_QUALITY",
    "SENSOR_QUALITY",
)
_S3_FILES = {
    "OL_1": [f"Oa{band:02d}_radiance" for band in range(1, 22)]
    + [f"Oa{band:02d}_radiance_unc" for band in range(1, 22)]
    + [
        "geo_coordinates",
        "instrument_data",
        "qualityFlags",
        "tie_geometries",
        "tie_meteo",
        "time_coordinates",
    ],
    "OL_2": [f"Oa{band:02d}_reflectance" for band in (*range(1, 13), 16, 17, 18, 21)]
    + [
        "chl_nn",
        "chl_oc4me",
        "geo_coordinates",
        "instrument_data",
        "iop_nn",
        "iwv",
        "par",
        "tie_meteo",
        "wqsf",
    ],
    "SL_2": ["LST_in", "LST_ancillary_ds", "flags_in", "geodetic_in", "geometry_tn", "indices_in", "met_tx"],
}
_S3_OTHER = ["measurement", "reduced_measurement", "flags", "geolocation", "time"]
_VIGNETTES = 20


@dataclass(frozen=True)
class FileShape:
    """One file of a product.

    Parameters
    ----------
    path
        Relative to the product.
    identifier
        Its ``dataObject`` in the manifest; empty: the manifest does not cover it.
    share
        Its share of the size of the product; 0 for a small file.
    typical_bytes
        The size of a small file in a real product.
    """

    path: str
    identifier: str = ""
    media_type: str = _BINARY
    share: float = 0.0
    typical_bytes: int = 20_000


def file_shapes(name: ParsedName, objects_min: int) -> list[FileShape]:
    """Return the files of a SAFE or SEN3 product without its manifest.

    Parameters
    ----------
    name
        Decides the mission and the kind.
    objects_min
        Add vignettes (wave mode) or small covered files up to this number.
    """
    shapes = {"S1": _s1_shapes, "S2": _s2_shapes, "S3": _s3_shapes}[name.mission](name, objects_min)
    missing = objects_min - len(shapes)
    return shapes + [
        FileShape(f"extra/tiny_{number:05d}.xml", f"tiny{number:05d}", _XML, typical_bytes=200)
        for number in range(missing)
    ]


def _s1_shapes(name: ParsedName, objects_min: int) -> list[FileShape]:
    shapes: list[FileShape] = []
    for number, (swath, channel) in enumerate(_s1_images(name, objects_min), start=1):
        shapes += _s1_image(name, swath, channel, number)
    shapes += [
        FileShape("preview/map-overlay.kml", "mapoverlay", _XML, typical_bytes=1_000),
        FileShape("preview/product-preview.html", "productpreview", "text/html", typical_bytes=3_000),
        FileShape("preview/quick-look.png", "quicklook", typical_bytes=280_000),
        FileShape("preview/icons/logo.png", typical_bytes=95_000),
        FileShape("preview/thumbnail.png", typical_bytes=60_000),
    ]
    if name.start.year < 2023:
        shapes.append(FileShape(f"{name.safename}-report-{name.fields['start']}.pdf", typical_bytes=60_000))
    return shapes + [FileShape(f"support/{schema}.xsd") for schema in _S1_SCHEMAS]


def _s1_images(name: ParsedName, objects_min: int) -> list[tuple[str, str]]:
    """Return swath and polarisation of each image of a Sentinel-1 product."""
    channels = _S1_CHANNELS.get(name.fields["polarisation"], ("vv",))
    mode, kind = name.fields["mode"].lower(), name.fields["type"]
    if mode == "wv" and kind == "SLC":
        vignettes = max(_VIGNETTES, objects_min // 4)
        return [(f"wv{1 + number % 2}", channels[0]) for number in range(vignettes)]
    if kind == "SLC" and mode in {"iw", "ew"}:
        swaths = [f"{mode}{number}" for number in range(1, 4 if mode == "iw" else 6)]
        return [(swath, channel) for channel in reversed(channels) for swath in swaths]
    return [(mode, channels[0])] if kind == "OCN" else [(mode, channel) for channel in channels]


def _s1_image(name: ParsedName, swath: str, channel: str, number: int) -> list[FileShape]:
    field = name.fields
    head = f"{field['unit']}-{swath}-{field['type']}-{channel}-{field['start']}-{field['stop']}"
    tail = f"{field['orbit']}-{field['datatake']}-{number:03d}{field['cog'].replace('_', '-')}"
    stem = f"{head}-{tail}".lower()
    identifier = stem.replace("-", "")
    if field["type"] == "OCN":
        return [FileShape(f"measurement/{stem}.nc", identifier, share=1)]
    calibration = "annotation/calibration"
    shapes = [
        FileShape(f"annotation/{stem}.xml", f"product{identifier}", _XML, typical_bytes=1_900_000),
        FileShape(f"{calibration}/noise-{stem}.xml", f"noise{identifier}", _XML, typical_bytes=400_000),
        FileShape(f"{calibration}/calibration-{stem}.xml", f"calibration{identifier}", _XML, typical_bytes=900_000),
        FileShape(f"measurement/{stem}.tiff", identifier, share=1),
    ]
    if field["mode"] != "WV" and name.start.year >= 2023:
        shapes.append(FileShape(f"annotation/rfi/rfi-{stem}.xml", f"rfi{identifier}", _XML))
    return shapes


def _s2_shapes(name: ParsedName, _objects_min: int) -> list[FileShape]:
    level, tile, start, made = (name.fields[field] for field in ("level", "tile", "start", "made"))
    strip = f"DATASTRIP/DS_2{name.safename[2]}PS_{made}_S{start}"
    granule = f"GRANULE/{level}_T{tile}_A040535_{start}"
    product = f"S2_Level-{level[1:]}"
    shapes = [
        FileShape(f"MTD_MSI{level}.xml", f"{product}_Product_Metadata", _XML, typical_bytes=45_000),
        FileShape("INSPIRE.xml", "INSPIRE_Metadata", _XML),
        FileShape("HTML/UserProduct_index.html", "HTML_Presentation", "text/html", typical_bytes=4_000),
        FileShape("HTML/UserProduct_index.xsl", "HTML_Presentation_Stylesheet", _XML, typical_bytes=10_000),
        FileShape("HTML/banner_1.png", typical_bytes=90_000),
        FileShape("rep_info/S2_User_Product_Level-1C_Metadata.xsd", typical_bytes=20_000),
        FileShape(f"{name.safename.removesuffix('.SAFE')}-ql.jpg", typical_bytes=100_000),
        FileShape(f"{strip}/MTD_DS.xml", f"{product}_Datastrip1_Metadata", _XML, typical_bytes=7_600_000),
        FileShape(f"{granule}/MTD_TL.xml", f"{product}_Tile1_Metadata", _XML, typical_bytes=546_000),
        FileShape(f"{granule}/AUX_DATA/AUX_CAMSFO", "CAMS_Tile1_Data", typical_bytes=60_000),
        FileShape(f"{granule}/AUX_DATA/AUX_ECMWFT", "ECMWF_Tile1_Data", typical_bytes=10_000),
        FileShape(f"{granule}/QI_DATA/T{tile}_{start}_PVI.jp2", "Preview_0_Tile1_Data", typical_bytes=166_000),
    ]
    for report in _S2_REPORTS:
        shapes.append(FileShape(f"{strip}/QI_DATA/{report}.xml", f"{report}_Datastrip1", _XML))
        shapes.append(FileShape(f"{granule}/QI_DATA/{report}.xml", f"{report}_Tile1", _XML))
    for band in (*_S2_10M, *_S2_20M, *_S2_60M):
        mask = f"{granule}/QI_DATA/MSK_DETFOO_{band}.jp2"
        shapes.append(FileShape(mask, f"DetectorFootprintMask_{band}", typical_bytes=24_000))
    return shapes + _s2_images(level, f"{granule}/IMG_DATA", f"T{tile}_{start}")


def _s2_images(level: str, folder: str, stem: str) -> list[FileShape]:
    bands_60m = _S2_60M if level == "L2A" else (*_S2_60M, "B10")  # cirrus has no surface reflectance
    by_resolution = {"10m": (_S2_10M, 1.0), "20m": (_S2_20M, 0.25), "60m": (bands_60m, 0.03)}
    shapes = [FileShape(f"{folder}/{stem}_TCI.jp2", "IMG_DATA_Band_TCI_Tile1_Data", share=1.0)]
    if level == "L2A":
        tci = f"{folder}/R10m/{stem}_TCI_10m.jp2"
        shapes = [FileShape(tci, "IMG_DATA_Band_TCI_Tile1_Data", share=1.0)]
    for resolution, (bands, share) in by_resolution.items():
        for band in bands:
            path = f"{folder}/{stem}_{band}.jp2"
            if level == "L2A":
                path = f"{folder}/R{resolution}/{stem}_{band}_{resolution}.jp2"
            shapes.append(FileShape(path, f"IMG_DATA_Band_{resolution}_{band}_Tile1_Data", share=share))
    return shapes


def _s3_shapes(name: ParsedName, _objects_min: int) -> list[FileShape]:
    stems = _S3_FILES.get(name.fields["type"][:4], _S3_OTHER)
    shapes = [FileShape(f"{stem}.nc", f"{stem}Data", _NETCDF, share=1) for stem in stems]
    return [*shapes, FileShape(f"{name.safename.removesuffix('.SEN3')}-ql.jpg", typical_bytes=40_000)]
