"""Molecules of 4 to 22 heavy atoms that chemists know by name."""

from __future__ import annotations

_TABLE = """
butane; CCCC; C4H10
pentane; CCCCC; C5H12
isopentane; CCC(C)C; C5H12
hexane; CCCCCC; C6H14
1-hexene; CCCCC=C; C6H12
(E)-2-butene; C/C=C/C; C4H8
(Z)-2-hexene; CCC/C=C\\C; C6H12
isoprene; CC(=C)C=C; C5H8
cyclohexane; C1CCCCC1; C6H12
methylcyclohexane; CC1CCCCC1; C7H14
cycloheptane; C1CCCCCC1; C7H14
ethylbenzene; CCc1ccccc1; C8H10
biphenyl; c1ccc(cc1)-c1ccccc1; C12H10
styrene; C=Cc1ccccc1; C8H8
1-butanol; CCCCO; C4H10O
(R)-2-butanol; CC[C@@H](C)O; C4H10O
cyclohexanol; OC1CCCCC1; C6H12O
ethylene glycol; OCCO; C2H6O2
glycerol; OCC(O)CO; C3H8O3
diethyl ether; CCOCC; C4H10O
dimethoxyethane; COCCOC; C4H10O2
tetrahydrofuran; C1CCOC1; C4H8O
1,4-dioxane; C1COCCO1; C4H8O2
anisole; COc1ccccc1; C7H8O
butanal; CCCC=O; C4H8O
2-pentanone; CCCC(C)=O; C5H10O
cyclohexanone; O=C1CCCCC1; C6H10O
acetophenone; CC(=O)c1ccccc1; C8H8O
benzophenone; O=C(c1ccccc1)c1ccccc1; C13H10O
vanillin; COc1cc(C=O)ccc1O; C8H8O3
butyric acid; CCCC(=O)O; C4H8O2
L-lactic acid; C[C@H](O)C(=O)O; C3H6O3
malic acid; OC(=O)CC(O)C(=O)O; C4H6O5
succinic acid; OC(=O)CCC(=O)O; C4H6O4
adipic acid; OC(=O)CCCCC(=O)O; C6H10O4
citric acid; OC(=O)CC(O)(CC(=O)O)C(=O)O; C6H8O7
fumaric acid; OC(=O)/C=C/C(=O)O; C4H4O4
maleic acid; OC(=O)/C=C\\C(=O)O; C4H4O4
benzoic acid; OC(=O)c1ccccc1; C7H6O2
salicylic acid; OC(=O)c1ccccc1O; C7H6O3
cinnamic acid; OC(=O)/C=C/c1ccccc1; C9H8O2
ethyl acetate; CCOC(C)=O; C4H8O2
methyl benzoate; COC(=O)c1ccccc1; C8H8O2
diethyl phthalate; CCOC(=O)c1ccccc1C(=O)OCC; C12H14O4
butylamine; CCCCN; C4H11N
triethylamine; CCN(CC)CC; C6H15N
putrescine; NCCCCN; C4H12N2
piperidine; C1CCNCC1; C5H11N
morpholine; C1COCCN1; C4H9NO
aniline; Nc1ccccc1; C6H7N
phenethylamine; NCCc1ccccc1; C8H11N
dopamine; NCCc1ccc(O)c(O)c1; C8H11NO2
serotonin; NCCc1c[nH]c2ccc(O)cc12; C10H12N2O
histamine; NCCc1cnc[nH]1; C5H9N3
tryptamine; NCCc1c[nH]c2ccccc12; C10H12N2
adrenaline; CNC[C@H](O)c1ccc(O)c(O)c1; C9H13NO3
ephedrine; CN[C@@H](C)[C@H](O)c1ccccc1; C10H15NO
amphetamine; CC(N)Cc1ccccc1; C9H13N
choline; C[N+](C)(C)CCO; C5H14NO+
acetylcholine; CC(=O)OCC[N+](C)(C)C; C7H16NO2+
acetamide; CC(N)=O; C2H5NO
N-methylacetamide; CNC(C)=O; C3H7NO
dimethylformamide; CN(C)C=O; C3H7NO
acetanilide; CC(=O)Nc1ccccc1; C8H9NO
N,N-diethyl-3-methylbenzamide; CCN(CC)C(=O)c1cccc(C)c1; C12H17NO
N,N'-diethylurea; CCNC(=O)NCC; C5H12N2O
caprolactam; O=C1CCCCCN1; C6H11NO
L-alanine; C[C@H](N)C(=O)O; C3H7NO2
L-valine; CC(C)[C@H](N)C(=O)O; C5H11NO2
L-leucine; CC(C)C[C@H](N)C(=O)O; C6H13NO2
L-serine; N[C@@H](CO)C(=O)O; C3H7NO3
L-threonine; C[C@@H](O)[C@H](N)C(=O)O; C4H9NO3
L-cysteine; N[C@@H](CS)C(=O)O; C3H7NO2S
L-methionine; CSCC[C@H](N)C(=O)O; C5H11NO2S
L-aspartic acid; N[C@@H](CC(=O)O)C(=O)O; C4H7NO4
L-glutamine; NC(=O)CC[C@H](N)C(=O)O; C5H10N2O3
L-lysine; NCCCC[C@H](N)C(=O)O; C6H14N2O2
L-proline; OC(=O)[C@@H]1CCCN1; C5H9NO2
L-phenylalanine; N[C@@H](Cc1ccccc1)C(=O)O; C9H11NO2
L-tyrosine; N[C@@H](Cc1ccc(O)cc1)C(=O)O; C9H11NO3
L-histidine; N[C@@H](Cc1cnc[nH]1)C(=O)O; C6H9N3O2
gamma-aminobutyric acid; NCCCC(=O)O; C4H9NO2
alanine dipeptide; CC(=O)N[C@@H](C)C(=O)NC; C6H12N2O2
glycylglycine; NCC(=O)NCC(=O)O; C4H8N2O3
aspartame; COC(=O)[C@H](Cc1ccccc1)NC(=O)[C@@H](N)CC(=O)O; C14H18N2O5
acetylsalicylic acid; CC(=O)Oc1ccccc1C(=O)O; C9H8O4
ibuprofen; CC(C)Cc1ccc(cc1)C(C)C(=O)O; C13H18O2
naproxen; COc1ccc2cc(ccc2c1)[C@H](C)C(=O)O; C14H14O3
paracetamol; CC(=O)Nc1ccc(O)cc1; C8H9NO2
phenacetin; CCOc1ccc(NC(C)=O)cc1; C10H13NO2
lidocaine; CCN(CC)CC(=O)Nc1c(C)cccc1C; C14H22N2O
benzocaine; CCOC(=O)c1ccc(N)cc1; C9H11NO2
procaine; CCN(CC)CCOC(=O)c1ccc(N)cc1; C13H20N2O2
diphenhydramine; CN(C)CCOC(c1ccccc1)c1ccccc1; C17H21NO
propranolol; CC(C)NCC(O)COc1cccc2ccccc12; C16H21NO2
salbutamol; CC(C)(C)NCC(O)c1ccc(O)c(CO)c1; C13H21NO3
metformin; CN(C)C(=N)NC(N)=N; C4H11N5
gabapentin; NCC1(CCCCC1)CC(=O)O; C9H17NO2
valproic acid; CCCC(CCC)C(=O)O; C8H16O2
phenytoin; O=C1NC(=O)C(N1)(c1ccccc1)c1ccccc1; C15H12N2O2
phenobarbital; CCC1(C(=O)NC(=O)NC1=O)c1ccccc1; C12H12N2O3
isoniazid; NNC(=O)c1ccncc1; C6H7N3O
sulfanilamide; Nc1ccc(cc1)S(N)(=O)=O; C6H8N2O2S
sulfamethoxazole; Cc1cc(NS(=O)(=O)c2ccc(N)cc2)no1; C10H11N3O3S
trimethoprim; COc1cc(Cc2cnc(N)nc2N)cc(OC)c1OC; C14H18N4O3
nicotine; CN1CCC[C@H]1c1cccnc1; C10H14N2
caffeine; Cn1cnc2c1c(=O)n(C)c(=O)n2C; C8H10N4O2
melatonin; CC(=O)NCCc1c[nH]c2ccc(OC)cc12; C13H16N2O2
menthol; CC(C)[C@@H]1CC[C@@H](C)C[C@H]1O; C10H20O
(R)-limonene; CC(=C)[C@@H]1CCC(C)=CC1; C10H16
geraniol; CC(C)=CCC/C(C)=C/CO; C10H18O
carvone; CC(=C)C1CC=C(C)C(=O)C1; C10H14O
eugenol; COc1cc(CC=C)ccc1O; C10H12O2
camphor; CC1(C)C2CCC1(C)C(=O)C2; C10H16O
thioanisole; CSc1ccccc1; C7H8S
diethyl disulfide; CCSSCC; C4H10S2
dimethyl sulfoxide; CS(C)=O; C2H6OS
trimethyl phosphate; COP(=O)(OC)OC; C3H9O4P
1-chlorobutane; CCCCCl; C4H9Cl
1,2-dichloroethane; ClCCCl; C2H4Cl2
1-fluoropropane; CCCF; C3H7F
chlorpropham; CC(C)OC(=O)Nc1cccc(Cl)c1; C10H12ClNO2
2,4-dichlorophenoxyacetic acid; OC(=O)COc1ccc(Cl)cc1Cl; C8H6Cl2O3
4-bromobenzyl alcohol; OCc1ccc(Br)cc1; C7H7BrO
"""


def common_molecules() -> dict[str, str]:
    """SMILES strings by name: solvents, terpenes, amino acids and drugs, 4 to 21 heavy atoms, most of them flexible.

    Where a string fixes a chiral centre it is the natural or the marketed hand; racemic drugs leave it open.
    """
    return {name: smiles for name, smiles, _ in _rows()}


def _rows() -> list[tuple[str, str, str]]:
    """Name, SMILES string, molecular formula (a check on the string)."""
    rows = [tuple(cell.strip() for cell in line.split(";")) for line in _TABLE.strip().splitlines()]
    return [(name, smiles, formula) for name, smiles, formula in rows]
