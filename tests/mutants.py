"""Damage the core in many small ways and count which damages the fast tests notice: make mutants

What is damaged, and by which tests it is judged, stands in pyproject.toml under [tool.mutmut].
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import chdir
from fnmatch import fnmatch
from pathlib import Path

from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import get_mutant_name

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "mutants"  # mutmut's own name for it
SURVIVORS = FOLDER / "survivors.txt"
SAMPLE = 400
SEED = 0
LEAST = 0.85  # share of the mutants that the tests have to notice
PROCESSES = 2
NOTICED = ("killed", "timeout", "segfault")  # a timeout: the mutant never ends, or takes ten times as long
# one thread, since processes are forked; hypothesis tries the same examples each time, and keeps none of another mutant
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONHASHSEED": "0", "CI": "true"}


def all_names() -> dict[str, Path]:
    """Name all mutants, each with the file that it damages."""
    return {
        get_mutant_name(path, name): path
        for path in walk_mutatable_files()
        for name in mutate_file_contents(str(path), path.read_text(encoding="utf-8")).mutant_names
    }


def sample(names: Iterable[str], count: int = SAMPLE, seed: int = SEED) -> list[str]:
    """Draw `count` names at random. A name that is new or gone changes one name of the sample at most."""
    return sorted(sorted(names, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())[:count])


def try_out(names: Sequence[str]) -> dict[str, str]:
    """Run the tests against each mutant, PROCESSES at a time: name -> what became of it, in mutmut's words."""
    shutil.rmtree(FOLDER, ignore_errors=True)  # else the record of which test runs which function may be an older one
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    command = [mutmut, "run", "--max-children", str(PROCESSES), *names]
    subprocess.run(command, check=True, env={**os.environ, **ENVIRONMENT})
    found: dict[str, str] = {}
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        found |= {name: status_by_exit_code[code] for name, code in data.exit_code_by_key.items()}
    return {name: found[name] for name in names}


def table(status: Mapping[str, str], files: Mapping[str, Path]) -> str:
    """Count mutants by file: all, and by what became of them."""
    kinds = sorted(set(status.values()))
    lines = [f"{'file':44}" + "".join(f"{kind:>12}" for kind in ("mutants", *kinds))]
    for path in sorted({files[name] for name in status}):
        counts = Counter(kind for name, kind in status.items() if files[name] == path)
        lines.append(f"{path!s:44}{counts.total():12}" + "".join(f"{counts[kind]:12}" for kind in kinds))
    return "\n".join(lines)


def main(patterns: Sequence[str]) -> int:
    """Try the sample, or all mutants whose names match a pattern; return 1 where too few are noticed."""
    with chdir(ROOT):
        files = all_names()
        matching = [name for name in files if any(fnmatch(name, pattern) for pattern in patterns)]
        names = matching if patterns else sample(files)
        if not names:
            sys.exit(f"No mutant is called {' or '.join(patterns)}; a name looks like {next(iter(files))}")
        status = try_out(names)
        unnoticed = [name for name, kind in status.items() if kind not in NOTICED]
        diffs = [f"# {name}: {status[name]}\n{get_diff_for_mutant(name, path=files[name])}\n" for name in unnoticed]
        SURVIVORS.write_text("\n".join(diffs), encoding="utf-8")
    share = 1 - len(unnoticed) / len(names)
    print(f"\n{table(status, files)}\n\n{share:.1%} of {len(names)} mutants noticed; at least {LEAST:.0%} have to be.")
    print(f"The others, with what was changed, are in {SURVIVORS.relative_to(ROOT)}")
    return int(share < LEAST)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
