"""The PowerShell of steps that put a file on a Windows target, or bring a copy of one.

The twin of `file_scripts`: the file lies on the target already, under the name in OPSPORTAL_FILE. It is
copied beside its destination, its hash taken there, and then takes the destination's place in one step. The
former file is kept beside the attempt's guard file (OPSPORTAL_KEPT), where undo finds it. Permissions stay
those of the former file, or come from the folder: mode and owner are of Linux.

Each script's first line names it and its version, by which the simulated target knows what to play.
"""

import re

from automation.definitions.step_kinds import Download, Upload

# PowerShell takes these four for single quotes as well.
_QUOTES = re.compile("(['\u2018-\u201b])")

_COMMON = """\
function Stop-OpsPortal([string]$Said, [int]$Code) { [Console]::Error.WriteLine($Said); exit $Code }
function Get-OpsPortalHash([string]$Path) {
    $stream = [IO.File]::OpenRead($Path)
    $sha = New-Object Security.Cryptography.SHA256CryptoServiceProvider
    try { ([BitConverter]::ToString($sha.ComputeHash($stream)) -replace '-').ToLowerInvariant() }
    finally { $stream.Dispose() }
}
"""
_RUN = """\
$here = [IO.Path]::GetDirectoryName($to)
if (-not [IO.Directory]::Exists($here)) { Stop-OpsPortal "There is no directory $here" 66 }
if ([IO.Directory]::Exists($to)) { Stop-OpsPortal "$to is a directory" 66 }
$new = Join-Path $here ".opsportal-$([Guid]::NewGuid().ToString('N'))"
try {
    try { [IO.File]::Copy($env:OPSPORTAL_FILE, $new) }
    catch { Stop-OpsPortal "The file cannot be written in $here" 73 }
    if ((Get-OpsPortalHash $new) -cne $sha256) { Stop-OpsPortal 'The file did not come whole' 65 }
    $found = [IO.File]::Exists($to)
    try {
        if ($found) { [IO.File]::Copy($to, "$env:OPSPORTAL_KEPT.former") }
        else { [IO.File]::WriteAllText("$env:OPSPORTAL_KEPT.none", '') }
    } catch { Stop-OpsPortal 'There is no place to keep the former file, so nothing was changed' 73 }
    # A plain $null would become an empty path here.
    if ($found) { [IO.File]::Replace($new, $to, [NullString]::Value) } else { [IO.File]::Move($new, $to) }
} finally { [IO.File]::Delete($new) }
Write-Output "$to is in place"
"""
_CHECK = """\
if (-not [IO.File]::Exists($to)) { Write-Output "$to is not there"; exit 1 }
if ((Get-OpsPortalHash $to) -cne $sha256) { Write-Output "$to has another content"; exit 1 }
"""
_UNDO = """\
$folder = [IO.Path]::GetDirectoryName($env:OPSPORTAL_KEPT)
$kept = Join-Path $folder $env:OPSPORTAL_RUN_ATTEMPT
if (-not [IO.File]::Exists("$kept.guard")) { Stop-OpsPortal 'What was kept of the former file is gone' 66 }
if ([IO.File]::Exists("$kept.none")) {
    [IO.File]::Delete($to)
    Write-Output "$to is gone again, as it was before"
} elseif ([IO.File]::Exists("$kept.former")) {
    $new = Join-Path ([IO.Path]::GetDirectoryName($to)) ".opsportal-$([Guid]::NewGuid().ToString('N'))"
    try {
        [IO.File]::Copy("$kept.former", $new)
        if ([IO.File]::Exists($to)) { [IO.File]::Replace($new, $to, [NullString]::Value) }
        else { [IO.File]::Move($new, $to) }
    } finally { [IO.File]::Delete($new) }
    Write-Output "$to is as it was before"
} else { Write-Output "$to was not touched" }
"""
# Only what was there when it began is sent, in lines of base64: a stream of text carries no bytes unharmed.
_FETCH = """\
if (-not [IO.File]::Exists($from)) { Stop-OpsPortal "There is no file $from" 66 }
$stream = New-Object IO.FileStream($from, 'Open', 'Read', 'ReadWrite')
try {
    $size = $stream.Length
    if ($size -gt $limit) { Stop-OpsPortal "$from has $size bytes; this step takes $limit at most" 75 }
    $sha = New-Object Security.Cryptography.SHA256CryptoServiceProvider
    $buffer = New-Object byte[] 49152
    $left = $size
    while ($left -gt 0) {
        $read = $stream.Read($buffer, 0, [Math]::Min($left, $buffer.Length))
        if (-not $read) { Stop-OpsPortal "$from became shorter meanwhile" 74 }
        $null = $sha.TransformBlock($buffer, 0, $read, $null, 0)
        [Console]::Out.WriteLine([Convert]::ToBase64String($buffer, 0, $read))
        $left -= $read
    }
    $null = $sha.TransformFinalBlock($buffer, 0, 0)
    $hash = ([BitConverter]::ToString($sha.Hash) -replace '-').ToLowerInvariant()
    [IO.File]::AppendAllText($env:OPSPORTAL_OUTPUT, "size=$size`nsha256=$hash`n")
} finally { $stream.Dispose() }
"""


def windows_fetching_script(download: Download) -> str:
    """The PowerShell that prints the file in base64 and tells its size and hash as outputs."""
    head = f"$from = {_quoted(download.source_windows)}\n$limit = {download.limit}\n"
    return f"# OpsPortal download 1\n{head}{_COMMON}{_FETCH}"


def windows_file_scripts(upload: Upload, *, sha256: str) -> dict[str, str]:
    """The PowerShell of each kind of body; whatever the definition says is quoted."""
    head = f"$to = {_quoted(upload.to_windows)}\n$sha256 = {_quoted(sha256)}\n{_COMMON}"
    bodies = {"run": _RUN, "check": _CHECK, "undo": _UNDO}
    return {kind: f"# OpsPortal upload {kind} 1\n{head}{body}" for kind, body in bodies.items()}


def _quoted(text: str) -> str:
    return "'" + _QUOTES.sub(r"\1\1", text) + "'"
