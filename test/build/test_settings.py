"""scripts/configure-build: Exim's Local/Makefile becomes what the compiler and make read."""
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASIC = """
BIN_DIRECTORY=/usr/exim/bin
CONFIGURE_FILE=/usr/exim/configure
SPOOL_DIRECTORY=/var/spool/exim
EXIM_USER=exim
"""


@pytest.fixture
def tree(tmp_path):
    for name in ('scripts', 'OS', 'src'):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / 'Local').mkdir()
    return tmp_path


def configure(tree, text, *overrides, basic=BASIC, draft=''):
    (tree / 'Local/Makefile').write_text(basic + text)
    run = subprocess.run(['scripts/configure-build', 'build', 'Linux', *overrides], cwd=tree,
                         capture_output=True, text=True, env={'PATH': '/usr/bin:/bin', 'DRAFT': draft})
    return run.returncode, run.stderr


def defines(tree):
    rows = {}
    for line in (tree / 'build/build_config.h').read_text().splitlines():
        if line.startswith('#define '):
            _, name, *value = line.split(' ', 2)
            rows[name] = value[0] if value else ''
    return rows


def make_value(tree, name):
    for line in (tree / 'build/config.mk').read_text().splitlines():
        if line.startswith(name + ' :='):
            return line.split(':=', 1)[1].strip()
    return None


def test_values_and_defaults_reach_the_compiler(tree):
    status, err = configure(tree, 'EXIM_GROUP=mail # the group\nLOG_MODE=0600\n')
    assert (status, err) == (0, '')
    d = defines(tree)
    assert d['BIN_DIRECTORY'] == '"/usr/exim/bin"'
    assert d['EXIM_GROUP'] == '"mail"'
    assert d['LOG_MODE'] == '0600'
    assert d['SPOOL_MODE'] == '0640'
    assert d['CONFIGURE_OWNER'] == '""'
    assert d['EXIMDB_LOCK_TIMEOUT'] == '60'
    assert d['FIXED_NEVER_USERS'] == '"root"'


@pytest.mark.parametrize('text,name,value', [
    ('HEADERS_CHARSET="UTF-8"', 'HEADERS_CHARSET', '"UTF-8"'),
    ('TRUSTED_CONFIG_LIST = $(BIN_DIRECTORY)/list', 'TRUSTED_CONFIG_LIST', '"/usr/exim/bin/list"'),
    ('TRUSTED_CONFIG_LIST := ${BIN_DIRECTORY}/list', 'TRUSTED_CONFIG_LIST', '"/usr/exim/bin/list"'),
    ('export PID_FILE_PATH=/run/x.pid', 'PID_FILE_PATH', '"/run/x.pid"'),
    ('WHITELIST_D_MACROS=A\nWHITELIST_D_MACROS+=:B', 'WHITELIST_D_MACROS', '"A :B"'),
    ('BIN_DIRECTORY ?= /elsewhere', 'BIN_DIRECTORY', '"/usr/exim/bin"'),
    ('LOG_FILE_PATH=/a/%s:\\\n  syslog', 'LOG_FILE_PATH', '"/a/%s: syslog"'),
    ('LOG_FILE_PATH=/a\\#b/%s', 'LOG_FILE_PATH', '"/a#b/%s"'),
    ('EXPERIMENTAL_DSN=YES', 'EXPERIMENTAL_DSN', '1'),
    ('EXPERIMENTAL_DSN=yes\nEXPERIMENTAL_DSN=', 'EXPERIMENTAL_DSN', None),
    ('EXPERIMENTAL_DSN=no', 'EXPERIMENTAL_DSN', None),
    ('SUPPORT_MAILDIR=yes', 'SUPPORT_MAILDIR', '1'),
    ('# SUPPORT_MAILDIR=yes', 'SUPPORT_MAILDIR', None),
])
def test_make_syntax(tree, text, name, value):
    assert configure(tree, text + '\n') == (0, '')
    assert defines(tree).get(name) == value


