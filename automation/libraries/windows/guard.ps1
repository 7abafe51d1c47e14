# What the bootstrap runs on the target: the modes plain, run, probe and reclaim. $order is the JSON of stdin.
function Write-OpsPortalRecord([string]$Text) {
    [Console]::Out.Write([char]30 + $order.nonce + ' ' + $Text + "`n")
    [Console]::Out.Flush()
}

function Get-OpsPortalBoot {
    $key = 'HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters'
    $boot = (Get-ItemProperty -Path $key -ErrorAction SilentlyContinue).BootId
    if ($null -eq $boot) { $boot = 0 }
    # The counter runs since the machine started, whatever its clock is set to.
    $up = [Diagnostics.Stopwatch]::GetTimestamp() / [Diagnostics.Stopwatch]::Frequency
    [string]::Format([Globalization.CultureInfo]::InvariantCulture, '{0} {1:0.000}', $boot, $up)
}

function Get-OpsPortalSpoolId([string]$Spool) {
    $file = Join-Path $Spool 'id'
    try {
        if (-not (Test-Path -LiteralPath $file)) {
            $stream = [IO.File]::Open($file, 'CreateNew', 'Write', 'None')
            $id = [Text.Encoding]::ASCII.GetBytes([Guid]::NewGuid().ToString('N'))
            $stream.Write($id, 0, $id.Length)
            $stream.Dispose()
        }
        [IO.File]::ReadAllText($file)
    } catch { '-' }
}

# CreateNew is the lock: whoever makes the file decides for ever whether this attempt runs.
function New-OpsPortalGuard([string]$Line) {
    $path = Join-Path $order.spool ($order.attempt + '.guard')
    try {
        $stream = New-Object IO.FileStream($path, 'CreateNew', 'Write', 'Read', 4096, 'WriteThrough')
    } catch { return $null }
    Add-OpsPortalLine $stream $Line
    $stream
}

function Add-OpsPortalLine($Stream, [string]$Line) {
    $data = [Text.Encoding]::ASCII.GetBytes($Line + "`n")
    $Stream.Write($data, 0, $data.Length)
    $Stream.Flush()
}

function Read-OpsPortalGuard {
    $path = Join-Path $order.spool ($order.attempt + '.guard')
    if (-not (Test-Path -LiteralPath $path)) { return $null }
    $stream = New-Object IO.FileStream($path, 'Open', 'Read', 'ReadWrite')
    $reader = New-Object IO.StreamReader($stream)
    $text = $reader.ReadToEnd()
    $reader.Dispose()
    $text
}

function Get-OpsPortalFound([string]$Text) {
    $boot = (Get-OpsPortalBoot).Split(' ')[0]
    if ($Text -match '(?m)^end (\d+|-)') { return "ended $($Matches[1])" }
    if ($Text -notmatch '(?m)^started (\d+) (\d+) (\d+)') { return 'running -' }
    if ($Matches[1] -ne $boot) { return 'rebooted -' }
    $process = Get-Process -Id $Matches[2] -ErrorAction SilentlyContinue
    if ($process -and $process.StartTime.Ticks -eq $Matches[3]) { return 'running -' }
    'lost -'
}

