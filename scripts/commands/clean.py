# SPDX-License-Identifier: Apache-2.0
"""`./x clean [--all]`: removes what was made; with --all also what was downloaded."""
import shutil

from xlib import paths, ui


def main(argv: list[str]) -> int:
    if argv not in ([], ["--all"]):
        raise ui.Failure("usage: ./x clean [--all]", 2)
    folders = [paths.BUILD, paths.RUNS, paths.LOGS] if not argv else [paths.BUILD, paths.CACHE]
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    (paths.ROOT / "compile_commands.json").unlink(missing_ok=True)
    ui.say("removed " + ", ".join(str(folder.relative_to(paths.ROOT)) for folder in folders))
    return 0
