"""A simulated Windows target: the WinRM protocol is real, Windows and PowerShell are played.

It stands where a Windows machine would: in tests, in benchmarks and in the demo. It is told apart by all
that it says: host name, product vendor, server banner, the words of what it refuses. What a real
powershell.exe would do with a script cannot be learnt from it.
"""

from opsportal.simulated_windows.behaviours import Behaviour, Piece
from opsportal.simulated_windows.console import Console
from opsportal.simulated_windows.injection import Break
from opsportal.simulated_windows.settings import Certificate, Logins, Quotas, Settings
from opsportal.simulated_windows.simulated import SimulatedWindows

__all__ = [
    "Behaviour",
    "Break",
    "Certificate",
    "Console",
    "Logins",
    "Piece",
    "Quotas",
    "Settings",
    "SimulatedWindows",
]
