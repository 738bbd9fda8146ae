# SPDX-License-Identifier: Apache-2.0
"""`./x guide`: keeps the troubleshooting guide true. Its transcripts are what the commands in it print, its tables are the
library's own, its two languages have the same parts, and the names in it exist.

  <!-- transcript: ./x fault mmio-width | report -->    before a block: the command, then filters
  <!-- table: diagnoses -->                             before a table: diagnoses, errors

Filters: `report` keeps the first diagnosis, `report N` the N-th one; `from REGEX` and `to REGEX` keep what lies between
the first lines that match, `only REGEX` and `drop REGEX` look at each line, `first N` and `last N` count them, `status N`
shows the exit status, which otherwise must be 0. Lines left out between others become "...". A command runs once, however
many blocks show it, in a folder of its own, in which the checkout's files are to be found; files that one command writes
the later ones may read.
"""
import argparse
import difflib
import json
import os
import re
import shlex
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import __main__
from xlib import paths, setup, ui

LANGUAGES = ["en", "zh"]
PAGES = {language: paths.ROOT / "docs" / language / "troubleshooting.md" for language in LANGUAGES}
README = {"en": paths.ROOT / "README.md", "zh": paths.ROOT / "README.zh.md"}
TERMS = paths.ROOT / "docs" / "zh" / "terms.json"  # the tables' texts in Chinese
COMMAND_SECONDS = 60.0 * float(os.environ.get("ARM_VCPU_TEST_SLOWDOWN", "1"))
SUBCOMMANDS = paths.ROOT / "tools" / "vcpuscope" / "subcommands.def"
INCLUDE = paths.ROOT / "include" / "arm_vcpu"

MARK = re.compile(r"^<!-- (transcript|table): (.*) -->$")
FENCE = "```"


# --- the library's tables -------------------------------------------------------------------------------------------

def rows_of(file: Path, macro: str) -> list[list[str]]:
    """The arguments of each line of an X-macro table; adjacent string literals are one."""
    text = re.sub(r"(?m)^\s*//.*$", "", file.read_text(encoding="utf-8"))
    rows = []
    for found in re.finditer(rf"{macro}\(((?:\"(?:\\.|[^\"\\])*\"|[^()\"])*)\)", text):
        arguments = re.findall(r'((?:"(?:\\.|[^"\\])*"\s*)+|[^",\s][^",]*)(?:,|$)', found.group(1).strip() + ",")
        rows.append(["".join(re.findall(r'"((?:\\.|[^"\\])*)"', a)) if '"' in a else a.strip() for a in arguments])
    return rows


ARISES = {
    "en": {"yes": "yes", "hardware": "on hardware only", "defect": "by a defect of the library",
           "configuration": "in another system"},
    "zh": {"yes": "会", "hardware": "仅真实硬件", "defect": "仅当库本身有缺陷", "configuration": "仅在别的系统里"},
}


def glossed(terms: dict, table: str, key: str) -> list[str]:
    words = terms[table].get(key)
    if words is None:
        raise ui.Failure(f"guide: {TERMS.relative_to(paths.ROOT)}: \"{table}\" has no \"{key}\": give its Chinese text")
    return [words] if isinstance(words, str) else words


def table(name: str, language: str) -> list[str]:
    terms = json.loads(TERMS.read_text(encoding="utf-8"))
    if name == "diagnoses":
        head = {"en": ["code", "what the console says", "symptom", "can arise here"],
                "zh": ["代码", "控制台原文", "现象", "这里会出现吗"]}[language]
        lines = []
        for row in rows_of(INCLUDE / "trace/diagnoses.def", "VCPU_DIAGNOSIS"):
            number, key, title, symptom, _cause, _advice, arises, _where = row
            text = symptom if language == "en" else glossed(terms, "diagnoses", key)[0]
            lines.append([f"AV{int(number):04}", title, text, ARISES[language][arises]])
    elif name == "errors":
        head = {"en": ["`Errc`", "what cannot be", "`asked`, `has`", "fix"],
                "zh": ["`Errc`", "哪里不行", "`asked`、`has`", "怎么办"]}[language]
        lines = []
        for key, what, asked, has, fix in rows_of(INCLUDE / "errors.def", "VCPU_ERRC"):
            if language == "zh":
                what, fix = glossed(terms, "errors", key)
            lines.append([f"`{key}`", what, f"{asked or '–'}; {has or '–'}" if asked or has else "–", fix])
    else:
        raise ui.Failure(f"guide: there is no table '{name}'")
    cells = [head, ["---"] * len(head), *lines]
    return ["| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in row) + " |" for row in cells]


# --- transcripts ----------------------------------------------------------------------------------------------------

def run(command: str, folder: Path) -> tuple[int, list[str]]:
    """Status and lines of a command, without what belongs to a terminal or to this checkout's place."""
    begin = time.monotonic()
    environment = {**os.environ, "ARM_VCPU_SKIP_SETUP": "1", "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    try:
        child = subprocess.Popen(shlex.split(command), cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0)
    except OSError as error:
        raise ui.Failure(f"guide: '{command}': {error.strerror}") from None
    try:
        output, _ = child.communicate(timeout=COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGTERM)  # ./x takes QEMU with it
        try:
            child.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
        raise ui.Failure(f"guide: '{command}' did not end within {COMMAND_SECONDS:.0f} s") from None
    text = output.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    text = re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9])", "", text)
    for place in (folder.resolve(), folder, paths.ROOT):
        text = text.replace(f"{place}/", "")
    lines = [line.rstrip() for line in text.split("\n")]
    lines = [line for line in lines if not re.match(r"x: .*( \.\.\.( |$)|(done|stopped) after )", line)]
    ui.say(f"guide: {command}: status {child.returncode}, {time.monotonic() - begin:.1f} s")
    return child.returncode, lines


