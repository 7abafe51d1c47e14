# OpsPortal staging 1
$ErrorActionPreference='Stop'
$ProgressPreference='SilentlyContinue'
function Send-OpsPortalAnswer([string]$Word) {
    [Console]::Out.Write([char]30 + $want.nonce + ' ' + $Word + "`n")
}
function Test-OpsPortalWhole([string]$Path) {
    if (-not [IO.File]::Exists($Path)) { return $false }
    $file = [IO.File]::OpenRead($Path)
    $sha = New-Object Security.Cryptography.SHA256CryptoServiceProvider
    try { ([BitConverter]::ToString($sha.ComputeHash($file)) -replace '-') -eq $want.sha256 }
    finally { $file.Dispose() }
}
$want = $null
$stream = $null
$broken = $false
# The pipeline hands on line by line, so that a large file never is in memory whole.
$input | ForEach-Object {
    if ($null -eq $want) {
        $want = ConvertFrom-Json $_
        $folder = Join-Path $want.spool 'files'
        $place = Join-Path $folder $want.sha256
        $part = "$place.$($want.nonce)"
        try {
            $null = [IO.Directory]::CreateDirectory($folder)
            if ($want.mode -eq 'take') { $stream = [IO.File]::Open($part, 'CreateNew', 'Write', 'None') }
        } catch { $broken = $true }
    } elseif ($stream -and -not $broken) {
        try {
            $data = [Convert]::FromBase64String($_)
            $stream.Write($data, 0, $data.Length)
        } catch { $broken = $true }
    }
}
if ($stream) {
    try { $stream.Dispose() } catch { $broken = $true }
    if (-not $broken -and (Test-OpsPortalWhole $part) -and -not [IO.File]::Exists($place)) {
        [IO.File]::Move($part, $place)
    }
    [IO.File]::Delete($part)
}
if ($broken) { Send-OpsPortalAnswer 'NOWHERE'; exit 0 }
$week = [DateTime]::UtcNow.AddDays(-7)
foreach ($old in [IO.Directory]::GetFiles($folder)) {
    if ($old -ne $place -and [IO.File]::GetLastWriteTimeUtc($old) -lt $week) { [IO.File]::Delete($old) }
}
if (Test-OpsPortalWhole $place) {
    [IO.File]::SetLastWriteTimeUtc($place, [DateTime]::UtcNow)
    Send-OpsPortalAnswer 'AT'
} else {
    # What has the name of the content without being it is in the way.
    [IO.File]::Delete($place)
    Send-OpsPortalAnswer 'NEED'
}
