"""All other products of Sentinel missions: auxiliary files, mosaics, and missions that have no file here.

Only the beginning of such a name is checked, and nothing is derived from it. Auxiliary files: ``S1A_AUX_…`` after the
Sentinel-1 Auxiliary Product Specification, S1-RS-MDA-52-7443, and ``S1A_OPER_AUX_…`` after the Earth Observation Ground
Segment File Format Standard, PE-TN-ESA-GS-0001. Mosaics: ``Sentinel-1_…`` as on CDSE.
"""

import re

from cdsed.model.families.mission import Mission

MISSION = Mission(beginning="S[1-9][A-Z_]_", is_directory=False)

UNIT = re.compile("S[1-9][A-Z_]")
#: The beginning of every name of a Sentinel product.
ANY_NAME = re.compile(r"S[1-9][A-Z_][A-Za-z0-9]*_.|Sentinel-.")
#: The words for a mission or a satellite, which tables of products have in a column.
PLATFORM = re.compile(r"(?i:sentinel[-_ ]?[1-9][A-Z]{0,2})")
#: Names that begin like those of a mission, but have forms of their own.
AUXILIARY = re.compile(r"S[1-9][A-Z_]_(AUX|OPER)_")
#: Auxiliary files of this kind have one of several extensions, so a missing one cannot be added.
ANY_EXTENSION = "_OPER_AUX_"
#: Looser, without regard to case: the beginning of a name that may be misspelt.
LIKE_A_BEGINNING = r"S(?:[1-46-9][A-Z_]|5P)_[A-Z0-9]"
