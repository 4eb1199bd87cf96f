"""Mutations of files: bytes anywhere, and the structure of HDF5 files (values, types, shapes, links, attributes)."""

from __future__ import annotations

import io
from collections.abc import Callable

import h5py
import numpy as np

MOST = 1 << 20  #: values of a data set that is read to be changed: an earlier change may have made it hollow
Random = np.random.Generator
#: Numbers at which counters, sizes and signs go over their ends.
EDGES = (0, 1, -1, 2, 7, 63, 64, 127, 128, 255, 256, 4095, 4096, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31,
         2**31 + 7, 2**32 - 1, 2**32, 2**53, 2**62, 2**63 - 1, -(2**31), -(2**31) - 1, -(2**63))  # fmt: skip
FLOATS = (0.0, -0.0, 0.5, -1.0, 1e-300, 1e30, 1e308, -1e308, np.inf, -np.inf, np.nan, 2.0**31, 2.0**53, 2.0**64)
TYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c16", "?", "S3", ">i4", ">f8")


def mutate_bytes(data: bytes, random: Random) -> bytes:
    """One to four small changes of the bytes: flips, cuts, copies, numbers at the edges."""
    made = bytearray(data)
    for _ in range(int(random.integers(1, 5))):
        if not made:
            return bytes(made)
        at = int(random.integers(len(made)))
        act = int(random.integers(8))
        if act <= 2:
            made[at] ^= 1 << int(random.integers(8))
        elif act == 3:
            made[at] = int(random.integers(256))
        elif act == 4:
            size = int(random.choice([1, 2, 4, 8]))
            value = EDGES[random.integers(len(EDGES))] % (1 << 8 * size)
            made[at : at + size] = value.to_bytes(size, "little")[: len(made) - at]
        elif act == 5 and random.random() < 0.3:
            del made[at:]
        elif act == 6:
            span = int(random.integers(1, 33))
            source = int(random.integers(len(made)))
            made[at : at + span] = made[source : source + span]
        else:
            span = int(random.integers(1, 17))
            made[at : at + span] = bytes(span) if random.random() < 0.5 else b"\xff" * span
    return bytes(made)


def mutate_text(data: bytes, random: Random) -> bytes:
    """Changes that keep a text a text: tokens swapped, doubled, dropped, numbers and letters replaced."""
    odd = (b"-1", b"1e400", b"NaN", b"null", b"true", b'""', b"[]", b"{}", b"9" * 40, b"2147483648", b"0.5", b"\xff",
           b"\\ud800", b"'", b'"', b"[" * 50, b"{" * 50, b"\x00", "é".encode(), b"\n", b",", b":")  # fmt: skip
    made = bytearray(data)
    for _ in range(int(random.integers(1, 4))):
        at = int(random.integers(len(made) + 1))
        span = int(random.integers(0, 12))
        act = int(random.integers(4))
        if act == 0:
            made[at : at + span] = odd[random.integers(len(odd))]
        elif act == 1:
            made[at:at] = made[at : at + span] * int(random.integers(1, 4))
        elif act == 2:
            del made[at : at + span]
        else:
            return mutate_bytes(bytes(made), random)
    return bytes(made)


#: Bytes of the largest file that is worth writing.
LARGEST = 64 << 20


def mutate_hdf5(data: bytes, random: Random) -> bytes:
    """One to three changes of objects in the file; now and then of its bytes, before or after."""
    if random.random() < 0.35:
        return mutate_bytes(data, random)
    image = io.BytesIO(data)
    try:
        with h5py.File(image, "r+") as file:
            for _ in range(int(random.integers(1, 4))):
                _change(file, random)
    except Exception:
        return mutate_bytes(data, random)  # a change that HDF5 does not allow
    if image.getbuffer().nbytes > LARGEST:
        return mutate_bytes(data, random)  # writing a file of zeros costs seconds and tests no reader
    return mutate_bytes(image.getvalue(), random) if random.random() < 0.1 else image.getvalue()


