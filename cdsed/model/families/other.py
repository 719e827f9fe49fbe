"""All other products: auxiliary files, mosaics, and those of missions that have no file here.

Only the beginning of such a name is checked. Auxiliary files: ``S1A_AUX_…`` after the Sentinel-1 IPF Auxiliary
Product Specification, S1-RS-MDA-52-7443, and ``S1A_OPER_AUX_…`` after the Earth Observation Ground Segment File Format
Standard, PE-TN-ESA-GS-0001. All others: as on CDSE.
"""

import re

from cdsed.model.families.mission import Mission

MISSION = Mission(beginning="S[1-9][A-Z_]_", is_directory=False)

UNIT = re.compile("S[1-9][A-Z_](?=_)")
_TIME = "[0-9]{8}T[0-9]{6}"
#: The beginning of every name of a product on CDSE. Those of other missions are long, so that no other word is one.
ANY_NAME = re.compile(
    r"S[1-9][A-Z_][A-Za-z0-9]*_.|Sentinel-."
    rf"|[A-Z]{{2}}[0-9]{{2}}_[A-Za-z0-9_]{{7,20}}_{_TIME}"  # contributing missions, and Landsat of ESA
    rf"|DEM[0-9]_[A-Z]{{3}}_[A-Z]{{3}}_[0-9]{{2}}_{_TIME}"
    rf"|SM_[A-Z]{{4}}_[A-Z0-9_]{{10}}_{_TIME}"  # SMOS
    r"|[A-Z]{3}_[A-Z0-9]{3}_[A-Z0-9]{3,6}20[0-9]{6}_[0-9]{6}_"  # Envisat
    r"|L[A-Z][0-9]{2}_L[0-9][A-Z]{2}_[0-9]{6}_[0-9]{8}_|L[A-Z][0-9]{14}[A-Z]{3}[0-9]{2}$|Landsat_mosaic_[0-9]{4}_"
    r"|[NS][0-9]{2}[EW][0-9]{3}_[0-9]{4}_[0-9]{2}_[0-9]{2}_[0-9A-F]{6}$"  # Sentinel-1 RTC
    r"|ESA_WorldCover_[0-9]"
)
#: The words for a mission or a satellite, which tables of products have in a column.
PLATFORM = re.compile(r"(?i:sentinel[-_ ]?[1-9][A-Z]{0,2})")
#: Names that begin like those of a mission, but have forms of their own.
AUXILIARY = re.compile(
    r"S[1-9][A-Z_]_(?:AUX|OPER|TEST|REP[0-9A-Z])_"
    r"|S3[A-Z_]_[A-Z]{2}_[012_]_[A-Z0-9_]{4}AX_|S6[A-Z_]_[A-Z0-9]{2}_[0-9_][A-Z_]_[A-Z0-9_]{5}AX_"
    r"|S1[A-Z]_[A-Z0-9_]*_CARD[_-]"
)
#: Auxiliary files of these kinds have one of several extensions or none, so a missing one cannot be added.
ANY_EXTENSION = re.compile(r"S[1-9][A-Z_]_(?:OPER|TEST|REP[0-9A-Z])_(?!PRD_)|S1[A-Z]_[A-Z0-9_]*_CARD[_-]")
#: Extensions of auxiliary files, which a name without any may lack.
EXTENSIONS_OF_AUXILIARY = (".EOF", ".TGZ", ".nc", ".SAFE")
#: Extensions of objects, which the catalogue's name of their product lacks.
EXTENSIONS_OF_ARCHIVES = (".zip", ".tar", ".TGZ", ".tgz", ".tar.gz")
#: Looser, without regard to case: the beginning of a name that may be misspelt.
LIKE_A_BEGINNING = (
    r"(?:S(?:[1-46-9][A-Z_]|5P)_[A-Z0-9]|Sentinel-[0-9]_\w*mosaic|Landsat_mosaic_|ESA_WorldCover_"
    r"|L[A-Z][0-9]{2}_L[0-9][A-Z]{2}_[0-9]{6}_|L[A-Z][0-9]{14}[A-Z]{3}[0-9]{2}|[NS][0-9]{2}[EW][0-9]{3}_[0-9]{4}_)"
)
#: A name that no product has, with a number, because what the catalogue says of absent products is remembered.
NAME_OF_NOTHING = "S1A_IW_GRDH_1SDV_20141003T054012_20141003T054037_002662_002F5D_{:04X}.SAFE"
