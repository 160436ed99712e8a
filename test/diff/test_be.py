"""What -be says to several hundred expressions, against what Exim says.

be_cases.txt has one expression a line (@DIR@ is the folder of the files below); be_expected.txt has, in the
same order, what Exim's -be printed for it ("\\n" within a line stands for a newline). Cases in which 4.96 and
4.89 differ, or in which we mean to differ, are not there but in be_differences.txt, with the reason.

To record anew after a change of be_cases.txt: EXIM_REF=/path/to/exim python3 test/diff/test_be.py
"""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

import exim  # noqa: E402

CONFIG = "headers_charset = UTF-8\nqualify_domain = here.test\n"
FILES = {
    "file": "l1\nl2\n",
    "ls": "key: value1\nk2: v2\n*.key: wild\n*@b: atb\n*: deflt\n",
}


def encode(text):
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def read(name):
    return (HERE / name).read_text(errors="surrogateescape").split("\n")[:-1]


def make_site(folder):
    site = exim.Exim(folder, CONFIG)
    for name, text in FILES.items():
        (site.dir / name).write_text(text)
        (site.dir / name).chmod(0o644)
    return site


def ask(site, program, case):
    p = subprocess.run([program, "-C", site.conf, "-be", case.replace("@DIR@", str(site.dir))],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=site.dir,
                       errors="surrogateescape", stdin=subprocess.DEVNULL, env=site._env(),
                       timeout=60, **site._identity())
    return encode(p.stdout.removesuffix("\n").replace(str(site.dir), "@DIR@"))


def answers(site, program, cases):
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda c: ask(site, program, c), cases))


def test_be_answers_as_exim_does(tmp_path):
    cases, want = read("be_cases.txt"), read("be_expected.txt")
    got = answers(make_site(tmp_path / "be"), exim.binary(), cases)

    assert len(cases) == len(want) > 500
    wrong = [f"{c}\n  want {w}\n  got  {g}" for c, w, g in zip(cases, want, got) if w != g]
    assert not wrong, "\n".join(wrong)


def record():
    with tempfile.TemporaryDirectory() as folder:
        lines = answers(make_site(folder), os.environ["EXIM_REF"], read("be_cases.txt"))
    (HERE / "be_expected.txt").write_text("".join(line + "\n" for line in lines), errors="surrogateescape")


if __name__ == "__main__":
    record()