def _objects(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visit(names.append)
    return names


def _change(file: h5py.File, random: Random) -> None:
    names = _objects(file)
    if not names:
        return
    name = names[random.integers(len(names))]
    node = file[name]
    choices: tuple[Callable[..., None], ...] = (_attribute, _link, _remove, _move)
    if isinstance(node, h5py.Dataset) and (node.size or 0) < MOST:
        choices = (_value, _value, _value, _value, _type, _shape, _text, _layout, *choices)
    choices[random.integers(len(choices))](file, name, random)


def _replace(file: h5py.File, name: str, value: object, **options: object) -> None:
    del file[name]
    file.create_dataset(name, data=value, **options)


def _is_text(node: h5py.Dataset) -> bool:
    return h5py.check_string_dtype(node.dtype) is not None


def _edge(kind: np.dtype, random: Random) -> object:
    if kind.kind == "f":
        return FLOATS[random.integers(len(FLOATS))]
    if kind.kind == "b":
        return bool(random.integers(2))
    span = 1 << 8 * kind.itemsize
    value = EDGES[random.integers(len(EDGES))] % span
    return value - span if kind.kind == "i" and value >= span // 2 else value


def _value(file: h5py.File, name: str, random: Random) -> None:
    """Some or all numbers to an edge, to random ones, shuffled."""
    node = file[name]
    if _is_text(node):
        _text(file, name, random)
        return
    array = np.array(node[()])
    if not array.size or array.dtype.kind not in "iufb":
        return
    act = random.integers(4)
    if act == 0:
        array.reshape(-1)[random.integers(array.size)] = _edge(array.dtype, random)
    elif act == 1:
        array[...] = _edge(array.dtype, random)
    elif act == 2:
        chosen = random.integers(array.size)
        array.reshape(-1).view(np.uint8)[chosen * array.itemsize] ^= 1 << int(random.integers(8))
    else:
        random.shuffle(array.reshape(-1))
    node[...] = array


def _type(file: h5py.File, name: str, random: Random) -> None:
    """The same numbers as another type: other widths, words, objects, records, references."""
    array = np.asarray(file[name][()])
    act = random.integers(8)
    if act < 4 and array.dtype.kind in "iufb":
        with np.errstate(all="ignore"):
            _replace(file, name, array.astype(TYPES[random.integers(len(TYPES))]))
    elif act == 4:
        _replace(file, name, "words", dtype=h5py.string_dtype())
    elif act == 5:
        _replace(file, name, np.zeros(array.shape, [("a", "i4"), ("b", "f8")]))
    elif act == 6:
        del file[name]
        file.create_dataset(name, array.shape, h5py.vlen_dtype(np.int32))
    else:
        del file[name]
        file.create_dataset(name, array.shape, h5py.ref_dtype)


def _shape(file: h5py.File, name: str, random: Random) -> None:
    """Fewer or more rows, other or no dimensions."""
    node = file[name]
    if _is_text(node) or node.shape is None:
        _replace(file, name, np.array([b"a", b"b"]))
        return
    array = np.array(node[()])
    act = random.integers(7)
    if act == 0:
        made = array[None]
    elif act == 1:
        made = array.reshape(-1)
    elif act == 2:
        made = array.reshape(-1)[: random.integers(array.size + 1)]
    elif act == 3:
        made = np.concatenate([array.reshape(-1), array.reshape(-1)])
    elif act == 4 and array.ndim > 1:
        made = array.T
    elif act == 5:
        made = h5py.Empty(array.dtype)
    else:
        made = np.zeros((), array.dtype) if array.ndim else np.zeros(3, array.dtype)
    _replace(file, name, made)


def _text(file: h5py.File, name: str, random: Random) -> None:
    """A text with some of its letters changed, written as texts of fixed or free length."""
    node = file[name]
    if not _is_text(node):
        _value(file, name, random)
        return
    if node.shape != () or node.dtype.kind != "O":
        array = np.array(node[()])
        if array.size:
            array.reshape(-1)[random.integers(array.size)] = mutate_text(b"input", random).replace(b"\0", b"")
        _replace(file, name, array, dtype=node.dtype)
        return
    text = mutate_text(node[()], random).replace(b"\0", b"")
    if random.random() < 0.2:
        _replace(file, name, np.bytes_(text or b"x"))
    else:
        _replace(file, name, text, dtype=h5py.string_dtype())


def _layout(file: h5py.File, name: str, random: Random) -> None:
    """Declares more than it holds, in chunks, in another file, as a view."""
    act = random.integers(4)
    kind = file[name].dtype if not _is_text(file[name]) else np.dtype("i4")
    del file[name]
    if act == 0:
        size = int(random.choice([10**4, 10**7, 10**10, 10**14]))
        file.create_dataset(name, (size,), kind, chunks=(min(size, 1000),), compression="gzip")
    elif act == 1:
        file.create_dataset(name, (3,), kind, chunks=(int(random.choice([10, 10**6, 10**9 // kind.itemsize])),),
                            maxshape=(None,))  # fmt: skip
    elif act == 2:
        file.create_dataset(name, (64,), kind, external=[("/dev/zero", 0, 64 * kind.itemsize)])
    else:
        layout = h5py.VirtualLayout((10,), kind)
        layout[:] = h5py.VirtualSource("nowhere.h5", "x", (10,))
        file.create_virtual_dataset(name, layout)


def _attribute(file: h5py.File, name: str, random: Random) -> None:
    """An attribute of the object or of the file changed, removed or added."""
    node = file if random.random() < 0.3 else file[name]
    keys = list(node.attrs)
    key = keys[random.integers(len(keys))] if keys else "class"
    act = random.integers(6)
    if act == 0 and keys:
        del node.attrs[key]
    elif act == 1:
        node.attrs[key] = int(EDGES[random.integers(len(EDGES) - 8)])
    elif act == 2:
        node.attrs[key] = np.zeros(int(random.choice([0, 3, 5000])), "f8")
    elif act == 3:
        node.attrs[key] = h5py.Empty("i4")
    elif act == 4:
        kinds = (
            "dict",
            "list",
            "tuple",
            "csc",
            "chipsim.program.program:Program",
            "os:system",
            ":",
            "chipsim.errors:FileError",
        )
        node.attrs[key] = kinds[random.integers(len(kinds))]
    else:
        old = node.attrs.get(key, "x")
        old = old.encode() if isinstance(old, str) else b"dict"
        node.attrs[key] = np.bytes_(mutate_text(old, random).replace(b"\0", b"") or b"y")


def _link(file: h5py.File, name: str, random: Random) -> None:
    """A soft, external or second hard link in its place, also one that leads back up."""
    act = random.integers(4)
    others = _objects(file)
    other = others[random.integers(len(others))]
    target = file["/"] if act == 2 else file[other]
    del file[name]
    if act == 0:
        file[name] = h5py.SoftLink(f"/{other}")
    elif act == 1:
        file[name] = h5py.ExternalLink("other.h5", "/x")
    else:
        file[name] = target


def _remove(file: h5py.File, name: str, random: Random) -> None:
    del file[name]


def _move(file: h5py.File, name: str, random: Random) -> None:
    """Two objects change places, or one gets a strange name."""
    others = _objects(file)
    other = others[random.integers(len(others))]
    if random.random() < 0.5 or name.startswith(other) or other.startswith(name):
        parent, _, last = name.rpartition("/")
        file.move(name, f"{parent}/{last}{random.choice(['', '%', ' ', 'é', '0'])}x")
    else:
        a, b = file[name], file[other]
        del file[name], file[other]
        file[name], file[other] = b, a


def mutate_npy(data: bytes, random: Random) -> bytes:
    """The header of an .npy as text, or bytes anywhere."""
    if random.random() < 0.5:
        return mutate_bytes(data, random)
    end = 10 + int.from_bytes(data[8:10], "little")
    header = data[10:end]
    act = random.integers(4)
    if act == 0:
        shapes = (b"(10000000, 3)", b"(5, 3, 1)", b"()", b"(15,)", b"(-1, 3)", b"(5, 3.0)", b"(1000000000000, 3)")
        header = _swapped(header, b"'shape': ", b", }", shapes[random.integers(len(shapes))])
    elif act == 1:
        kinds = (
            b"'|O'",
            b"'<U9'",
            b"'<c16'",
            b"'<f4'",
            b"'<M8[s]'",
            b"[('step', '<i8')]",
            b"'|V24'",
            b"'>i8'",
            b"None",
        )
        header = _swapped(header, b"'descr': ", b", 'fortran", kinds[random.integers(len(kinds))])
    else:
        header = mutate_text(header, random)
    header = header.rstrip() + b"\n"
    return data[:8] + (len(header) % 65536).to_bytes(2, "little") + header + data[end:]


def _swapped(text: bytes, before: bytes, after: bytes, new: bytes) -> bytes:
    start = text.find(before)
    end = text.find(after, start)
    return text if start < 0 or end < 0 else text[: start + len(before)] + new + text[end:]


def mutate_npz(data: bytes, random: Random) -> bytes:
    """Another member, a bomb, a changed member, or bytes anywhere."""
    import zipfile

    if random.random() < 0.5:
        return mutate_bytes(data, random)
    image, source = io.BytesIO(), io.BytesIO(data)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(image, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            act = random.integers(6)
            name = entry.filename
            if act == 0:
                name = ("y.npy", "x", "../x.npy", "x.npy.npy", ".", "x\n.npy")[random.integers(6)]
            elif act == 1:
                content = mutate_npy(content, random)
            elif act == 2:
                content += bytes(int(random.choice([1, 1000, 1 << 20])))
            elif act == 3:
                content = content[: random.integers(len(content))]
            new.writestr(name, content)
            if act == 4:
                new.writestr("z.npy", content)
    return image.getvalue()
