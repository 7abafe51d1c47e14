# OpsPortal bootstrap 1
$ErrorActionPreference='Stop'
$ProgressPreference='SilentlyContinue'
try{[Console]::OutputEncoding=New-Object Text.UTF8Encoding($false)}catch{}
$head,$rest=@($input)
$text=-join @($rest)
$bytes=[Text.Encoding]::ASCII.GetBytes($text)
$sha=New-Object Security.Cryptography.SHA256CryptoServiceProvider
$hash=[BitConverter]::ToString($sha.ComputeHash($bytes)) -replace '-'
if("$head" -cne "OPSPORTAL 1 $($bytes.Length) $hash"){exit 91}
$order=ConvertFrom-Json $text
Remove-Variable head,rest,text,bytes
. ([ScriptBlock]::Create($order.program))
