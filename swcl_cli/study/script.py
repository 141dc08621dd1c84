"""Write a plan as a shell script of ordinary commands."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import accumulate

from swcl_cli.study.plan import Command

START = """\
#!/bin/sh
# {title}
# Made by swcl study; the same call makes it anew from what is left to do.
{notes}
#
# sh plan.sh runs it: each command goes on where it was stopped. One that fails does not stop the others; the script
# then ends with 1. After {hours:g} hours no further command begins.
SWCL_WORKSPACE=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd) || exit
export SWCL_WORKSPACE
end=$(($(date +%s) + {seconds}))
failed=0 waiting=0 stopped= child=
trap 'stopped=yes; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' INT TERM HUP

swcl() {{
    if [ "$(date +%s)" -ge "$end" ]; then
        waiting=$((waiting + 1))
        return
    fi
    printf '\\n$ swcl %s\\n' "$*"
    env swcl "$@" &
    child=$!
    wait "$child"
    status=$?
    if [ -n "$stopped" ]; then
        wait "$child"
        exit 130
    fi
    child=
    case $status in
        0) ;;
        130) exit 130 ;;
        *)
            failed=$((failed + 1))
            printf 'failed: swcl %s\\n' "$*" >&2
            ;;
    esac
}}
"""
END = """
[ "$waiting" -eq 0 ] || echo "$waiting commands are left: the same call goes on with them."
if [ "$failed" -gt 0 ]; then
    echo "$failed commands failed; see above." >&2
    exit 1
fi
"""
BEYOND = "# By the forecast the hours end here; what follows is begun if time is left, else by the next call."


def script(title: str, notes: Sequence[str], hours: float, commands: Sequence[Command]) -> str:
    """Return the text of the script: a line for each command that is not done. notes: comments at its top."""
    seconds = round(hours * 3600)
    comments = "\n".join(f"# {' '.join(note.split())}" for note in notes)
    parts = [START.format(title=title, notes=comments, hours=hours, seconds=seconds)]
    stage, is_beyond = "", False
    waiting = [command for command in commands if not command.done]
    for command, end in zip(waiting, accumulate(each.seconds for each in waiting), strict=True):
        if end > seconds and not is_beyond:
            is_beyond = True
            parts.append(f"\n{BEYOND}\n")
        if command.stage != stage:
            stage = command.stage
            parts.append(f"\n# {stage}\n")
        parts.append(f"{shlex.join(('swcl', *command.words))}  # {minutes(command.seconds)} min\n")
    return "".join([*parts, END])


def minutes(seconds: float) -> str:
    """Write minutes with one digit behind the point, from ten on without."""
    value = seconds / 60
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"