function Send-OpsPortalProbe {
    $spool = $null
    foreach ($base in @($order.spool, $env:LOCALAPPDATA, $env:ProgramData)) {
        if (-not $base) { continue }
        try {
            $place = Join-Path $base ('OpsPortal\' + $order.installation)
            $null = New-Item -ItemType Directory -Force -Path $place
            if ((Get-OpsPortalSpoolId $place) -ne '-') { $spool = $place; break }
        } catch { continue }
    }
    $name = '-'
    $id = '-'
    if ($spool) {
        $name = [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($spool))
        $id = Get-OpsPortalSpoolId $spool
    }
    $user = [Security.Principal.WindowsIdentity]::GetCurrent().Name
    $user = [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($user))
    Write-OpsPortalRecord "PROBE $(Get-OpsPortalBoot) $user $name $id"
}

function Send-OpsPortalReclaim {
    $text = $null
    $stream = New-OpsPortalGuard 'fenced'
    if ($stream) { $stream.Dispose() } else { $text = Read-OpsPortalGuard }
    if (-not $stream -and $null -eq $text) { return Write-OpsPortalRecord 'REFUSED spool.unusable' }
    if ($stream -or $text.StartsWith('fenced')) {
        $id = Get-OpsPortalSpoolId $order.spool
        return Write-OpsPortalRecord "FENCED $(Get-OpsPortalBoot) $id"
    }
    Write-OpsPortalRecord "FOUND $(Get-OpsPortalFound $text)"
}

function Get-OpsPortalRefusal {
    if (-not (Test-Path -LiteralPath $order.spool)) { return 'spool.missing' }
    if ((Get-OpsPortalSpoolId $order.spool) -ne $order.spool_id) { return 'spool.changed' }
    $text = Read-OpsPortalGuard
    if ($null -eq $text) { return 'spool.full' }
    if ($text.StartsWith('fenced')) { return 'fenced' }
    'exists'
}

$opsportalGuard = $null
if ($order.mode -eq 'probe') { Send-OpsPortalProbe; exit 0 }
if ($order.mode -eq 'reclaim') { Send-OpsPortalReclaim; exit 0 }
if ($order.mode -eq 'run') {
    foreach ($id in @($order.forget)) {
        foreach ($kind in '.guard', '.former', '.none') {
            $old = Join-Path $order.spool ($id + $kind)
            Remove-Item -LiteralPath $old -Force -ErrorAction SilentlyContinue
        }
    }
    $me = Get-Process -Id $PID
    $boot = (Get-OpsPortalBoot).Split(' ')[0]
    if ((Get-OpsPortalSpoolId $order.spool) -eq $order.spool_id) {
        $opsportalGuard = New-OpsPortalGuard "started $boot $PID $($me.StartTime.Ticks)"
    }
    if (-not $opsportalGuard) { Write-OpsPortalRecord "REFUSED $(Get-OpsPortalRefusal)"; exit 0 }
}
$opsportalOutput = [IO.Path]::GetTempFileName()
$env:OPSPORTAL_OUTPUT = $opsportalOutput
if ($order.mode -eq 'run') { $env:OPSPORTAL_KEPT = Join-Path $order.spool $order.attempt }
foreach ($item in $order.environment.PSObject.Properties) { Set-Item -Path "env:$($item.Name)" -Value $item.Value }
$opsportalCode = $null
$global:LASTEXITCODE = $null
Write-OpsPortalRecord 'BEGIN'
try {
    & {
        $opsportalBlock = [ScriptBlock]::Create($order.script)
        $opsportalBound = @{}
        $opsportalDeclared = @()
        if ($opsportalBlock.Ast.ParamBlock) {
            $opsportalDeclared = @($opsportalBlock.Ast.ParamBlock.Parameters |
                ForEach-Object { $_.Name.VariablePath.UserPath })
        }
        foreach ($item in $order.parameters.PSObject.Properties) {
            Set-Variable -Name $item.Name -Value $item.Value
            if ($opsportalDeclared -contains $item.Name) { $opsportalBound[$item.Name] = $item.Value }
        }
        . $opsportalBlock @opsportalBound
    } | Out-Default
    $opsportalCode = 0
    if ($global:LASTEXITCODE) { $opsportalCode = $global:LASTEXITCODE }
} catch {
    $host.UI.WriteErrorLine(($_ | Out-String))
    $opsportalCode = 1
} finally {
    # `exit` in the script comes here too: then only the process's own exit code tells.
    $opsportalShown = '-'
    if ($null -ne $opsportalCode) { $opsportalShown = [uint32]('0x{0:x}' -f [int]$opsportalCode) }
    $opsportalLines = '-'
    try {
        $stream = [IO.File]::OpenRead($opsportalOutput)
        $buffer = New-Object byte[] 65537
        $length = $stream.Read($buffer, 0, $buffer.Length)
        $stream.Dispose()
        if ($length) { $opsportalLines = [Convert]::ToBase64String($buffer, 0, $length) }
        Remove-Item -LiteralPath $opsportalOutput -Force
    } catch { $opsportalLines = '-' }
    if ($opsportalGuard) {
        Add-OpsPortalLine $opsportalGuard "end $opsportalShown"
        $opsportalGuard.Dispose()
    }
    Write-OpsPortalRecord "END $opsportalShown $opsportalLines"
}
exit $opsportalCode
