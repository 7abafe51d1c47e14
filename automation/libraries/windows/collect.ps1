Get-CimInstance -ClassName Win32_OperatingSystem | Select-Object -Property Caption, Version, CSName, TotalVisibleMemorySize, FreePhysicalMemory | ConvertTo-Json -Compress
Get-CimInstance -ClassName Win32_LogicalDisk | Select-Object -Property DeviceID, Size, FreeSpace | ConvertTo-Json -Compress
