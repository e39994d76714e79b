"""How much of a voice a mask holds back, by frequency.

Corey, Jones and Singer (2020, JASA 148(4) 2371) find that all masks attenuate
above 1 kHz, medical ones least and transparent ones most, cloth varying with its weave, and quote
3 to 12 dB at high frequencies for surgical and N95 masks from earlier work (Goldin, Weinstein and
Shiman 2020, Hearing Review, and others). Schumaker and Barnard (2021, INTER-NOISE) measure under
2 dB below 2 kHz and up to 5 dB above, but over 10 dB at 4 and 8 kHz for a shield; Cox et al. (2022,
JASA 151 2931) quote 12 dB and more for usual shields; Nowacki et al. (2022, IJERPH 19 7012) find
that FFPs attenuate from 1 kHz on, the more the better they filter. The curves below are
approximations through those figures, not their data. The shield's lift near 1 kHz stands for the
resonance Corey et al. describe; the respirator's curve is a guess: no measured one was at hand, and
intelligibility tests (Palmiero et al. 2016, JOEH 13 960) include elastomeric half masks.
"""

from typing import Final

BANDS_HZ: Final = (0, 500, 1000, 2000, 4000, 6000, 8000)
# Decibels of attenuation at BANDS_HZ; negative = louder.
ATTENUATION_DB: Final[dict[str, tuple[float, ...]]] = {
    "none": (0, 0, 0, 0, 0, 0, 0),
    "tissue": (0, 0, 1, 3, 6, 8, 9),
    "medical": (0, 0, 0.5, 1.5, 3.5, 4.5, 4),
    "ffp": (0, 0, 1, 3.5, 6, 7, 6),
    "respirator": (0, 1, 4, 8, 12, 14, 15),
    "shield": (0, -1, -4, 4, 11, 14, 13),
}