# A diagnosis on the console, and what it goes on with.
REPORT = re.compile(r"(\[hv\] )?AV\d{4} ")
REPORT_DETAIL = re.compile(r"(\[hv\] )?  (evidence|cause|check|considered|  )")


def pick(lines: list[str], filters: list[tuple[str, str]], command: str) -> list[str]:
    kept = [(n, line) for n, line in enumerate(lines)]
    for name, value in filters:
        if name in ("from", "to"):
            at = next((i for i, (_, line) in enumerate(kept) if re.search(value, line)), None)
            if at is None:
                raise ui.Failure(f"guide: '{command}' prints no line that matches '{value}':\n" + "\n".join(lines[-40:]))
            kept = kept[at:] if name == "from" else kept[:at + 1]
        elif name == "report":
            heads = [i for i, (_, line) in enumerate(kept) if REPORT.match(line)]
            if len(heads) < int(value or 1):
                raise ui.Failure(f"guide: '{command}' prints {len(heads)} diagnoses:\n" + "\n".join(lines[-40:]))
            first = heads[int(value or 1) - 1]
            end = next((i for i in range(first + 1, len(kept)) if not REPORT_DETAIL.match(kept[i][1])), len(kept))
            kept = kept[first:end]
        elif name in ("only", "drop"):
            kept = [(n, line) for n, line in kept if (re.search(value, line) is not None) == (name == "only")]
        elif name in ("first", "last"):
            kept = kept[:int(value)] if name == "first" else kept[-int(value):]
        elif name != "status":
            raise ui.Failure(f"guide: there is no filter '{name}'")
    while kept and not kept[-1][1]:
        kept.pop()
    while kept and not kept[0][1]:
        kept.pop(0)
    if not kept:
        raise ui.Failure(f"guide: '{command}': the filters leave nothing of\n" + "\n".join(lines[-40:]))
    out, last = [], kept[0][0] - 1
    for n, line in kept:
        out += ["..."] if n != last + 1 and any(lines[last + 1:n]) else []
        out.append(line)
        last = n
    return out


@dataclass
class Runner:
    folder: Path
    done: dict[str, tuple[int, list[str]]] = field(default_factory=dict)

    def transcript(self, text: str) -> list[str]:
        command, *rest = text.split(" | ")
        filters = [word.partition(" ")[::2] for word in rest]
        if command not in self.done:
            self.done[command] = run(command, self.folder)
        status, lines = self.done[command]
        wanted = next((int(value) for name, value in filters if name == "status"), 0)
        if status != wanted:
            raise ui.Failure(f"guide: '{command}' ended with {status}, not {wanted}:\n" + "\n".join(lines[-40:]))
        shown = [f"$ {command}", *pick(lines, filters, command)]
        return shown + (["$ echo $?", str(status)] if wanted != 0 else [])


# What differs from build to build and from run to run: where code and stacks are, times, and counts. Codes, names,
# sentences, registers' fields and addresses of devices stay as they are.
VARYING = [
    (re.compile(r"\b\d+\.\d{6} (vm\d)"), r"TIME \1"),
    (re.compile(r"image\+0x[0-9a-f]+"), "image+CODE"),
    (re.compile(r"\binstruction 0x[0-9a-f]{8}\b"), "instruction OPCODE"),
    (re.compile(r"\b(?:0x)?[0-9a-f]{9,16}\b"), "LONG"),
    (re.compile(r"\b0x[4-7][0-9a-f]{7}\b"), "RAM"),
    (re.compile(r"([>\w])\+0x[0-9a-f]+>"), r"\1+OFFSET>"),
    (re.compile(r"\b[0-9]+(\.[0-9]+)? ?(ns|us|ms|s|MiB|KiB|%)(?![\w])"), "QUANTITY"),
    (re.compile(r"\b[0-9]+\.[0-9]+\b"), "NUMBER"),
    (re.compile(r"(?<![\w.$])(?:[0-9]{2,}|[0-9](?=,[0-9]{3}))(?:,[0-9]{3})*(?!\w|\.\d)"), "COUNT"),
    (re.compile(r"\.(cpp|hpp|S):\d+"), r".\1:LINE"),
    (re.compile(r" {2,}"), " "),
]


