"""scripts/install: what `make install` puts where, and what it leaves alone."""
import os
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path):
    (tmp_path / 'scripts').symlink_to(ROOT / 'scripts')
    for d in ('b', 'src', 'doc/man'):
        (tmp_path / d).mkdir(parents=True)
    (tmp_path / 'b/exim').write_text('binary')
    (tmp_path / 'b/exinext').write_text('#!/bin/sh\n')
    (tmp_path / 'b/subst.sed').write_text('s|@SYSTEM_ALIASES_FILE@|/etc/aliases|g\n')
    (tmp_path / 'src/configure.default').write_text('file @SYSTEM_ALIASES_FILE@\n')
    (tmp_path / 'doc/man/exim.8').write_text('.TH\n')
    return tmp_path


def install(tree, setuid='yes', conf='/etc/exim.conf:/other', destdir='dest'):
    dest = str(tree / destdir) if destdir else ''
    env = {'PATH': os.environ['PATH'], 'BUILD': 'b', 'DESTDIR': dest, 'BIN_DIRECTORY': '/usr/exim/bin',
           'CONFIGURE_FILE': conf, 'MANDIR': '/usr/man', 'INSTALL_SETUID': setuid}
    return subprocess.run(['scripts/install', 'exinext'], cwd=tree, env=env, capture_output=True, text=True)


def test_puts_everything_in_place(tree):
    assert install(tree).returncode == 0
    binary = tree / 'dest/usr/exim/bin/exim'
    assert stat.S_IMODE(binary.stat().st_mode) == 0o4755
    assert os.access(tree / 'dest/usr/exim/bin/exinext', os.X_OK)
    assert (tree / 'dest/usr/man/man8/exim.8').exists()
    assert (tree / 'dest/etc/exim.conf').read_text() == 'file /etc/aliases\n'
    assert not (tree / 'dest/other').exists()
    assert not list(tree.glob('dest/usr/exim/bin/*.new'))


def test_can_be_without_setuid(tree):
    assert install(tree, setuid='no').returncode == 0
    assert stat.S_IMODE((tree / 'dest/usr/exim/bin/exim').stat().st_mode) == 0o755


def test_never_overwrites_a_configuration(tree):
    conf = tree / 'dest/etc/exim.conf'
    conf.parent.mkdir(parents=True)
    conf.write_text('mine\n')
    assert 'stays as it is' in install(tree).stdout
    assert conf.read_text() == 'mine\n'


def test_replaces_a_binary_that_runs(tree):
    old = tree / 'dest/usr/exim/bin/exim'
    old.parent.mkdir(parents=True)
    old.write_text('old')
    inode = old.stat().st_ino
    assert install(tree).returncode == 0
    assert old.read_text() == 'binary' and old.stat().st_ino != inode
