"""Chemical symbols."""

from __future__ import annotations

_SYMBOLS = frozenset(
    (
        "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr "
        "Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir "
        "Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl "
        "Mc Lv Ts Og"
    ).split()
)


def check_element(symbol: str, where: str) -> str:
    """The symbol in its usual case; ValueError for one that no element has."""
    usual = str(symbol).strip().capitalize()
    if usual not in _SYMBOLS:
        raise ValueError(f"expected the symbol of an element, got {symbol!r} ({where}); try C, N, O, ...")
    return usual