@pytest.mark.parametrize('text,message', [
    ('SPOLL_MODE=0640', 'Local/Makefile:6: unknown setting "SPOLL_MODE"'),
    ('\nROUTER_NONSENSE=yes', 'Local/Makefile:7: unknown setting "ROUTER_NONSENSE"'),
    ('WITH_CONTENT_SCAN=yes', 'WITH_CONTENT_SCAN is an Exim setting, but not built yet: content scanning'),
    ('LOOKUP_WHOSON=yes', 'LOOKUP_WHOSON is an Exim setting, but src/lookups/whoson.c is not built yet'),
    ('LOOKUP_LSEARCH=2', 'loadable modules are not built'),
    ('LOOKUP_LSEARCH=maybe', 'must be yes or no, not "maybe"'),
    ('SUPPORT_MAILDIR=2', 'must be yes or no'),
    ('SUPPORT_TLS=no', 'SUPPORT_TLS cannot be switched off'),
    ('LOG_MODE=640', 'LOG_MODE must be an octal number'),
    ('HEADER_MAXSIZE=1M', 'HEADER_MAXSIZE must be a number'),
    ('LOG_FILE_PATH=/a"b', 'has a character that cannot be part of it'),
    ('LOG_FILE_PATH=$(UNKNOWN)/x', 'has a character that cannot be part of it'),
    ('USE_GNUTLS=yes', 'USE_GNUTLS is an Exim setting, but not built yet'),
    ('PCRE_CONFIG=yes', 'PCRE_CONFIG cannot be set: PCRE2 is used'),
    ('ifdef X', 'not a setting (NAME=value): ifdef X'),
    ('EXIM_USER=', 'EXIM_USER must be set'),
])
def test_what_is_wrong_is_named_with_its_place(tree, text, message):
    status, err = configure(tree, text + '\n')
    assert status == 1
    assert message in err
    assert not (tree / 'build/config.mk').exists()


def test_all_mistakes_are_told_at_once(tree):
    _, err = configure(tree, 'ONE=1\nTWO=2\n')
    assert err.count('unknown setting') == 2


def test_what_a_disabled_part_needs_may_be_off(tree):
    assert configure(tree, 'WITH_CONTENT_SCAN=no\nLOOKUP_ORACLE=no\nLOOKUP_LDAP=\n') == (0, '')


def test_arguments_count_more_than_the_file(tree):
    assert configure(tree, 'EXPERIMENTAL_PROXY=yes\n', 'EXPERIMENTAL_PROXY=no', 'EXPERIMENTAL_DSN=yes')[0] == 0
    d = defines(tree)
    assert 'EXPERIMENTAL_PROXY' not in d and d['EXPERIMENTAL_DSN'] == '1'
    left_out = make_value(tree, 'LEFT_OUT')
    assert 'src/proxy.c' in left_out and 'src/dsn_params.c' not in left_out


def test_drivers_not_chosen_are_left_out(tree):
    assert configure(tree, '')[0] == 0
    assert 'src/lookups/lsearch.c' in make_value(tree, 'LEFT_OUT')
    assert configure(tree, 'LOOKUP_LSEARCH=yes\n')[0] == 0
    assert defines(tree)['LOOKUP_LSEARCH'] == '1'
    assert 'src/lookups/lsearch.c' not in make_value(tree, 'LEFT_OUT')


def test_a_draft_leaves_missing_drivers_out(tree):
    assert configure(tree, 'LOOKUP_WHOSON=yes\n', draft='1') == (0, '')
    assert 'LOOKUP_WHOSON' not in defines(tree)


def test_make_settings_pass_through(tree):
    assert configure(tree, 'CFLAGS=-O3 -march=native\nEXTRALIBS=-L/opt/lib -lx\n')[0] == 0
    assert make_value(tree, 'CFLAGS') == '-O3 -march=native'
    assert make_value(tree, 'EXTRALIBS') == '-L/opt/lib -lx'


def test_scripts_get_their_settings(tree):
    assert configure(tree, 'COMPRESS_COMMAND=/bin/x&y\n')[0] == 0
    out = subprocess.run(['sed', '-f', 'build/subst.sed'], input='a @COMPRESS_COMMAND@ @SPOOL_DIRECTORY@\n',
                         cwd=tree, capture_output=True, text=True).stdout
    assert out == 'a /bin/x&y /var/spool/exim\n'


def test_an_unchanged_header_keeps_its_time(tree):
    configure(tree, '')
    before = (tree / 'build/build_config.h').stat().st_mtime_ns
    configure(tree, '# only a comment\n')
    assert (tree / 'build/build_config.h').stat().st_mtime_ns == before


def test_the_template_uses_known_names_only(tree):
    template = (ROOT / 'src/EDITME').read_text().replace('\n# ', '\n')
    settings = '\n'.join(line for line in template.splitlines()
                         if line.split('=')[0].isupper() and '=' in line)
    status, err = configure(tree, settings, basic='', draft='1')
    assert (status, err) == (0, '')