def normalised(lines: list[str]) -> list[str]:
    out = []
    for line in lines:
        if not line.startswith("$ "):
            for pattern, replacement in VARYING:
                line = pattern.sub(replacement, line)
        out.append(line)
    return out


# --- a page ---------------------------------------------------------------------------------------------------------

@dataclass
class Block:
    kind: str
    text: str
    first: int  # lines of the page: [first, end)
    end: int


def blocks_of(lines: list[str], page: Path) -> list[Block]:
    blocks = []
    for n, line in enumerate(lines):
        found = MARK.match(line)
        if not found:
            continue
        first = end = n + 1
        if found.group(1) == "transcript" and end < len(lines) and lines[end].startswith(FENCE):
            end = next((i for i in range(first + 1, len(lines)) if lines[i] == FENCE), len(lines) - 1) + 1
        elif found.group(1) == "table":
            while end < len(lines) and lines[end].startswith("|"):
                end += 1
        elif end < len(lines) and lines[end]:
            raise ui.Failure(f"{page.relative_to(paths.ROOT)}:{n + 1}: a marker stands before its block or an empty line")
        blocks.append(Block(found.group(1), found.group(2), first, end))
    return blocks


def made(block: Block, language: str, runner: Runner) -> list[str]:
    if block.kind == "table":
        return table(block.text, language)
    return [f"{FENCE}console", *runner.transcript(block.text), FENCE]


def same(old: list[str], new: list[str], exactly: bool = False) -> list[str]:
    """What differs, beyond what may if not `exactly`, as a diff."""
    a, b = (old, new) if exactly else (normalised(old), normalised(new))
    return [] if a == b else list(difflib.unified_diff(a, b, "the guide", "the command", lineterm="", n=1))


# --- what is said in between ----------------------------------------------------------------------------------------

SOURCES = ["include", "lib", "hypervisor", "tools", "scripts", "guests", "examples", "cmake", "tests"]
FOLDERS = (*SOURCES, "docs", "bench")


def words_of_sources() -> set[str]:
    words: set[str] = set()
    for top in SOURCES:
        for file in (paths.ROOT / top).rglob("*"):
            if file.suffix in (".hpp", ".cpp", ".h", ".S", ".def", ".py", ".txt", ".json", ".cmake"):
                words.update(re.findall(r"\w+", file.read_text(encoding="utf-8", errors="replace")))
    return words


def spans_of(lines: list[str]) -> list[tuple[int, str]]:
    """Inline code outside of blocks, with its line."""
    spans, fenced = [], False
    for n, line in enumerate(lines, 1):
        if line.startswith(FENCE):
            fenced = not fenced
        elif not fenced and not MARK.match(line):
            spans += [(n, text) for text in re.findall(r"`([^`]+)`", line)]
    return spans


def check_names(page: Path, lines: list[str], words: set[str], commands: set[str]) -> list[str]:
    wrong = []
    for n, text in spans_of(lines):
        where = f"{page.relative_to(paths.ROOT)}:{n}"
        if text.startswith("./x "):
            name, *rest = text.split()[1:]
            if name not in commands:
                wrong.append(f"{where}: '{text}' is no command")
            elif name == "scope" and rest and not rest[0].startswith("-"):
                if f"VCPU_SUBCOMMAND({rest[0]})" not in SUBCOMMANDS.read_text(encoding="utf-8"):
                    wrong.append(f"{where}: '{text}' is no subcommand")
        elif re.fullmatch(r"[\w.-]+(/[\w.*-]+)+/?", text) and text.split("/")[0] in FOLDERS:
            if not list(paths.ROOT.glob(text.rstrip("/"))):
                wrong.append(f"{where}: '{text}' does not exist")
        elif re.fullmatch(r"[A-Za-z_]\w*((::|\.|->)~?\w+)*(\(.*\))?(, \w+)*", text):
            for name in re.findall(r"[A-Za-z_]\w*", re.sub(r"\"[^\"]*\"", "", text)):
                if len(name) > 3 and not re.fullmatch(r"0x[0-9a-fA-F]+|x\d+", name) and name not in words:
                    wrong.append(f"{where}: the sources have no '{name}'")
    for n, line in enumerate(lines, 1):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", line):
            if "://" not in target and not (page.parent / target).exists():
                wrong.append(f"{page.relative_to(paths.ROOT)}:{n}: the link to {target} leads nowhere")
    return wrong


