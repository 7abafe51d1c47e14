"""The scripts of steps that put a file on a target, or keep a copy of one.

The file to put there lies on the target already, under the name in OPSPORTAL_FILE, by the time they start.
It is copied beside its destination, its hash taken there, and renamed, so that at any moment either file is
whole. The former file is kept in the attempt's own directory, which the target keeps for a week; undo finds
it by the attempt named in OPSPORTAL_RUN_ATTEMPT.
"""

import shlex

from automation.definitions.step_kinds import Download, Upload

_RUN = """\
here=$(dirname -- "$to")
former=${OPSPORTAL_OUTPUT%/output}/former
[ -d "$here" ] || { echo "There is no directory $here" >&2; exit 66; }
[ ! -d "$to" ] || { echo "$to is a directory" >&2; exit 66; }
umask 077
new=$(mktemp -- "$here/.opsportal-XXXXXXXXXX") || exit 73
trap 'rm -f -- "$new"' EXIT
cat -- "$OPSPORTAL_FILE" >"$new" || { echo "There is no room in $here" >&2; exit 73; }
[ "$(sha256sum <"$new")" = "$sha256  -" ] || { echo "The file did not come whole" >&2; exit 65; }
[ -z "$owner" ] || chown -- "$owner" "$new" || exit 77
chmod -- "$mode" "$new" || exit 77
if [ -e "$to" ] || [ -L "$to" ]; then cp -pP -- "$to" "$former"; else true >"$former.none"; fi || {
    echo "There is no place to keep the former file, so nothing was changed" >&2
    exit 73
}
mv -f -- "$new" "$to" || exit 73
echo "$to is in place"
"""
_CHECK = """\
[ -f "$to" ] && [ ! -L "$to" ] || { echo "$to is not there"; exit 1; }
[ "$(sha256sum <"$to")" = "$sha256  -" ] || { echo "$to has another content"; exit 1; }
[ $((8#$(stat -c %a -- "$to"))) = $((8#$mode)) ] || { echo "$to has another mode"; exit 1; }
case $owner in
    "" | "$(stat -c %U -- "$to")" | "$(stat -c %U:%G -- "$to")") ;;
    *) echo "$to has another owner"; exit 1 ;;
esac
"""
_UNDO = """\
kept=${OPSPORTAL_OUTPUT%/*/output}/$OPSPORTAL_RUN_ATTEMPT
[ -d "$kept" ] || { echo "What was kept of the former file is gone" >&2; exit 66; }
if [ -e "$kept/former.none" ]; then
    rm -f -- "$to" && echo "$to is gone again, as it was before"
elif [ -e "$kept/former" ] || [ -L "$kept/former" ]; then
    new=$(dirname -- "$to")/.opsportal-$OPSPORTAL_ATTEMPT
    cp -pP -- "$kept/former" "$new" && mv -f -- "$new" "$to" && echo "$to is as it was before"
else
    echo "$to was not touched"
fi
"""


# Only what was there when it began is sent: a log that grows meanwhile is cut there, whole up to its length.
_FETCH = """\
[ -f "$from" ] || { echo "There is no file $from" >&2; exit 66; }
size=$(stat -L -c %s -- "$from") || exit 66
[ "$size" -le "$limit" ] || { echo "$from has $size bytes; this step takes $limit at most" >&2; exit 75; }
sum=$(head -c "$size" -- "$from" | sha256sum) || exit 74
head -c "$size" -- "$from" || exit 74
echo "size=$size" >>"$OPSPORTAL_OUTPUT"
echo "sha256=${sum%% *}" >>"$OPSPORTAL_OUTPUT"
"""


def fetching_script(download: Download) -> str:
    """The bash that prints the file and tells its size and hash as outputs."""
    return f"from={shlex.quote(download.source)}\nlimit={download.limit}\n{_FETCH}"


def file_scripts(upload: Upload, *, sha256: str) -> dict[str, str]:
    """The bash of each kind of body; whatever the definition says is quoted, and the plan shows it."""
    values = {"to": upload.to, "mode": upload.mode, "owner": upload.owner, "sha256": sha256}
    head = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    return {"run": head + _RUN, "check": head + _CHECK, "undo": head + _UNDO}
