"""Tables: what is read is what is written, every fault of a file is named, standardising forgets no row."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pyro_symvi.bnn.tables import Table, load_table, read_table

HEAD = "a,b,y\n"
GOOD = "1,2,3.5\n2,1,4.5\n3,7,5.25\n"


def write(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def numbers(n: int = 40, seed: int = 0) -> Table:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=generator, dtype=torch.float64) * 5 + 2
    return Table(x, x.sum(1) + torch.randn(n, generator=generator, dtype=torch.float64))


@pytest.mark.parametrize("mark", [",", ";", "\t", " "], ids=["comma", "semicolon", "tab", "space"])
@pytest.mark.parametrize("headed", [True, False], ids=["header", "bare"])
def test_reads_what_numpy_reads(tmp_path: Path, mark: str, headed: bool) -> None:
    values = np.random.default_rng(0).normal(size=(12, 4)).round(6)
    names = ["p", "q", "r", "out"]
    path = tmp_path / "table.txt"
    np.savetxt(path, values, delimiter=mark, header=mark.join(names) if headed else "", comments="", fmt="%.6f")
    if not headed:
        path.write_text("# a comment\n\n" + path.read_text().lstrip())
    table = read_table(path)
    assert np.array_equal(table.x.numpy(), values[:, :3]) and np.array_equal(table.y.numpy(), values[:, 3])
    assert table.names == (("p", "q", "r") if headed else ("x0", "x1", "x2"))
    assert table.target == ("out" if headed else "y") and table.kind == "regression"


def test_target_by_name_and_by_place(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + GOOD)
    for target in ("a", 0, -3):
        table = read_table(path, target)
        assert table.target == "a" and table.names == ("b", "y") and table.y.tolist() == [1, 2, 3]
    bare = read_table(write(tmp_path, GOOD), 1)
    assert bare.names == ("x0", "x2") and bare.y.tolist() == [2, 1, 7]


def test_classes_from_words_and_from_integers(tmp_path: Path) -> None:
    words = read_table(write(tmp_path, "a,kind\n1,no\n2,yes\n3,no\n"))
    assert words.kind == "classification" and words.classes == ("no", "yes") and words.y.tolist() == [0, 1, 0]
    bare = read_table(write(tmp_path, "1,no\n2,yes\n3,no\n"))
    assert bare.y.tolist() == [0, 1, 0] and bare.names == ("x0",)
    whole = read_table(write(tmp_path, "a,y\n1,5\n2,7\n3,5\n4,7\n"))
    assert whole.classes == ("5", "7") and whole.y.tolist() == [0, 1, 0, 1]
    assert read_table(tmp_path / "table.csv", kind="regression").y.tolist() == [5, 7, 5, 7]
    once = read_table(write(tmp_path, "a,y\n1,5\n2,7\n3,9\n"))
    assert once.kind == "regression"


def test_diabetes_is_that_of_the_paper() -> None:
    table = load_table("diabetes")
    assert table.x.shape == (442, 10) and table.names == ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
    # first and last patient of table 1 of Efron et al. (2004), in its rounding
    first, last = table.x[0].tolist(), table.x[-1].tolist()
    assert first == pytest.approx([59, 2, 32.1, 101, 157, 93.2, 38, 4.0, 4.9, 87], abs=0.05) and table.y[0] == 151
    assert last == pytest.approx([36, 1, 19.6, 71, 250, 133.2, 97, 3.0, 4.6, 92], abs=0.05) and table.y[-1] == 57
    # correlation of bmi with the target, and the R^2 of least squares, as published with the data
    x = (table.x - table.x.mean(0)) / table.x.std(0)
    y = table.y - table.y.mean()
    fitted = x @ torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
    assert float(1 - (y - fitted).square().sum() / y.square().sum()) == pytest.approx(0.5177, abs=1e-4)


def test_iris_is_that_of_the_paper() -> None:
    table = load_table("iris")
    assert table.classes == ("setosa", "versicolor", "virginica") and table.y.bincount().tolist() == [50, 50, 50]
    means = [[5.006, 3.428, 1.462, 0.246], [5.936, 2.770, 4.260, 1.326], [6.588, 2.974, 5.552, 2.026]]  # table II
    for k, mean in enumerate(means):
        assert table.x[table.y == k].mean(0).tolist() == pytest.approx(mean, abs=1e-9)
    with pytest.raises(ValueError, match="diabetes"):
        load_table("boston")


FAULTS = {
    "nan": (HEAD + "1,nan,3\n2,5,4\n3,1,5\n", "line 2, column 'b'"),
    "empty_cell": (HEAD + "1,2,3\n2,,4\n3,1,5\n", "empty cell.* in line 3, column 'b'"),
    "question_mark": (HEAD + "1,2,3\n2,?,4\n3,1,5\n", "'\\?' in line 3, column 'b'"),
    "infinity": (HEAD + "1,2,3\n2,inf,4\n3,1,5\n", "finite number, got 'inf' in line 3, column 'b'"),
    "overflow": (HEAD + "1,2,3\n2,1e999,4\n3,1,5\n", "finite number, got '1e999' in line 3"),
    "word": (HEAD + "1,2,3\n2,red,4\n3,1,5\n", "got 'red' in line 3, column 'b'.*drop="),
    "underscore": (HEAD + "1,2,3\n2,1_0,4\n3,1,5\n", "got '1_0' in line 3"),
    "endless_cell": (HEAD + "1,2," + "3" * 140_000 + "\n2,3,4\n", "larger than field limit"),
    "decimal_comma": ("a;b;y\n1;2,5;3\n1;2;4\n", "'2,5' in line 2, column 'b'.*decimal point"),
    "word_in_target": (HEAD + "1,2,3.5\n2,5,4.x\n3,1,5\n", "got both in target 'y'.*'4.x' in line 3"),
    "missing_class": ("a,y\n1,no\n2,\n3,yes\n", "class, got an empty cell in line 3"),
    "squares_overflow": (HEAD + "1,2,3\n2,1e200,4\n3,1,5\n", r"up to 1e\+150, got 1e\+200 in column 'b'"),
    "constant": (HEAD + "1,2,3.5\n2,2,4\n3,2,5\n", "one value in all rows of 'b'.*constant='drop'"),
    "constant_target": (HEAD + "1,2,4.5\n2,3,4.5\n3,2,4.5\n", "target that varies"),
    "one_row": (HEAD + "1,2,3\n", "at least 2 rows"),
    "one_class": ("a,y\n1,no\n2,no\n3,no\n", "at least two classes, got only 'no'"),
    "duplicate_header": ("a,a,y\n" + GOOD, "'a' twice"),
    "index_column": (",b,y\n" + GOOD, "index=False"),
    "empty": ("", "holds none"),
    "comments_only": ("# nothing\n\n", "holds none"),
    "ragged": (HEAD + "1,2,3\n2,5\n3,1,5\n", "3 cells in every row.*got 2 in line 3"),
    "one_column": ("y\n1\n2\n", "two columns"),
    "names_and_numbers": ("1,b,y\n" + GOOD, "names or of data"),
    "latin1": (b"a,y\n1,2\n\xe9,3\n", "UTF-8"),
    "binary": (b"\x00\x01,\x02\n", "zero bytes"),
    "open_quote": ('a,b,y\n1,"2,3\n2,5,4\n', "several lines"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(tmp_path: Path, fault: str) -> None:
    text, message = FAULTS[fault]
    with pytest.raises(ValueError, match=message):
        read_table(write(tmp_path, text))


def test_what_is_no_file_or_too_large(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
        read_table(tmp_path / "nowhere.csv")
    with pytest.raises(ValueError, match="not a file"):
        read_table(tmp_path)
    with pytest.raises(ValueError, match="MB.*max_bytes"):
        read_table(write(tmp_path, HEAD + GOOD), max_bytes=10)


def test_bad_options(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + GOOD)
    cases = [
        ({"target": "z"}, "target among"), ({"target": 3}, "from -3 to 2"), ({"kind": "ordinal"}, "kind="),
        ({"header": "maybe"}, "header="), ({"drop": ["z"]}, "drop"), ({"drop": ["y"]}, "drop"),
        ({"drop": ["a", "b"]}, "at least one input"), ({"constant": "keep"}, "constant="),
        ({"delimiter": "::"}, "delimiter"), ({"kind": "classification"}, "not whole"),
    ]  # fmt: skip
    for options, message in cases:
        with pytest.raises(ValueError, match=message):
            read_table(path, **options)
    with pytest.raises(TypeError, match="name or place"):
        read_table(path, target=1.5)
    assert read_table(write(tmp_path, "a,b,y\nx,1,2.5\nz,2,3.5\n"), drop=["a"]).names == ("b",)


def test_faults_of_tensors() -> None:
    x, y = torch.tensor([[1.0, 2], [3, 4], [5, 7]]), torch.tensor([0.5, 1, 2])
    cases = [
        ({"x": x.clone().index_put((torch.tensor(1), torch.tensor(0)), torch.tensor(torch.nan))}, "row 2, column 'x0'"),
        ({"y": torch.tensor([1, torch.inf, 0])}, "got inf in row 2, column 'y'"),
        ({"x": x[:1], "y": y[:1]}, "at least 2 rows"), ({"x": x[:2]}, r"got \[2, 2\] and \[3\]"),
        ({"names": ("a",)}, "2 names"), ({"names": ("a", "a")}, "twice"), ({"names": ("a", "y")}, "twice"),
        ({"y": torch.tensor([0, 1, 3]), "classes": ("p", "q", "r")}, "from 0 to 2, got 0 to 3"),
        ({"y": torch.tensor([0, 1, 1]), "classes": ("p", "p")}, "different labels"),
        ({"y": torch.tensor([0.5, 1, 1]), "classes": ("p", "q")}, "not whole"),
        ({"y": torch.tensor([torch.nan, 1, 0]), "classes": ("p", "q")}, "row 1, column 'y'"),
        ({"y": torch.tensor([1, 1, 1]), "classes": ("p", "q")}, "got only 'q'"),
        ({"x": torch.ones(3, 2), "constant": "drop"}, "vary"),
    ]  # fmt: skip
    for change, message in cases:
        with pytest.raises(ValueError, match=message):
            Table(**{"x": x, "y": y, **change})
    with pytest.raises(TypeError, match="tensors"):
        Table(x.numpy(), y)


def test_constant_columns_are_dropped_when_asked(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, HEAD + "1,2,3.5\n2,2,4\n3,2,5\n"), constant="drop")
    assert table.names == ("a",) and table.dropped == ("b",) and table.x.tolist() == [[1], [2], [3]]
    rare = Table(torch.stack([torch.arange(30.0), torch.eye(30)[0]], 1), torch.arange(30.0))
    seed = next(s for s in range(99) if 0 in rare.split(s, constant="drop").indices[2])  # the only 1 is a test row
    with pytest.raises(ValueError, match="train rows, got one value in all of 'x1'"):
        rare.split(seed)
    assert rare.split(seed, constant="drop").names == ("x0",)


def test_split_is_a_partition_standardised_by_its_train_rows() -> None:
    table = numbers()
    split = table.split(3, test=0.2, validation=0.25)
    assert [len(part.y) for part in (split.train, split.validation, split.test)] == [22, 10, 8]
    assert torch.cat(split.indices).sort().values.tolist() == list(range(40))
    train = table.x[split.indices[0]].numpy()
    expected = (table.x[split.indices[2]].numpy() - train.mean(0)) / train.std(0)
    assert np.allclose(split.test.x.numpy(), expected, rtol=1e-12, atol=1e-12)
    assert torch.allclose(split.inverse_target(split.test.y), table.y[split.indices[2]], rtol=1e-12)
    assert torch.allclose(split.apply(table).x[split.indices[0]], split.train.x, rtol=0, atol=1e-14)
    again, other = table.split(3, test=0.2, validation=0.25), table.split(4, test=0.2, validation=0.25)
    assert torch.equal(again.test.x, split.test.x) and not torch.equal(other.indices[2], split.indices[2])
    # a test row that moves by 1000 changes no train row: nothing leaks
    moved = Table(table.x.index_put((split.indices[2][0],), torch.tensor(1e3, dtype=torch.float64)), table.y)
    assert torch.equal(moved.split(3, test=0.2, validation=0.25).train.x, split.train.x)
    assert table.split(0, dtype=torch.float32).train.x.dtype is torch.float32


def test_split_keeps_shares_of_classes_and_trains_on_each() -> None:
    y = torch.tensor([0] * 60 + [1] * 30 + [2])
    table = Table(torch.randn(91, 2, generator=torch.Generator().manual_seed(0)), y, classes=("a", "b", "rare"))
    split = table.split(0)
    assert split.test.y.bincount(minlength=3).tolist() == [6, 3, 0]
    assert split.train.y.bincount(minlength=3).tolist() == [42, 21, 1] and split.y_scale == 1.0


def test_unseen_classes_and_columns_are_refused() -> None:
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    split = Table(x, torch.arange(20) % 2, classes=("a", "b")).split(0)
    with pytest.raises(ValueError, match=r"got \['c'\], because a class that was not seen"):
        split.apply(Table(x, torch.arange(20) % 2, classes=("a", "c")))
    swapped = split.apply(Table(x, torch.arange(20) % 2, classes=("b", "a")))
    assert swapped.y.tolist() == [1, 0] * 10
    with pytest.raises(ValueError, match="without"):
        split.apply(Table(x, torch.arange(20) % 2, names=("x0", "z"), classes=("a", "b")))
    with pytest.raises(ValueError, match="classification"):
        split.apply(Table(x, x[:, 0]))


def test_tables_too_small_to_split() -> None:
    small = Table(torch.tensor([[1.0], [2], [4]]), torch.tensor([1.0, 2, 3]))
    with pytest.raises(ValueError, match="test rows, got 0 of 3"):
        small.split(0)
    assert len(small.split(0, test=0, validation=0.34).validation.y) == 1
    for shares, message in [((0.6, 0.4), "< 1"), ((-0.1, 0.1), "share"), ((True, 0.1), "share")]:
        with pytest.raises(ValueError, match=message):
            small.split(0, test=shares[0], validation=shares[1])


@pytest.mark.parametrize(
    ("name", "rows", "inputs", "mean"),
    [
        ("yacht", 308, 6, 10.4954),
        ("energy", 768, 8, 22.3072),
        ("concrete", 1030, 8, 35.8178),
        ("airfoil", 1503, 5, 124.8359),
    ],
)
def test_tables_of_the_uci_repository(shared_data: Path, name: str, rows: int, inputs: int, mean: float) -> None:
    path = shared_data / "uci" / f"{name}.data"
    if not path.exists():
        pytest.skip(f"{path.name} is not among the reference data")
    table = read_table(path)
    values = np.loadtxt(path)
    assert table.x.shape == (rows, inputs) and table.kind == "regression"
    assert np.array_equal(table.x.numpy(), values[:, :-1]) and float(table.y.mean()) == pytest.approx(mean, abs=1e-3)
