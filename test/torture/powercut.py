"""What a disk holds after the power went: the shim's record, replayed with what was not synced left out.

Directories and files are objects; each has what is there now and what has been synced. A file's sync makes
its bytes durable, a directory's its names; on file systems that promise so (`first_names`), a file's sync also the name
that it got first. Three disks can come back from one moment:
  nothing   only what was synced
  names     names as they were, bytes only as synced (a journal of metadata, data written late)
  bytes     bytes as they were, names only as synced
"""

import os
import struct
from pathlib import Path

from torture import RECORD_AT

DISKS = ("nothing", "names", "bytes")
HEAD = struct.Struct("=IccHHHIQq")


class File:
    def __init__(self, data=b""):
        self.now, self.synced = bytearray(data), bytes(data)
        self.first = None  # (folder, name), when it was made without a name

    def sync(self):
        self.synced = bytes(self.now)

    def write(self, at, data):
        if len(self.now) < at:
            self.now.extend(b"\0" * (at - len(self.now)))
        self.now[at:at + len(data)] = data

    def resize(self, size):
        del self.now[size:]
        self.now.extend(b"\0" * (size - len(self.now)))


class Folder:
    def __init__(self):
        self.now, self.synced = {}, {}

    def sync(self):
        self.synced = dict(self.now)


def read_record(victim):
    """[(position after it, op, durable, path, other, data, inode, offset)]"""
    out, at = [], RECORD_AT
    end = RECORD_AT + victim.control.used
    while at < end:
        total, op, durable, path_len, other_len, _, data_len, inode, offset = HEAD.unpack_from(victim.map, at)
        p = at + HEAD.size
        path = victim.map[p:p + path_len].decode()
        other = victim.map[p + path_len:p + path_len + other_len].decode()
        data = victim.map[p + path_len + other_len:p + path_len + other_len + data_len]
        at += total
        out.append((at - RECORD_AT, op.decode(), durable != b"\0", path, other, data, inode, offset))
    return out


class Disk:
    """The tree below a folder, from its present state on."""

    def __init__(self, folder, first_names=False):
        self.top, self.inodes, self.first_names = Path(folder), {}, first_names
        self.root = self._read(self.top)

    def _read(self, path):
        if path.is_dir():
            made = Folder()
            made.now = {p.name: self._read(p) for p in path.iterdir() if p.is_dir() or p.is_file()}
        else:
            made = File(path.read_bytes())
        made.sync()
        self.inodes[path.stat().st_ino] = made
        return made

    def _folder_of(self, path):
        at = self.root
        for part in Path(path).relative_to(self.top).parts[:-1]:
            at = at.now[part]
        return at, Path(path).name

    def _find(self, path):
        if Path(path) == self.top:
            return self.root
        folder, name = self._folder_of(path)
        return folder.now.get(name)

    def apply(self, entry):
        _, op, durable, path, other, data, inode, offset = entry
        if op in "wts":
            thing = self._find(path) if op == "s" and isinstance(self._find(path), Folder) else self.inodes.get(inode)
            if thing is None:
                return
            if op == "w":
                thing.write(offset, data)
            elif op == "t":
                thing.resize(offset)
            if op == "s" or durable:
                thing.sync()
            if op == "s" and self.first_names and isinstance(thing, File) and thing.first:
                first_folder, first_name = thing.first
                if first_folder.now.get(first_name) is thing:
                    first_folder.synced[first_name] = thing
            return
        if op == "o":
            self.inodes[inode] = File()
            return
        folder, name = self._folder_of(path)
        if op == "n":
            thing = folder.now[name] = self.inodes[inode]
            thing.first = thing.first or (folder, name)
        elif op in "cd":
            folder.now[name] = self.inodes[inode] = File() if op == "c" else Folder()
        elif op == "u":
            folder.now.pop(name, None)
        else:
            to, other_name = self._folder_of(other)
            to.now[other_name] = folder.now[name]
            if op == "r":
                del folder.now[name]

    def write_out(self, folder, disk):
        """What comes back, as files."""
        self._write(self.root, Path(folder), disk)

    def _write(self, thing, path, disk):
        if isinstance(thing, File):
            path.write_bytes(thing.now if disk == "bytes" else thing.synced)
            return
        path.mkdir(exist_ok=True)
        for name, child in (thing.now if disk == "names" else thing.synced).items():
            self._write(child, path / name, disk)


class Stamped(list):
    """Messages, each with the position in the record at which it came."""

    def __init__(self, victim):
        super().__init__()
        self.victim = victim

    def append(self, message):
        super().append({**message, "at": self.victim.control.used})


def clear(folder):
    for path in sorted(Path(folder).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    os.makedirs(folder, exist_ok=True)
