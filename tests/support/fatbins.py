"""Libraries with device code, written byte by byte by the layout of docs/cuda-readiness.md: containers of entries, and cubins in zstd frames of their own."""
import ctypes
import functools
import struct

ZSTD, ONLY, FAMILY = 0x8000, 0x100000, 0x200000
PTX, CUBIN, LTO = 1, 2, 8


@functools.cache
def libzstd():
    """The system's library."""
    library = ctypes.CDLL("libzstd.so.1")
    for name in ("ZSTD_compress", "ZSTD_compressBound", "ZSTD_decompress", "ZSTD_findFrameCompressedSize"):
        getattr(library, name).restype = ctypes.c_size_t
    return library


def zstd(data):
    """One frame."""
    target = ctypes.create_string_buffer(libzstd().ZSTD_compressBound(ctypes.c_size_t(len(data))))
    size = libzstd().ZSTD_compress(target, ctypes.c_size_t(len(target)), data, ctypes.c_size_t(len(data)), 3)
    return target.raw[:size]


def cubin(sm):
    """The header of a CUDA ELF file of ABI 8, and some code."""
    return b"\x7fELF\2\1\1\x41\x08" + bytes(7) + struct.pack("<HHIQQQI", 2, 190, 1, 0, 0, 0, sm << 8) + bytes(12) + bytes(range(256)) * 4


def entry(kind, sm, flags, payload, packed=True):
    """An entry of a fatbin; its payload is padded to eight bytes."""
    stored = zstd(payload) if packed else payload
    padded = stored + bytes(-len(stored) % 8)
    return struct.pack("<HHIQI4xHHI8xQ8xQ", kind, 0x0101, 64, len(padded), len(stored) if packed else 0, 0, 9, sm, flags | (ZSTD if packed else 0),
                       len(payload) if packed else 0) + padded


def container(*entries):
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, sum(map(len, entries))) + b"".join(entries)


def library(*pieces):
    """An ELF file whose one section of data holds the pieces."""
    data = b"".join(pieces)
    head = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, 64 + len(data), 0, 64, 0, 0, 64, 2, 0)
    return head + data + bytes(64) + struct.pack("<IIQQQQIIQQ", 0, 1, 2, 0, 64, len(data), 0, 0, 8, 0)