def exit_fields() -> dict[str, list[str]]:
    """The fields of each alternative of AxVCpuExitReason, from its header."""
    text = (INCLUDE / "exit_reason.hpp").read_text(encoding="utf-8")
    body = text[text.index("struct AxVCpuExitReason {"):text.index("using Variant")]
    names = [row[0] for row in rows_of(INCLUDE / "exit_reason.def", "VCPU_EXIT")]
    fields = {}
    for name in names:
        found = re.search(rf"struct {name} \{{(\}};|.*?\n  \}};)", body, re.DOTALL)
        members = re.sub(r"//[^\n]*", "", found.group(1))
        fields[name] = re.findall(r"(\w+)\{\};", members)
    return fields


def check_exits(page: Path, lines: list[str]) -> list[str]:
    """The table of exits names each reason once, in order, with its fields."""
    fields, said = exit_fields(), []
    for line in lines:
        cells = [cell.strip() for cell in line.split("|")]
        name = cells[1].strip("`") if len(cells) > 3 else ""
        if name in fields and cells[1].startswith("`"):
            said.append((name, re.findall(r"`(\w+)`", cells[2])))
    if said == list(fields.items()):
        return []
    return [f"{page.relative_to(paths.ROOT)}: the table of exits is not that of exit_reason.hpp:", f"  {said}",
            f"  {list(fields.items())}"]


def outline(page: Path, marks: bool) -> list[str]:
    """What the languages have in common: levels of headings, and marks."""
    out, fenced = [], False
    for line in page.read_text(encoding="utf-8").splitlines():
        fenced = fenced != line.startswith(FENCE)
        if not fenced and re.match(r"#+ ", line):
            out.append(line.split(" ")[0])
        elif marks and MARK.match(line):
            out.append(line)
    return out


def check_outlines(pages: dict[str, Path]) -> list[str]:
    first, second = (outline(page, pages is PAGES) for page in pages.values())
    if first == second:
        return []
    names = [str(page.relative_to(paths.ROOT)) for page in pages.values()]
    return ["the languages differ in their parts:"] + list(difflib.unified_diff(first, second, *names, lineterm="", n=0))


# --- the command ----------------------------------------------------------------------------------------------------

def renewed(lines: list[str], page: Path, language: str, runner: Runner | None, differences: list[str],
            wrong: list[str]) -> list[str]:
    """The page with what its commands print now, and how what was there before differs. Without a runner transcripts
    stay as they are."""
    out, at = [], 0
    for block in blocks_of(lines, page):
        old = lines[block.first:block.end]
        try:
            new = old if block.kind == "transcript" and runner is None else made(block, language, runner)
        except ui.Failure as failure:
            wrong.append(f"{page.relative_to(paths.ROOT)}:{block.first}: {failure}")
            new = old
        difference = same(old, new, block.kind == "table")
        if difference:
            differences += [f"{page.relative_to(paths.ROOT)}:{block.first}: {block.text}", *difference]
        out += lines[at:block.first] + (new if difference or block.kind == "table" else old)
        at = block.end
    return out + lines[at:]


def link_checkout(folder: Path) -> None:
    for entry in paths.ROOT.iterdir():
        if not entry.name.startswith("."):
            (folder / entry.name).symlink_to(entry)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./x guide", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--update", action="store_true", help="run the commands; write into the guide what has changed")
    what.add_argument("--check", action="store_true", help="run the commands; status 1 when the guide says otherwise")
    parser.add_argument("--text", action="store_true", help="tables, names, links and outlines only: nothing is run")
    options = parser.parse_args(argv)
    if not options.text:
        (setup.ready_for_run if os.environ.get("ARM_VCPU_SKIP_SETUP") else setup.ready_for_test)()
    differences, wrong = [], []
    words, commands = words_of_sources(), {*__main__.COMMANDS, "help"}
    with tempfile.TemporaryDirectory(prefix="arm-vcpu-guide-") as temporary:
        runner = None if options.text else Runner(Path(temporary))
        link_checkout(Path(temporary))
        for pages in (PAGES, README):
            for language, page in pages.items():
                old = page.read_text(encoding="utf-8").splitlines()
                new = renewed(old, page, language, runner, differences, wrong)
                if options.update and new != old:
                    page.write_text("\n".join(new) + "\n", encoding="utf-8")
                    ui.say(f"guide: {page.relative_to(paths.ROOT)} is renewed")
                wrong += check_names(page, new, words, commands)
                wrong += check_exits(page, new) if pages is PAGES else []
            wrong += check_outlines(pages)
    if options.check and differences:
        wrong += [*differences, "./x guide --update renews the transcripts and the tables"]
    for line in wrong:
        print(line)
    ui.say("guide: it is not true any more" if wrong else "guide: all of it is so")
    return 1 if wrong else 0
